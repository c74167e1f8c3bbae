"""Clean databases for tests: migrated once for a whole run, then a reset or a copy for each test."""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from aragora_db.database import Database
from aragora_db.migrations import scripts
from aragora_db.testing.databases import create_database, drop_database, template_database
from aragora_db.testing.pool import DatabasePool

if TYPE_CHECKING:
    from aragora_db.testing.handles import PostgresServer

__all__ = ["DatabaseMaker", "FreshDatabases"]


class DatabaseMaker:
    """Makes clean databases for the tests of one process: SQLite files in a folder, and databases of one server.

    A migrated SQLite database is a copy of a template file, a migrated PostgreSQL database comes from a `DatabasePool`.

    Args:
        folder: where SQLite files go; the template file too, so that all workers of a run pass the same folder.
        server: starts, or finds, the PostgreSQL server; called only when one is needed.
        worker: part of the names of the files.
    """

    def __init__(self, folder: Path, server: Callable[[], PostgresServer], worker: str = "main") -> None:
        self._folder = folder
        self._server = server
        self._worker = worker
        self._numbers = itertools.count(1)
        self._pools: dict[str, DatabasePool] = {}

    @property
    def pool(self) -> DatabasePool | None:
        """The pool of databases at head, or None before the first one was asked for."""
        return self._pools.get(_schema())

    def make(self, dialect: str, *, migrated: bool = True) -> tuple[str, Callable[[], None]]:
        """Return the URL of a clean database, at head or empty, and the function that takes it back."""
        return {"sqlite": self._sqlite, "postgresql": self._postgresql}[dialect](migrated=migrated)

    def _sqlite(self, *, migrated: bool) -> tuple[str, Callable[[], None]]:
        path = self._folder / f"{self._worker}{next(self._numbers)}.db"
        if migrated:
            shutil.copyfile(self._sqlite_template(), path)

        def remove() -> None:
            for each in path.parent.glob(f"{path.name}*"):
                each.unlink(missing_ok=True)  # a connection that is just closing takes its -shm along

        return f"sqlite:///{path}", remove

    def _sqlite_template(self) -> Path:
        """The file to copy, made by the first worker that needs it."""
        template = self._folder / f"template_{_schema()}.db"
        if not template.exists():
            with (self._folder / "template.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not template.exists():
                    half_made = template.with_suffix(".new")
                    half_made.unlink(missing_ok=True)
                    _migrate(f"sqlite:///{half_made}")
                    half_made.rename(template)
        return template

    def _postgresql(self, *, migrated: bool) -> tuple[str, Callable[[], None]]:
        server = self._server()
        if not migrated:
            name = server.unique_name()
            create_database(server.admin_url, name)
            return server.url_for(name), lambda: drop_database(server.admin_url, name)
        schema = _schema()
        if schema not in self._pools:
            self._pools[schema] = DatabasePool(server, template_database(server, schema, _migrate))
        pool = self._pools[schema]
        taken = pool.take()
        return server.url_for(taken), lambda: pool.give_back(taken)


class FreshDatabases:
    """Clean databases of one test, or of one module: ``url("postgresql")``; all are taken back at its end."""

    def __init__(self, maker: DatabaseMaker) -> None:
        self._maker = maker
        self._take_back: list[Callable[[], None]] = []

    def url(self, dialect: str, *, migrated: bool = True) -> str:
        """Return the URL of a clean database.

        Args:
            dialect: ``sqlite`` or ``postgresql``.
            migrated: at head; False for an empty database.
        """
        url, take_back = self._maker.make(dialect, migrated=migrated)
        self._take_back.append(take_back)
        return url

    def drop_all(self) -> None:
        """Take back what was made since the last call; after that no test may use it."""
        while self._take_back:
            self._take_back.pop()()


def _schema() -> str:
    """Identify the schema at head by the contents of all revision files: a test may have replaced some."""
    digest = hashlib.blake2b(digest_size=8)
    for revision in scripts.chain():
        digest.update(scripts.checksum(revision).encode())
    return f"aragora_db_{digest.hexdigest()}"


def _migrate(url: str) -> None:
    database = Database(url)
    database.migrate()
    database.close()
