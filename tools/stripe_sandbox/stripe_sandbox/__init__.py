"""A Stripe that runs on this machine. It moves no money and is never a place for real cards."""
