"""``python -m initgate.cli``."""

from initgate.cli import main

main()
