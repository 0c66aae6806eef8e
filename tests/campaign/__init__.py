"""The fault campaign: one command that breaks each part of a platform while people buy, and says what that cost them.

`make campaign` runs every fault of `faults.py`, about half an hour; docs/campaign.md tells how to read its table.
"""
