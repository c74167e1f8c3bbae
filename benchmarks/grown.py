"""Databases filled by SQL, small ones and large ones, on both dialects; shared by the benchmarks of reading."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from time import perf_counter

import sqlalchemy as sa
from measure import Row, against, in_turns

from aragora_db import Database, Settings
from aragora_db.testing.client import OwnKeeper, ask
from aragora_db.testing.databases import create_database

CALLS = 20  # of each run

Fill = Callable[[Database, int], None]
Call = Callable[[Database, int], object]


@contextmanager
def both_dialects(name: str) -> Iterator[dict[str, Callable[[str], Database]]]:
    """For each dialect that this machine has, a function that makes a database at head under a name."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        makers = {"sqlite": lambda label: f"sqlite:///{folder / label}.db"}
        server = ask(stack.enter_context(closing(OwnKeeper())).control, "postgresql")
        if isinstance(server, str):
            print(f"Without PostgreSQL: {server}")
        else:
            makers["postgresql"] = lambda label: create_database(server["admin_url"], f"bench_{name}_{label}")

        def make(dialect: str, label: str) -> Database:
            # Filling a table with a million rows is no request: without the timeouts of one.
            url = makers[dialect](label)
            database = Database(Settings.explicit(database_url=url, statement_timeout=0, command_timeout=0))
            stack.callback(database.close)
            database.migrate()
            return database

        yield {dialect: lambda label, dialect=dialect: make(dialect, label) for dialect in makers}


def run_sql(database: Database, statements: Sequence[str]) -> None:
    """Run statements in one transaction, then let the database look at what it has."""
    with database.session() as session:
        for statement in statements:
            session.execute(sa.text(statement))
    options = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    with options.connect() as connection:
        for statement in ("VACUUM", "ANALYZE"):
            connection.exec_driver_sql(statement)


def numbers(count: int) -> str:
    """A table ``n`` of the numbers from 1, which both dialects understand."""
    return f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"


def instant(database: Database, seconds: str) -> str:
    """An SQL expression: the given seconds after the first of January 2026."""
    if database.dsn.backend == "sqlite":
        return f"strftime('%Y-%m-%d %H:%M:%S', 1767225600 + ({seconds}), 'unixepoch') || '.000000+00:00'"
    return f"timestamptz '2026-01-01 00:00:00+00' + make_interval(secs => {seconds})"


def compare(label: str, small: Database, large: Database, call: Call, runs: int) -> tuple[Row, ...]:
    """The same calls on both, in turns; the ratio is large to small."""

    def timed(database: Database) -> Callable[[], float]:
        def run() -> float:
            start = perf_counter()
            for number in range(CALLS):
                call(database, number)
            return perf_counter() - start

        return run

    names = f"{label}, small", f"{label}, large"
    seconds = in_turns({names[0]: timed(small), names[1]: timed(large)}, runs)
    return against(names[0], seconds)
