"""Migrated PostgreSQL databases that the tests of one process use one after another."""

from __future__ import annotations

from collections import Counter, deque

from aragora_db.testing.databases import create_database, drop_database
from aragora_db.testing.handles import PostgresServer, url_of_database
from aragora_db.testing.reset import Baseline, reset_database, take_baseline

__all__ = ["DatabasePool"]

_LARGEST = 8
"""Databases that wait for a test at most; one takes about 12 MB."""


class DatabasePool:
    """Copies of one template. A copy is reset before the next test gets it, and dropped when it cannot be reset.

    Args:
        server: where the copies are.
        template: the name of the template database.

    Attributes:
        created: how many copies were made.
        reused: how many times a copy was reset instead.
        dropped: how many copies were dropped instead of reset, by reason.
    """

    def __init__(self, server: PostgresServer, template: str) -> None:
        self._server = server
        self._template = template
        self._used: deque[str] = deque()
        self._baseline: Baseline | None = None
        self.created = 0
        self.reused = 0
        self.dropped: Counter[str] = Counter()

    def take(self) -> str:
        """Return the name of a database that equals a fresh copy of the template.

        Raises:
            psycopg.Error: the server refused to create one.
        """
        # The one that was given back first: its sessions have had the most time to end.
        while self._used and self._baseline is not None:
            name = self._used.popleft()
            reason = reset_database(self._maintenance_url(name), self._baseline)
            if reason is None:
                self.reused += 1
                return name
            self.dropped[reason] += 1
            drop_database(self._server.admin_url, name)
        name = self._server.unique_name()
        create_database(self._server.admin_url, name, self._template)
        self.created += 1
        if self._baseline is None:
            self._baseline = take_baseline(self._maintenance_url(name))
        return name

    def give_back(self, name: str) -> None:
        """Take a database back from a test, in whatever state it is."""
        if len(self._used) < _LARGEST:
            self._used.append(name)
        else:
            drop_database(self._server.admin_url, name)

    def _maintenance_url(self, name: str) -> str:
        """A superuser's URL, over the socket if possible: without a password it connects in a third of the time."""
        return url_of_database(self._server.socket_url or self._server.admin_url, name)
