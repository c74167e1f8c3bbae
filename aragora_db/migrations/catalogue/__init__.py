"""Compare a database's catalogue with what the models would build there."""

from aragora_db.migrations.catalogue.compare import Difference, compare

__all__ = ["Difference", "compare"]
