"""The ``actors`` command."""
