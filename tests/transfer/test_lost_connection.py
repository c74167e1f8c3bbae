"""PostgreSQL goes away while it is imported into, for a moment or for good."""

from __future__ import annotations

from contextlib import closing

import psycopg
import pytest

from aragora_db.errors import DatabaseUnavailable
from aragora_db.transfer import run, table_import
from aragora_db.transfer.target import bulk_load, import_ledger, loaders, merge

pytestmark = pytest.mark.slow

COUNTS = {"elo_history": 500, "elo_matches": 200, "elo_match_participants": 400, "elo_head_to_head": 1}

ROWS = """
    DELETE FROM matches;
    DELETE FROM elo_history;
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
    INSERT INTO elo_history (agent_name, elo, created_at) SELECT 'agent', i, '2026-09-23 06:27:43' FROM n;
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
    INSERT INTO matches (debate_id, winner, participants, scores, elo_changes, created_at)
        SELECT 'debate-' || i, 'one', '["one", "other"]', '{"one": 1, "other": 0}', '{"one": 16, "other": -16}',
               '2026-09-23T06:27:43' FROM n;
"""

TERMINATE = """
    SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE '% import'
"""

HELD = """
    SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database
    WHERE locktype = 'advisory' AND granted AND d.datname = current_database()
"""


@pytest.fixture
def history(sources):
    """A folder with one file of two bigger tables."""
    sources.write("agent_elo.db", sources.script("agent_elo"), ROWS)
    return sources


def _counts(importer):
    return {name: importer.count(name) for name in COUNTS}


def _assert_whole(importer):
    assert _counts(importer) == COUNTS
    assert importer().nothing_to_do
    assert importer(verify_only=True).good
    assert _counts(importer) == COUNTS


# Where the import is when its connections are cut: before the nth call of a function, and how many it has then.
MOMENTS = [
    (loaders._PostgreSQL, "load", 3, 3),  # in the middle of a COPY, beside another table
    (bulk_load, "copy_block", 1, 2),  # with the indexes taken away
    (merge, "write", 2, 2),
    (import_ledger, "record", 4, 2),  # right before a commit
    (run, "reindex", 1, 1),  # between two tables: only the lock's
    (import_ledger, "clear_pending_reindex", 1, 2),  # at the very end
]


def _before(monkeypatch, place, name, number, act):
    """Do something before the nth call of a function."""
    original, calls = getattr(place, name), []

    def acting(*arguments, **named):
        calls.append(name)
        if len(calls) == number:
            act()
        return original(*arguments, **named)

    monkeypatch.setattr(place, name, acting)


@pytest.fixture
def importer(history, into, monkeypatch):
    """Imports the folder into PostgreSQL; the bigger table straight."""
    assert history.written
    monkeypatch.setattr(table_import, "REBUILD_INDEXES_FROM", 300)
    return into("postgresql")


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: f"{moment[1]} {moment[2]}")
def test_it_goes_on_by_itself(importer, moment, monkeypatch):
    """A restart of the server in the middle of the night is no reason to come back to half an import."""
    place, name, number, connections = moment
    cut = []

    def terminate():
        with closing(psycopg.connect(importer.database.dsn.url(), autocommit=True)) as other:
            cut.extend(other.execute(TERMINATE).fetchall())

    _before(monkeypatch, place, name, number, terminate)
    report = importer()
    assert report.good
    assert not [each.table for each in report.tables if each.already]
    assert len(cut) >= connections - 1
    _assert_whole(importer)


def test_a_lost_lock_is_taken_again(importer, monkeypatch):
    """Between its tables a second import could slip in, and both would write the rest."""
    held = []

    def terminate():
        with closing(psycopg.connect(importer.database.dsn.url(), autocommit=True)) as other:
            other.execute(TERMINATE)

    def look():
        with closing(psycopg.connect(importer.database.dsn.url(), autocommit=True)) as other:
            held.extend(other.execute(HELD).fetchone())

    _before(monkeypatch, import_ledger, "record", 4, terminate)
    _before(monkeypatch, run, "reindex", 1, look)
    assert importer().good
    assert held == [1]


@pytest.fixture
def gone(postgres_server, importer):
    """Takes the database away, and brings it back."""
    name = importer.database.dsn.parameters["dbname"]

    def take(allowed):
        with closing(psycopg.connect(postgres_server.admin_url, autocommit=True)) as admin:
            admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {allowed}")
            admin.execute("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = %s", (name,))

    yield take
    take(allowed=True)


@pytest.mark.slow
def test_gone_for_good(importer, gone, monkeypatch):
    """It must end and say so, not hang until morning; what was done is done, and the next run brings the rest."""
    monkeypatch.setattr(run, "ATTEMPTS", 3)
    with monkeypatch.context() as patches:
        _before(patches, import_ledger, "record", 4, lambda: gone(allowed=False))
        with pytest.raises(DatabaseUnavailable):
            importer()
    gone(allowed=True)
    report = importer()
    assert report.good
    assert 3 <= len([each for each in report.tables if each.already]) < len(report.tables)
    _assert_whole(importer)


GONE = """
import sys, psycopg
from aragora_db.cli.main import main
from aragora_db.transfer import run
from aragora_db.transfer.target import import_ledger
run.ATTEMPTS = 3
admin_url, name, original, calls = sys.argv[1], sys.argv[2], import_ledger.record, []
def record(*arguments):
    calls.append(1)
    if len(calls) == 4:
        with psycopg.connect(admin_url, autocommit=True) as admin:
            admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            admin.execute("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = %s", (name,))
    original(*arguments)
import_ledger.record = record
main(sys.argv[3:])
"""
"""The program, and a database that goes away while the fourth table is imported."""


@pytest.mark.slow
def test_gone_on_the_command_line(importer, gone, postgres_server, start):
    """Exit code 3 tells a script to try again later, without a password or a traceback in its log."""
    dsn = importer.database.dsn
    said, code = start(importer, source=GONE, before=(postgres_server.admin_url, dsn.parameters["dbname"])).end()
    assert code == 3, said
    assert "error:" in said
    assert "Traceback" not in said
    assert dsn.parameters["password"] not in said
    gone(allowed=True)
    assert importer(timezone=None).good
    assert _counts(importer) == COUNTS
