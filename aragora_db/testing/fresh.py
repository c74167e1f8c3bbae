"""Fresh databases for tests: migrated once, then copied for each test and dropped after it."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from aragora_db.database import Database
from aragora_db.migrations import scripts
from aragora_db.testing.databases import create_database, drop_database, template_database

if TYPE_CHECKING:
    from aragora_db.testing.handles import PostgresServer

__all__ = ["FreshDatabases"]


class FreshDatabases:
    """Makes databases, on SQLite in a folder and on PostgreSQL beside each other.

    Args:
        folder: where SQLite files go.
        server: starts, or finds, the PostgreSQL server; called only when one is needed.
    """

    def __init__(self, folder: Path, server: Callable[[], PostgresServer]) -> None:
        self._folder = folder
        self._server = server
        self._numbers = itertools.count(1)
        self._made: list[str] = []
        self._sqlite_template: Path | None = None

    def url(self, dialect: str, *, migrated: bool = True) -> str:
        """The URL of a new database, at head or empty."""
        return {"sqlite": self._sqlite, "postgresql": self._postgresql}[dialect](migrated=migrated)

    def drop_all(self) -> None:
        """Drop what was made since the last call."""
        while self._made:
            made = self._made.pop()
            if made.startswith("/"):
                for path in Path(made).parent.glob(f"{Path(made).name}*"):
                    path.unlink(missing_ok=True)  # a connection that is just closing takes its -shm along
            else:
                drop_database(self._server().admin_url, made)

    def _sqlite(self, *, migrated: bool) -> str:
        path = self._folder / f"test{next(self._numbers)}.db"
        self._made.append(str(path))
        if migrated:
            if self._sqlite_template is None:
                self._sqlite_template = self._folder / "template.db"
                _migrate(f"sqlite:///{self._sqlite_template}")
            shutil.copyfile(self._sqlite_template, path)
        return f"sqlite:///{path}"

    def _postgresql(self, *, migrated: bool) -> str:
        server = self._server()
        name = server.unique_name()
        template = template_database(server, f"aragora_db {scripts.head()}", _migrate) if migrated else None
        url = create_database(server.admin_url, name, template)
        self._made.append(name)
        return url


def _migrate(url: str) -> None:
    database = Database(url)
    database.migrate()
    database.close()
