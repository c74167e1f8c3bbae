"""What the stores' tests share: databases of the two sync drivers, state machines, threads that race, query plans.

The stores are one sync code behind `run_sync`, so the drivers' difference shows in one call of each verb:
`test_every_verb.py` runs all verbs on all four drivers, the other files run on pysqlite and psycopg only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from threading import Barrier
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from sqlalchemy import event
from sqlalchemy.orm import Session
from support import HANG_SECONDS

from aragora_db import Database
from aragora_db.engine.dialects import by_dialect
from aragora_db.models import Base
from aragora_db.testing.engines import ENGINES, EngineDatabase
from aragora_db.testing.fresh import FreshDatabases

T = TypeVar("T")

SYNC = {case.dialect: case for case in ENGINES if not case.is_async}


@pytest.fixture
def database(dialect: str, fresh_databases: FreshDatabases) -> Iterator[EngineDatabase]:
    """A database at head, once for each dialect, on its sync driver; overrides the plugin's, which runs on all four."""
    database = EngineDatabase(fresh_databases.url(dialect), SYNC[dialect])
    yield database
    database.end()


@pytest.fixture
def plain_database(dialect: str, fresh_databases: FreshDatabases) -> Iterator[Database]:
    """A `Database` of each dialect, for tests about what transactions do to each other."""
    database = Database(fresh_databases.url(dialect))
    yield database
    database.close()


# An hour, because ten times as many examples as in the short form take minutes.
LONG = [pytest.mark.faults, pytest.mark.timeout(3600)]


# Rules are the same code on both dialects, and a step costs three times as much on a server.
SHORT = {"sqlite": 1.0, "postgresql": 0.4}


@pytest.fixture(params=[pytest.param(1, id="short"), pytest.param(10, id="long", marks=LONG)])
def play(request: pytest.FixtureRequest, plain_database: Database, dialect: str) -> Callable[..., None]:
    """Run a state machine, ``play(Machine)``; its class takes the database, whose tables are empty at each example.

    The long form (`make test-faults`) runs ten times as many examples.
    """

    def play(machine: Callable[[Database], RuleBasedStateMachine], examples: int = 12, steps: int = 20) -> None:
        def start() -> RuleBasedStateMachine:
            plain_database.transact(_empty)
            return machine(plain_database)

        checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
        run_state_machine_as_test(
            start,
            settings=settings(
                max_examples=round(examples * SHORT[dialect] * request.param),
                stateful_step_count=steps,
                deadline=None,
                suppress_health_check=checks,
            ),
        )

    return play


def _empty(session: Session) -> None:
    for table in reversed(Base.metadata.sorted_tables):
        if table.name != "schema_history":
            session.execute(sa.delete(table))


@pytest.fixture
def race(plain_database: Database) -> Callable[..., list[Any]]:
    """Run units of work at the same time, each in a thread and a transaction of its own; returns their values."""

    def race(works: Sequence[Callable[[Session], T]]) -> list[T]:
        plain_database.ensure_ready()
        barrier = Barrier(len(works), timeout=HANG_SECONDS)

        def run(work: Callable[[Session], T]) -> T:
            barrier.wait()
            return plain_database.transact(work)

        pool = ThreadPoolExecutor(len(works))
        try:
            futures = [pool.submit(run, work) for work in works]
            return [future.result(timeout=HANG_SECONDS) for future in futures]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # a thread that hangs must not hold up the failure

    return race


@dataclass(frozen=True)
class Statement:
    """What was sent to the database, as the driver got it."""

    text: str
    parameters: Any


@dataclass(frozen=True)
class Plan:
    """How the database would run a statement; `scanned` are the tables that it would read whole, without an index."""

    lines: tuple[str, ...]
    scanned: tuple[str, ...]


@pytest.fixture
def count_statements() -> Callable[[Database], AbstractContextManager[list[Statement]]]:
    """Collects what is sent to a database while a ``with`` block runs: its length is the number of statements.

    Not what begins and ends transactions. Many rows in one ``executemany`` are one statement.
    """

    @contextmanager
    def collect(database: Database) -> Iterator[list[Statement]]:
        sent: list[Statement] = []

        def listen(_connection: Any, _cursor: Any, text: str, parameters: Any, *_: Any) -> None:
            if not text.startswith(("BEGIN", "SET", "COMMIT", "ROLLBACK")):
                sent.append(Statement(text, parameters))

        event.listen(database.engine, "before_cursor_execute", listen)
        try:
            yield sent
        finally:
            event.remove(database.engine, "before_cursor_execute", listen)

    return collect


@pytest.fixture
def plan_of() -> Callable[[Session, Statement], Plan]:
    """The plan of a statement that `count_statements` collected: ``plan_of(session, statement)``.

    PostgreSQL needs statistics first: ``session.execute(sa.text("ANALYZE"))``, which SQLite knows too.
    """

    def plan_of(session: Session, statement: Statement) -> Plan:
        lines = tuple(_explain(session, statement))
        tables = {table.name for table in Base.metadata.sorted_tables}
        found = [name for line in lines for name in _WHOLE.findall(line) if "INDEX" not in line]
        # An alias that SQLAlchemy made for a table ends in a number.
        return Plan(lines, tuple(name for name in found if re.sub(r"_\d+$", "", name) in tables))

    return plan_of


_WHOLE = re.compile(r"(?:Seq Scan on|SCAN) (\w+)")


def _explain_postgresql(session: Session, statement: Statement) -> list[str]:
    return [row[0] for row in session.connection().exec_driver_sql(f"EXPLAIN {statement.text}", statement.parameters)]


def _explain_sqlite(session: Session, statement: Statement) -> list[str]:
    rows = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement.text}", statement.parameters)
    return [row[3] for row in rows]


_explain = by_dialect(postgresql=_explain_postgresql, sqlite=_explain_sqlite)
