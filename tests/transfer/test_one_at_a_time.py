"""Two imports at once into one database."""

from __future__ import annotations

import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest
from support import HANG_SECONDS, eventually

from aragora_db.errors import TransferLocked
from aragora_db.migrations.lock import Lock
from aragora_db.transfer.import_lock import _LOCK

pytestmark = pytest.mark.slow

ROWS = """
    DELETE FROM elo_history;
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
    INSERT INTO elo_history (agent_name, elo, created_at) SELECT 'agent', i, '2026-09-23 06:27:43' FROM n;
"""
COUNTS = {"elo_history": 2_000, "elo_matches": 2, "elo_match_participants": 5, "consensus": 3, "legacy_rows": 3}

STOPPED = """
import signal
from aragora_db.cli.main import main
from aragora_db.transfer.target import import_ledger
original = import_ledger.record
def record(*arguments):
    if import_ledger.record is record:
        import_ledger.record = original
        print("stopped", flush=True)
        signal.raise_signal(signal.SIGSTOP)  # this thread, at once
    original(*arguments)
import_ledger.record = record
main()
"""
"""The program, which stops (as with Ctrl-Z) when it has imported its first table but not yet committed it."""


IMPATIENT = """
from aragora_db.cli.main import main
from aragora_db.transfer import run
original = run.import_lock
run.import_lock = lambda database, timeout: original(database, timeout / 20)
main()
"""
"""The program, which waits half a second for the lock instead of ten."""


@pytest.fixture
def files(sources):
    """A folder with some rows in several tables."""
    sources.write("agent_elo.db", sources.script("agent_elo"), ROWS)
    sources.aragora("consensus_memory")
    return sources


def _counts(importer):
    return {name: importer.count(name) for name in COUNTS}


@pytest.mark.slow
@pytest.mark.usefixtures("files")
def test_two_at_once(importer, start):
    """A timer that starts one before the last has ended: both end well, and every row is there once."""
    ended = [program.end() for program in [start(importer) for _ in range(2)]]
    assert [code for _, code in ended] == [0, 0], ended
    assert _counts(importer) == COUNTS
    assert importer(timezone=None).nothing_to_do
    assert importer(timezone=None, verify_only=True).good


@pytest.mark.slow
@pytest.mark.usefixtures("files")
def test_the_second_says_who_runs(into, start):
    """Nobody should have to guess whether the other one hangs, or on which machine it is."""
    importer = into("postgresql")
    first = start(importer, source=STOPPED)
    eventually(lambda: first.said == "stopped\n", "the first stops")
    said, code = start(importer, source=IMPATIENT).end()
    assert code == 4, said
    (holder,) = re.findall(r"process (\d+) \(aragora\S* import, [^)]+\), for \d+ s now, holds the import lock", said)
    with closing(psycopg.connect(importer.database.dsn.url())) as connection:
        found = connection.execute("SELECT application_name FROM pg_stat_activity WHERE pid = %s", (holder,))
        assert found.fetchone()[0].endswith(" import")
    assert "Traceback" not in said
    first.send_signal(signal.SIGCONT)
    assert first.end()[1] == 0
    said, code = start(importer).end()
    assert (code, "nothing to do" in said) == (0, True), said
    assert _counts(importer) == COUNTS


@pytest.mark.slow
@pytest.mark.usefixtures("files")
def test_the_second_waits_for_the_file(into, start):
    """SQLite lets one write at a time: the second waits for its turn, and finds everything done."""
    importer = into("sqlite")
    first = start(importer, source=STOPPED)
    eventually(lambda: first.said == "stopped\n", "the first stops")
    second = start(importer)
    time.sleep(1)  # nothing shows that a process waits for SQLite's lock
    assert second.poll() is None
    first.send_signal(signal.SIGCONT)
    assert [program.end()[1] for program in (first, second)] == [0, 0]
    assert _counts(importer) == COUNTS
    assert importer(timezone=None).nothing_to_do


WANTED = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE '% import' AND query = 'ROLLBACK' AND state = 'idle'
"""
"""Imports that tried to take the lock, did not get it, and sleep before they try again."""


def _release_once_wanted(holder, url):
    """End the transaction that holds the lock as soon as an import has tried to take it."""
    try:
        with closing(psycopg.connect(url, autocommit=True)) as observer:
            eventually(lambda: observer.execute(WANTED).fetchone()[0], "the import tries to take the lock")
    finally:
        holder.rollback()


@pytest.mark.usefixtures("files")
def test_the_lock_is_waited_for(into):
    """The second goes on by itself when the first has ended in time."""
    importer = into("postgresql")
    with closing(psycopg.connect(importer.database.dsn.url(), application_name="somebody import")) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK.key,))
        with pytest.raises(TransferLocked, match=rf"process {holder.info.backend_pid} \(somebody import, .*waited 0 s"):
            importer(lock_timeout=0)
        assert _counts(importer) == dict.fromkeys(COUNTS, 0)
        with ThreadPoolExecutor(1) as pool:
            released = pool.submit(_release_once_wanted, holder, importer.database.dsn.url())
            assert importer(lock_timeout=HANG_SECONDS).good
            released.result(timeout=HANG_SECONDS)
    assert _counts(importer) == COUNTS


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("options", [{"dry_run": True}, {"verify_only": True}], ids=lambda options: next(iter(options)))
def test_looking_waits_too(into, options):
    """What is being written now can neither be proven nor foretold."""
    importer = into("postgresql")
    with closing(psycopg.connect(importer.database.dsn.url())) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK.key,))
        with pytest.raises(TransferLocked):
            importer(lock_timeout=0, **options)


def test_migrations_have_another_lock():
    """An import that waits for its own migration would wait for ever."""
    assert Lock("migration", "aragora_schema_version", TransferLocked).key != _LOCK.key
