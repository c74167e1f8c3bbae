"""The guide's runner: ``python -m aragora_db.migrations migrate [--version REV] | status``."""

import sys

from aragora_db.cli import main

main(sys.argv[1:] or ["status"])
