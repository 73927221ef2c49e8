"""Asks a worker or a scheduler how it is; it imports nothing but Python's standard library, and so costs little."""
