"""What the server fixtures hand to tests."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import quote, urlsplit

__all__ = ["PgBouncer", "PostgresServer", "RedisServer", "url_of_database"]


def url_of_database(url: str, dbname: str) -> str:
    """The same server, user and parameters, another database."""
    parts = urlsplit(url)
    # urlunsplit drops the empty authority's slashes for some schemes, so the parts are joined by hand.
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}/{quote(dbname, safe='')}{query}"


@dataclass(frozen=True)
class PostgresServer:
    """A PostgreSQL for tests.

    Attributes:
        admin_url: superuser over TCP, with its password, as libpq takes it (``postgresql://``).
        run: an identifier of this test run, the same in every worker; it is part of every database's name.
        worker: the pytest-xdist worker, such as ``gw0``, or ``main``.
        socket_url: superuser over the unix socket; None for a server that was given by URL.
        bindir: the folder with ``psql`` and ``pg_dump``, or None when this machine has none.
        pid: the server's process id; None for a server that was given by URL.
    """

    admin_url: str = field(repr=False)
    run: str
    worker: str = "main"
    socket_url: str | None = None
    bindir: Path | None = None
    pid: int | None = None
    _numbers: itertools.count[int] = field(default_factory=itertools.count, repr=False, compare=False)

    @property
    def prefix(self) -> str:
        """How the names of all databases of this run begin."""
        return f"aragora_test_{self.run}_"

    def unique_name(self) -> str:
        """A name for a new database that no other test of this run has."""
        return f"{self.prefix}{self.worker}_{next(self._numbers)}"

    def url_for(self, dbname: str) -> str:
        """``admin_url`` for another database."""
        return url_of_database(self.admin_url, dbname)

    @cached_property
    def version(self) -> int:
        """The server's version as a number, such as 150018; the major version is ``version // 10000``."""
        import psycopg  # noqa: PLC0415 -- saves every run of pytest 190 ms

        with psycopg.connect(self.admin_url) as connection:
            return connection.info.server_version

    def has(self, extension: str) -> bool:
        """Whether ``CREATE EXTENSION`` can find it."""
        import psycopg  # noqa: PLC0415 -- saves every run of pytest 190 ms

        with psycopg.connect(self.admin_url) as connection:
            found = connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = %s", (extension,))
            return found.fetchone() is not None


@dataclass(frozen=True)
class RedisServer:
    """A Redis for tests: its URL, and its process id unless it was given by URL."""

    url: str = field(repr=False)
    socket_url: str | None = None
    pid: int | None = None


@dataclass(frozen=True)
class PgBouncer:
    """A PgBouncer in transaction mode in front of the tests' PostgreSQL."""

    host: str
    port: int
    user: str
    pid: int

    def url_for(self, dbname: str) -> str:
        """The URL of a database through the pooler. No password is needed."""
        return f"postgresql://{quote(self.user, safe='')}@{self.host}:{self.port}/{quote(dbname, safe='')}"
