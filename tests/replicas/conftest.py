"""A primary with two streaming replicas for each worker, and databases on them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
import support
from sqlalchemy import text
from sqlalchemy.orm import Session

from aragora_db import Database, Settings
from aragora_db.testing.binaries import PostgresBinaries, find_postgres
from aragora_db.testing.databases import create_database
from aragora_db.testing.engines import ENGINES, EngineCase, EngineDatabase
from aragora_db.testing.plugin import missing
from aragora_db.testing.process import Account, server_account
from aragora_db.testing.standby import Server, start_primary, start_standby
from aragora_db.testing.workspace import make_workspace, remove_workspace

DATABASE = "aragora"


@dataclass
class Cluster:
    """Servers that tests may kill, as long as they do it through `Server`: the next test finds them mended."""

    workspace: Path
    account: Account | None
    binaries: PostgresBinaries
    primary: Server
    replicas: list[Server]
    numbers: Any = field(default_factory=itertools.count)

    def another_replica(self) -> Server:
        """A replica of the test's own, which the test stops."""
        name = f"standby-{next(self.numbers)}"
        return start_standby(self.primary, self.binaries, self.workspace, self.account, name)

    @property
    def url(self) -> str:
        """The database with our tables, on the primary; all tests share it."""
        return self.primary.url_for(DATABASE)

    def mend(self) -> None:
        """Start what is down, wake what sleeps, replay what waits, and wait until all replicas follow."""
        for server in (self.primary, *self.replicas):
            server.thaw()
            if not server.running:
                server.restart()
        for server in self.replicas:
            self.ask(server.url, "SELECT pg_wal_replay_resume()")
        self.ask(self.url, "DROP TABLE IF EXISTS t, counter")
        self.eventually(lambda: all(self.follows(server) for server in self.replicas), "all replicas follow")

    def follows(self, server: Server) -> bool:
        """Whether a replica has all that the primary has."""
        there = self.ask(self.primary.url, "SELECT pg_current_wal_flush_lsn()")
        return bool(self.ask(server.url, "SELECT pg_last_wal_replay_lsn() >= %s", there))

    @staticmethod
    def ask(url: str, statement: str, *values: Any) -> Any:
        """The first column of the first row, over a connection of its own."""
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement, values)
            row = cursor.fetchone() if cursor.description is not None else None
            return row[0] if row is not None else None

    eventually = staticmethod(support.eventually)


class ReplicatedDatabase(EngineDatabase):
    """A `Database` that tells where its read-only units of work run."""

    def __init__(self, settings: Settings, case: EngineCase) -> None:
        super().__init__(settings, case)  # type: ignore[arg-type] # settings do as well as a URL

    def where(self, **options: Any) -> int:
        """The port of the server that one of them ran on."""
        return self.run(_port, read_only=True, **options)

    def ports(self, number: int = 8, **options: Any) -> set[int]:
        """The ports of the servers that several of them ran on."""
        return {self.where(**options) for _ in range(number)}

    def write(self, statement: str) -> None:
        """Run a statement in a unit of work."""
        self.run(lambda session: session.execute(text(statement)).close())

    def read(self, statement: str, **options: Any) -> Any:
        """The first column of the first row, from a read-only unit of work."""
        return self.run(lambda session: session.scalar(text(statement)), read_only=True, **options)

    def serving(self) -> list[bool]:
        """Whether each replica takes part."""
        return [each["healthy"] for each in self.replicas_health()]

    def reasons(self) -> list[str | None]:
        """Why each replica does not."""
        return [each["reason"] for each in self.replicas_health()]


def _port(session: Session) -> int:
    return int(session.scalar(text("SELECT inet_server_port()")) or 0)


@pytest.fixture(scope="session")
def _cluster() -> Iterator[Cluster]:
    binaries = find_postgres()
    if binaries is None or not (binaries.bindir / "pg_basebackup").exists():
        missing("no pg_basebackup here: replicas are copied with it. Install the package postgresql")
    account = server_account()
    workspace = make_workspace(account)
    with ExitStack() as stack:
        stack.callback(remove_workspace, workspace)
        primary = start_primary(binaries, workspace, account)
        stack.callback(primary.stop)
        made = Cluster(workspace, account, binaries, primary, [])
        migrated = Database(create_database(primary.url, DATABASE))
        migrated.migrate()
        migrated.close()
        for _ in range(2):
            made.replicas.append(made.another_replica())
            stack.callback(made.replicas[-1].stop)
        yield made


@pytest.fixture
def cluster(_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A primary and two replicas that all work; a `Database` asks them ten times as often as in production."""
    monkeypatch.setattr("aragora_db.replicas.monitor._PAUSE_SECONDS", 0.1)
    _cluster.mend()
    return _cluster


@pytest.fixture
def open_database(cluster: Cluster) -> Iterator[Callable[..., ReplicatedDatabase]]:
    """Opens the database through an engine: ``open_database(case, replicas=cluster.replicas[:1], replica_wait=0)``.

    Unless ``ready=False`` it waits until every replica takes part.
    """
    with ExitStack() as stack:

        def make(
            case: EngineCase = ENGINES[2],
            *,
            replicas: list[Server] | None = None,
            url: str | None = None,
            urls: list[str] | None = None,
            ready: bool = True,
            **settings: Any,
        ) -> ReplicatedDatabase:
            servers = cluster.replicas if replicas is None else replicas
            read_urls = ",".join(urls or [f"postgresql://127.0.0.1:{server.port}" for server in servers])
            database = ReplicatedDatabase(
                Settings.explicit(database_url=url or cluster.url, read_urls=read_urls, **settings), case
            )
            stack.callback(database.end)
            database.ensure_ready()
            if ready:
                cluster.eventually(lambda: all(database.serving()), "all replicas serve")
            return database

        yield make


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with psycopg's sync and async mode."""
    if "server_case" in metafunc.fixturenames:
        metafunc.parametrize("server_case", [case for case in ENGINES if case.server], ids=str)
