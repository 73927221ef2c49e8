"""What the guarantees cost, as ratios to plain Dramatiq measured in the same run."""
