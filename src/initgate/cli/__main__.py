"""``python -m initgate.cli``."""

from initgate.cli import main

if __name__ == "__main__":
    main()
