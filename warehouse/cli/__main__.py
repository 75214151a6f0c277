"""``python -m warehouse.cli``: the same as ``warehouse``."""

from warehouse.cli import main

main()
