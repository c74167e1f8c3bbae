"""The pytest plugin: session fixtures for real servers.

Opt in with ``pytest_plugins = ["aragora_db.testing.plugin"]`` in the top ``conftest.py``. A server that this machine
cannot start is a skip that names what is missing, and a failure when the environment variable ``CI`` is true. With
pytest-xdist the servers belong to the controller and all workers share them.

``database`` runs a test on four drivers: pysqlite, aiosqlite, psycopg, psycopg_async. ``pytest --engine psycopg`` runs
such tests on one of them; the option may be given several times. ``async def`` tests take ``async_database``, which
runs them on the two async drivers; it needs pytest-asyncio.
"""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import pytest

from aragora_db.testing.binaries import find_postgres, is_true
from aragora_db.testing.client import OwnKeeper, ask
from aragora_db.testing.handles import PgBouncer, PostgresServer, RedisServer

if TYPE_CHECKING:
    from aragora_db.database import Database
    from aragora_db.testing.engines import EngineCase, EngineDatabase
    from aragora_db.testing.fresh import DatabaseMaker, FreshDatabases

__all__ = [
    "async_database",
    "database",
    "database_maker",
    "fresh_databases",
    "missing",
    "pgbouncer",
    "postgres_server",
    "redis_server",
]

_ENGINE_NAMES = ("pysqlite", "aiosqlite", "psycopg", "psycopg_async")

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

    def folder(self) -> Path:
        """The run's folder, on tmpfs where there is room; the keeper deletes it when the run ends, however it ends."""
        control = self.keeper.control if self.keeper is not None else self.control
        return Path(control).parent

    def given_postgres(self, url: str) -> PostgresServer:
        """The server that the user named."""
        __tracebackhide__ = True  # pytest prints arguments, and the URL may hold a password
        scheme, separator, rest = url.partition("://")
        if not separator or scheme.split("+")[0] not in {"postgres", "postgresql"}:
            from aragora_db.errors import ConfigurationError  # noqa: PLC0415 -- needed only to fail; saves 410 ms

            raise ConfigurationError(
                f"{POSTGRES_URL} does not name a PostgreSQL: write postgresql://user:password@host/db"
            )
        binaries = find_postgres()
        bindir = binaries.bindir if binaries is not None else None
        return PostgresServer(f"postgresql://{rest}", self.identifier, self.worker, bindir=bindir)


RUN = pytest.StashKey[_Run]()
"""Where a pytest configuration keeps its run."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--engine``."""
    parser.getgroup("aragora_db").addoption(
        "--engine",
        action="append",
        choices=_ENGINE_NAMES,
        help="run tests that take `database` on this driver only; may be given several times (default: all four)",
    )


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
        from aragora_db.testing.databases import drop_run  # noqa: PLC0415 -- saves 130 ms

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
def database_maker(pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> DatabaseMaker:
    """Makes clean databases of either dialect, for fixtures of a wider scope than a test: `FreshDatabases(maker)`."""
    from aragora_db.testing.fresh import DatabaseMaker  # noqa: PLC0415 -- saves 1.1 s

    run = pytestconfig.stash[RUN]
    return DatabaseMaker(run.folder(), lambda: request.getfixturevalue("postgres_server"), run.worker)


@pytest.fixture
def fresh_databases(database_maker: DatabaseMaker) -> Iterator[FreshDatabases]:
    """Clean databases of either dialect for one test: ``fresh_databases.url("postgresql", migrated=False)``."""
    from aragora_db.testing.fresh import FreshDatabases  # noqa: PLC0415 -- saves 1.1 s

    fresh = FreshDatabases(database_maker)
    yield fresh
    fresh.drop_all()


@pytest.fixture
def database(engine_case: EngineCase, fresh_databases: FreshDatabases) -> Iterator[EngineDatabase]:
    """A clean database at head, once for each driver; ``database.run(work)`` goes through that driver."""
    from aragora_db.testing.engines import EngineDatabase  # noqa: PLC0415 -- saves 1.1 s

    database = EngineDatabase(fresh_databases.url(engine_case.dialect), engine_case)
    yield database
    database.end()


async def _async_database(async_engine_case: EngineCase, fresh_databases: FreshDatabases) -> AsyncIterator[Database]:
    """A clean database at head for an ``async def`` test, once for each async driver; it lives in the test's loop."""
    from aragora_db.database import Database  # noqa: PLC0415 -- saves 1.1 s

    database = Database(fresh_databases.url(async_engine_case.dialect))
    yield database
    await database.aclose()


def _needs_pytest_asyncio() -> None:
    """Fail: only pytest-asyncio runs async fixtures."""
    pytest.fail("async_database needs pytest-asyncio: pip install pytest-asyncio", pytrace=False)


try:
    import pytest_asyncio
except ImportError:
    async_database: Any = pytest.fixture(_needs_pytest_asyncio, name="async_database")
else:
    async_database = pytest_asyncio.fixture(_async_database, name="async_database")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each engine, or for each dialect, if it asks for one."""
    wanted = {"engine_case", "async_engine_case", "dialect"}.intersection(metafunc.fixturenames)
    if not wanted:
        return
    from aragora_db.testing.engines import ENGINES  # noqa: PLC0415 -- saves 1.1 s

    chosen = metafunc.config.getoption("engine") or _ENGINE_NAMES
    engines = [case for case in ENGINES if case.name in chosen]
    if "engine_case" in wanted:
        metafunc.parametrize("engine_case", engines, ids=str)
    if "async_engine_case" in wanted:
        metafunc.parametrize("async_engine_case", [case for case in engines if case.is_async], ids=str)
    if "dialect" in wanted:
        metafunc.parametrize("dialect", list(dict.fromkeys(case.dialect for case in engines)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what could not be tested here, grouped by the missing thing, with the command that installs it."""
    reasons = Counter(_reason_of(report) for report in terminalreporter.stats.get("skipped", ()))
    lines = [f"{number:5}  {reason}" for reason, number in reasons.most_common() if reason.startswith("no ")]
    if lines:
        terminalreporter.section("tests that were skipped because something is not installed", sep="-")
        for line in lines:
            terminalreporter.write_line(line)


def _reason_of(report: Any) -> str:
    """The reason of a skip: pytest reports ``(path, line, "Skipped: reason")``."""
    longrepr: object = report.longrepr
    if isinstance(longrepr, tuple):
        _path, _line, text = cast("tuple[str, int, str]", longrepr)
        return text.removeprefix("Skipped: ")
    return str(longrepr)


def missing(reason: str) -> NoReturn:
    """Skip the test and say what is missing; where the environment variable ``CI`` is true, fail it.

    Args:
        reason: ``no X here: ...``, ending with the command that installs it; the end of the run groups skips by it.
    """
    if is_true(os.environ.get("CI")):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
