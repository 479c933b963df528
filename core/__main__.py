"""``python -m core``: Capista without a screen."""

from core.cli import main

main()
