"""The process's own database."""

from __future__ import annotations

import threading

from aragora_db import at_fork
from aragora_db.database import Database

__all__ = ["get_database"]

_database: Database | None = None
_lock = threading.Lock()


def get_database() -> Database:
    """The process's database, from the environment, made at the first call.

    Raises:
        ConfigurationError: the environment names no usable database.
    """
    global _database  # noqa: PLW0603 -- one per process is the point
    if _database is None:
        with _lock:
            if _database is None:
                _database = Database()
    return _database


@at_fork.register
def _reset_after_fork() -> None:
    """Another thread of the parent may have held the lock when it forked."""
    global _lock  # noqa: PLW0603 -- as above
    _lock = threading.Lock()
