"""The runtime that all Usher services share. It contains no cinema domain code."""
