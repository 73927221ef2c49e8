"""``python -m periodic`` is the ``periodic`` command, which belongs to ``actors``: it knows settings and broker."""

from __future__ import annotations

from actors.cli.periodic import main

if __name__ == "__main__":
    main()
