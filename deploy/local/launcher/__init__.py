"""Runs the whole platform as processes of this machine, without Docker: see `launcher.platform.Platform`."""
