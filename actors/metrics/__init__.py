"""Metrics for Prometheus: where processes share what they count, and the pages that show it."""
