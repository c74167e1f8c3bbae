"""``python -m aragora_db`` is ``aragora-db``."""

from aragora_db.cli import main

main()
