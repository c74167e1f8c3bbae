"""A connection from the pool and SELECT 1, through our engine and through psycopg's own pool."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from grown import both_dialects
from measure import Result, against, in_turns
from psycopg_pool import ConnectionPool
from sqlalchemy import Engine

from aragora_db import Database, Settings

CALLS = 500
PEER = "psycopg_pool, its check on"
NOTES = (
    f"Each run makes {CALLS} calls one after the other, each a checkout, SELECT 1 and the way back, over TCP on one",
    "machine. The ratio is of times: 2 is half the rate. psycopg_pool opens a transaction as we do, and with its",
    "check on it sends an empty query first. Our pre-ping sends one once a second, and looks at the socket in between.",
    "Bars, as rates to psycopg_pool without a check: 0.5 with pre-ping (ratio 2), 0.8 for autocommit reads (1.25).",
)


def measure(runs: int) -> Result:
    """Ours with and without transaction, the peer with and without its check."""
    with both_dialects("pool") as dialects:
        # With the timeouts that everybody has.
        database = Database(Settings.explicit(database_url=dialects["postgresql"]("pool").dsn.url()))
        conninfo = database.dsn.conninfo()
        plain = ConnectionPool(conninfo, min_size=1, max_size=4, open=True)
        checked = ConnectionPool(conninfo, min_size=1, max_size=4, open=True, check=ConnectionPool.check_connection)
        try:
            seconds = in_turns(_actions(database, plain, checked), runs)
        finally:
            plain.close()
            checked.close()
            database.close()
    return Result("pool", "Pool checkout and SELECT 1", against("psycopg_pool", seconds), NOTES)


def _actions(database: Database, plain: ConnectionPool, checked: ConnectionPool) -> dict[str, Callable[[], float]]:
    autocommit = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    return {
        "psycopg_pool": _timed(lambda: _peer(plain)),
        PEER: _timed(lambda: _peer(checked)),
        "our engine (pre-ping, transaction)": _timed(lambda: _ours(database.engine)),
        "our engine (pre-ping, autocommit)": _timed(lambda: _ours(autocommit)),
    }


def _peer(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        connection.execute("SELECT 1").fetchone()


def _ours(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1").scalar_one()


def _timed(call: Callable[[], None]) -> Callable[[], float]:
    def run() -> float:
        start = perf_counter()
        for _ in range(CALLS):
            call()
        return perf_counter() - start

    return run
