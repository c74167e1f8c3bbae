"""The pytest plugin: session fixtures for real servers.

Opt in with ``pytest_plugins = ["aragora_db.testing.plugin"]`` in the top ``conftest.py``. A server that this machine
cannot start is a skip that names what is missing, and a failure when the environment variable ``CI`` is true. With
pytest-xdist the servers belong to the controller and all workers share them.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from aragora_db.testing.binaries import find_postgres, is_true
from aragora_db.testing.client import OwnKeeper, ask
from aragora_db.testing.handles import PgBouncer, PostgresServer, RedisServer

if TYPE_CHECKING:
    from aragora_db.testing.engines import EngineCase, EngineDatabase
    from aragora_db.testing.fresh import FreshDatabases

__all__ = ["database", "fresh_databases", "pgbouncer", "postgres_server", "redis_server"]

POSTGRES_URL = "ARAGORA_TEST_POSTGRES_URL"
REDIS_URL = "ARAGORA_TEST_REDIS_URL"

_WORKERINPUT = "aragora_db_testing"


@dataclass
class _Run:
    """This process's part of a test run.

    Attributes:
        keeper: ours, or None in a worker of pytest-xdist, which asks the controller's.
        control: the path of the controller's keeper, in a worker.
        identifier: the same in every worker.
        worker: the worker's name.
        used_url: whether databases may have been made on a server that was given by URL.
    """

    keeper: OwnKeeper | None = field(default_factory=OwnKeeper)
    control: str = ""
    identifier: str = field(default_factory=lambda: secrets.token_hex(4))
    worker: str = "main"
    used_url: bool = False

    def start(self, kind: str, **details: str) -> dict[str, Any]:
        """The address of a server; skips or fails the test when there is none."""
        answer = ask(self.keeper.control if self.keeper is not None else self.control, kind, **details)
        if isinstance(answer, str):
            missing(answer)
        return answer

    def given_postgres(self, url: str) -> PostgresServer:
        """The server that the user named."""
        __tracebackhide__ = True  # pytest prints arguments, and the URL may hold a password
        scheme, separator, rest = url.partition("://")
        if not separator or scheme.split("+")[0] not in {"postgres", "postgresql"}:
            from aragora_db.errors import ConfigurationError  # noqa: PLC0415 -- pulls in SQLAlchemy, needed only to fail

            raise ConfigurationError(
                f"{POSTGRES_URL} does not name a PostgreSQL: write postgresql://user:password@host/db"
            )
        binaries = find_postgres()
        bindir = binaries.bindir if binaries is not None else None
        return PostgresServer(f"postgresql://{rest}", self.identifier, self.worker, bindir=bindir)


RUN = pytest.StashKey[_Run]()
"""Where a pytest configuration keeps its run."""


def pytest_configure(config: pytest.Config) -> None:
    """Prepare the run; nothing is started before a test, or a worker, needs it."""
    given: dict[str, str] | None = getattr(config, "workerinput", {}).get(_WORKERINPUT)
    worker: str = getattr(config, "workerinput", {}).get("workerid", "main")
    config.stash[RUN] = _Run(None, given["control"], given["run"], worker) if given else _Run()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """In the controller of pytest-xdist: tell a new worker where the keeper listens and which run this is."""
    run: _Run = node.config.stash[RUN]
    if run.keeper is not None:
        run.used_url = True
        node.workerinput[_WORKERINPUT] = {"control": run.keeper.control, "run": run.identifier}


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started, and drop this run's databases from a server that outlives it."""
    run = config.stash.get(RUN, None)
    if run is None or run.keeper is None:
        return
    run.keeper.close()
    url = os.environ.get(POSTGRES_URL)
    if url and run.used_url:
        from aragora_db.testing.databases import drop_run  # noqa: PLC0415 -- imports psycopg

        drop_run(run.given_postgres(url))


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> PostgresServer:
    """A PostgreSQL: the one ``ARAGORA_TEST_POSTGRES_URL`` names, else a private one of this machine's binaries."""
    run = pytestconfig.stash[RUN]
    url = os.environ.get(POSTGRES_URL)
    if url:
        run.used_url = True
        return run.given_postgres(url)
    address = run.start("postgresql")
    return PostgresServer(
        address["admin_url"],
        run.identifier,
        run.worker,
        socket_url=address["socket_url"],
        bindir=Path(address["bindir"]),
        pid=address["pid"],
    )


@pytest.fixture(scope="session")
def redis_server(pytestconfig: pytest.Config) -> RedisServer:
    """A Redis: the one ``ARAGORA_TEST_REDIS_URL`` names, else a private one that all workers share."""
    url = os.environ.get(REDIS_URL)
    return RedisServer(url) if url else RedisServer(**pytestconfig.stash[RUN].start("redis"))


@pytest.fixture(scope="session")
def pgbouncer(pytestconfig: pytest.Config, postgres_server: PostgresServer) -> PgBouncer:
    """A PgBouncer in transaction mode in front of ``postgres_server``."""
    upstream = postgres_server.socket_url or postgres_server.admin_url
    return PgBouncer(**pytestconfig.stash[RUN].start("pgbouncer", upstream=upstream))


@pytest.fixture(scope="session")
def _fresh(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> FreshDatabases:
    from aragora_db.testing.fresh import FreshDatabases  # noqa: PLC0415 -- imports SQLAlchemy

    return FreshDatabases(tmp_path_factory.mktemp("databases"), lambda: request.getfixturevalue("postgres_server"))


@pytest.fixture
def fresh_databases(_fresh: FreshDatabases) -> Iterator[FreshDatabases]:
    """Makes databases of either dialect for one test: ``fresh_databases.url("postgresql", migrated=False)``."""
    yield _fresh
    _fresh.drop_all()


@pytest.fixture
def database(engine_case: EngineCase, fresh_databases: FreshDatabases) -> Iterator[EngineDatabase]:
    """A database at head, once for each engine; ``database.run(work)`` goes through the engine's driver."""
    from aragora_db.testing.engines import EngineDatabase  # noqa: PLC0415 -- imports SQLAlchemy

    database = EngineDatabase(fresh_databases.url(engine_case.dialect), engine_case)
    yield database
    database.end()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each engine, or for each dialect, if it asks for one."""
    if "engine_case" in metafunc.fixturenames:
        from aragora_db.testing.engines import ENGINES  # noqa: PLC0415 -- imports SQLAlchemy

        metafunc.parametrize("engine_case", ENGINES, ids=str)
    if "dialect" in metafunc.fixturenames:
        metafunc.parametrize("dialect", ["sqlite", "postgresql"])


def missing(reason: str) -> NoReturn:
    """Skip the test and say what is missing; where the environment variable ``CI`` is true, fail it."""
    if is_true(os.environ.get("CI")):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
