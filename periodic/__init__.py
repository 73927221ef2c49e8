"""The scheduler (not in this release)."""
