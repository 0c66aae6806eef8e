"""Runs the whole platform as processes of this machine, without Docker. See `launcher.platform.Platform`."""
