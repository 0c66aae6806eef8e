"""How an Usher service runs. It knows nothing about cinema."""
