"""``python -m latente`` is the command ``latente``."""

from .cli.main import main

if __name__ == "__main__":
    main()
