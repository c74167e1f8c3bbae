"""The data layer of Aragora: models, one engine factory for SQLite and PostgreSQL, forward-only migrations.

Names are handed on when they are first used: importing this package costs nothing until then.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aragora_db import errors
    from aragora_db.config import Settings
    from aragora_db.database import Database
    from aragora_db.database.default import get_database
    from aragora_db.database.instrument import instrument

__version__ = "0.1.0"

__all__ = ["Database", "Settings", "__version__", "errors", "get_database", "instrument"]

_HOMES = {
    "Database": "aragora_db.database",
    "Settings": "aragora_db.config",
    "get_database": "aragora_db.database.default",
    "instrument": "aragora_db.database.instrument",
}


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("aragora_db.errors")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'aragora_db' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
