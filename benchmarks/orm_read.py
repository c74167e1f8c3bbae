"""10,000 ratings as objects and as rows, against the driver's tuples."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from time import perf_counter

import psycopg
import sqlalchemy as sa
from grown import both_dialects, numbers, run_sql
from measure import Result, Row, against, in_turns
from sqlalchemy.orm import Session

from aragora_db import Database
from aragora_db.models import EloRating

ROWS = 10_000
COLUMNS = tuple(column.name for column in sa.inspect(EloRating).columns)
NOTES = (
    f"{ROWS:,} rows of {len(COLUMNS)} columns in one query, read-only. The driver fetches the same columns,",
    "SQLite's without making a datetime of text. Bars, as rates: objects at least 0.15 of the driver's (a ratio of 6.7",
    "or less), rows on PostgreSQL at least 0.6 (1.67 or less). A third to a half of the time for objects is Python's",
    "garbage collector, which looks at every new object.",
)


def measure(runs: int) -> Result:
    """Both dialects."""
    rows: list[Row] = []
    with both_dialects("orm") as dialects:
        for dialect, make in dialects.items():
            database = make("read")
            run_sql(database, [f"{numbers(ROWS)} INSERT INTO elo_ratings (agent_name) SELECT 'agent-' || i FROM n"])
            rows += _one(dialect, database, runs)
    return Result("orm_read", "Reading 10,000 rows", tuple(rows), NOTES)


def _one(dialect: str, database: Database, runs: int) -> tuple[Row, ...]:
    query = f"SELECT {', '.join(COLUMNS)} FROM elo_ratings"
    connect = {
        "sqlite": lambda: sqlite3.connect(database.dsn.path),
        "postgresql": lambda: psycopg.connect(database.dsn.conninfo()),
    }[dialect]
    columns = sa.select(*(getattr(EloRating, name) for name in COLUMNS))
    with closing(connect()) as connection:
        peer = f"{dialect}: driver's tuples"
        seconds = in_turns(
            {
                peer: lambda: _timed(lambda: connection.execute(query).fetchall()),
                f"{dialect}: objects": lambda: _read(database, lambda s: s.scalars(sa.select(EloRating)).all()),
                f"{dialect}: rows": lambda: _read(database, lambda s: s.execute(columns).all()),
            },
            runs,
        )
    return against(peer, seconds)


def _timed(action: Callable[[], object]) -> float:
    start = perf_counter()
    action()
    return perf_counter() - start


def _read(database: Database, read: Callable[[Session], list[object]]) -> float:
    with database.session(read_only=True) as session:
        start = perf_counter()
        assert len(read(session)) == ROWS
        return perf_counter() - start
