"""``python -m sagakit.cli``."""

from sagakit.cli import main

main()
