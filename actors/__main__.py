"""``python -m actors`` is the ``actors`` command."""

from actors.cli import main

if __name__ == "__main__":
    main()
