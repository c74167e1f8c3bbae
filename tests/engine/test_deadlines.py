"""The client's own timers, where nobody expects them to run."""

from __future__ import annotations

import gc
import threading
from contextlib import ExitStack

import pytest
from sqlalchemy import text
from support import HANG_SECONDS

from aragora_db.config import Settings
from aragora_db.engine import create_engine, watchdog
from aragora_db.engine.batch import run_batch
from aragora_db.errors import CommandTimeout, DatabaseUnavailable


@pytest.fixture
def make(fresh_databases, no_grace):  # noqa: ARG001 -- it is set before an engine is made
    """Makes sync engines: ``make()``, or ``make(url, statement_timeout=0, command_timeout=0.5)``."""
    with ExitStack() as stack:

        def make(url=None, **fractions):
            url = url or fresh_databases.url("postgresql")
            engine = create_engine(Settings.explicit(database_url=url).model_copy(update=fractions))
            stack.callback(engine.dispose)
            return engine

        yield make


def test_a_forgotten_connection_collected_by_the_timer(make):
    """Its ROLLBACK waited for the timer's lock in the timer's own thread, and every later statement after it."""
    engine = make()
    connection = engine.connect()
    connection.execute(text("SELECT 1"))
    cycle = [connection]
    cycle.append(cycle)
    gc.disable()
    try:
        del connection, cycle
        collected = threading.Event()
        watchdog.watch(0.0, lambda: (gc.collect(), collected.set()))
        assert collected.wait(HANG_SECONDS)
    finally:
        gc.enable()
    assert engine.pool.checkedout() == 0
    with engine.connect() as another:
        assert another.scalar(text("SELECT 2")) == 2


def test_a_detached_connection_is_watched(make, fresh_databases, proxy_to):
    """It has left the pool, and its server may hang all the same."""
    proxy = proxy_to(fresh_databases.url("postgresql"))
    with make(proxy.url, statement_timeout=0, command_timeout=0.5).connect() as connection:
        connection.detach()
        connection.execute(text("SELECT 1"))
        proxy.freeze()
        with pytest.raises(CommandTimeout):
            connection.execute(text("SELECT 2"))
        proxy.thaw()


def test_the_isolation_level_is_asked_in_time(make, fresh_databases, proxy_to):
    """An engine asks for it on its first connection, while other threads wait to connect."""
    proxy = proxy_to(fresh_databases.url("postgresql"))
    with make(proxy.url, statement_timeout=0, command_timeout=0.5).connect() as connection:
        proxy.freeze()
        with pytest.raises(DatabaseUnavailable):
            connection.get_isolation_level()
        proxy.thaw()


@pytest.mark.parametrize("options", [{"no_parameters": True}, {"stream_results": True}, {"yield_per": 10}], ids=str)
def test_a_batch_runs_whatever_its_caller_set(database, options):
    """With other options for the caller's own statements its rows were not written, without an error."""
    ran = []

    def work(session):
        connection = session.connection().execution_options(**options)
        run_batch(connection, "test", (), lambda cursor: ran.append(cursor.execute("SELECT 1")))

    database.run(work)
    assert len(ran) == 1
