"""What a database's catalogue holds, compared with what the models would build there."""

from aragora_db.migrations.catalogue.compare import compare
from aragora_db.migrations.catalogue.difference import Difference

__all__ = ["Difference", "compare"]
