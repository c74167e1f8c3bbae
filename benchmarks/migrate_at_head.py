"""``db.migrate()`` with nothing to do, which every start runs, against opening one connection."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from time import perf_counter

import psycopg
from measure import Result, Row, against, in_turns

from aragora_db import Database
from aragora_db.testing.client import OwnKeeper, ask
from aragora_db.testing.databases import create_database


def measure(runs: int) -> Result:
    """Both dialects, ours and the bare driver in turns, in this process."""
    rows: list[Row] = []
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "head.db"
        rows += _against_driver("sqlite3", f"sqlite:///{path}", lambda: _sqlite(path), runs)
    with closing(OwnKeeper()) as keeper:
        server = ask(keeper.control, "postgresql")
        if isinstance(server, str):
            notes.append(f"Without PostgreSQL: {server}")
        else:
            url = create_database(server["admin_url"], "bench_migrate")
            rows += _against_driver("psycopg", url, lambda: _postgresql(url), runs)
    return Result("migrate_at_head", "migrate at head", tuple(rows), notes=tuple(notes))


def _against_driver(driver: str, url: str, connect: Callable[[], None], runs: int) -> tuple[Row, ...]:
    database = Database(url)
    assert database.migrate(), "the database was meant to be empty"

    def migrate() -> None:
        assert database.migrate() == [], "the database was meant to be at head"

    peer, ours = f"{driver}: connect, SELECT 1, close", f"{driver}: db.migrate() at head"
    seconds = in_turns({peer: lambda: _timed(connect), ours: lambda: _timed(migrate)}, runs)
    database.close()
    return against(peer, seconds)


def _timed(action: Callable[[], None]) -> float:
    start = perf_counter()
    action()
    return perf_counter() - start


def _sqlite(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT 1").fetchone()


def _postgresql(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("SELECT 1").fetchone()
