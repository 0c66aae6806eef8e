"""Measures the platform under load, beside a floor: `make bench` (`ARGS=--quick` for a look of three minutes)."""
