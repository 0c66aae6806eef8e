"""The fault campaign: it breaks each part of a platform while people buy, and reports the effect on them.

`make campaign` runs every fault of `faults.py` in about half an hour; docs/campaign.md explains its table.
"""
