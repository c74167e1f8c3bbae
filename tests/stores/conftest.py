"""What the stores' tests share: state machines that begin each example with empty tables, and threads that race."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from sqlalchemy.orm import Session

from aragora_db import Database
from aragora_db.models import Base
from aragora_db.testing.fresh import FreshDatabases

T = TypeVar("T")


@pytest.fixture
def plain_database(dialect: str, fresh_databases: FreshDatabases) -> Iterator[Database]:
    """A `Database` of each dialect, for tests about what transactions do to each other."""
    database = Database(fresh_databases.url(dialect))
    yield database
    database.close()


@pytest.fixture
def play(plain_database: Database) -> Callable[..., None]:
    """Plays a state machine, ``play(Machine)``; its class takes the database, whose tables are empty then."""

    def play(machine: Callable[[Database], RuleBasedStateMachine], examples: int = 12, steps: int = 20) -> None:
        def start() -> RuleBasedStateMachine:
            plain_database.transact(_empty)
            return machine(plain_database)

        checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
        run_state_machine_as_test(
            start,
            settings=settings(
                max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=checks
            ),
        )

    return play


def _empty(session: Session) -> None:
    for table in reversed(Base.metadata.sorted_tables):
        if table.name != "schema_history":
            session.execute(sa.delete(table))


@pytest.fixture
def race(plain_database: Database) -> Callable[..., list[Any]]:
    """Runs units of work at the same time, each in a thread and a transaction of its own; returns their values."""

    def race(works: Sequence[Callable[[Session], T]]) -> list[T]:
        plain_database.ensure_ready()
        barrier = Barrier(len(works))

        def run(work: Callable[[Session], T]) -> T:
            barrier.wait()
            return plain_database.transact(work)

        with ThreadPoolExecutor(len(works)) as pool:
            return [future.result() for future in [pool.submit(run, work) for work in works]]

    return race
