"""``aragora-db``: a thin layer over the package."""

from aragora_db.cli.main import main

__all__ = ["main"]
