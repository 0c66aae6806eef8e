"""Measures the platform under load and compares it with a floor: `make bench` (`ARGS=--quick` takes three minutes)."""
