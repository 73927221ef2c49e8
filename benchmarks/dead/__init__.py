"""What looking at many dead letters costs, and how fast they are replayed."""
