"""What it costs to be told of everything, beside workers that tell nothing."""
