"""`--verify-only`: what an earlier import did is looked up row by row, before anybody deletes the old files."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa

from aragora_db.models import (
    Base,
    ContinuumMemory,
    EloDomainRating,
    EloHistory,
    EloMatch,
    EloMatchParticipant,
    EloRating,
    LegacyRow,
)

RATINGS = """
    CREATE TABLE ratings (agent_name TEXT PRIMARY KEY, elo REAL, domain_elos TEXT, updated_at TEXT);
    INSERT INTO ratings VALUES
        ('a', 1500.5, '{"ux": 1}', '2026-01-01 00:00:00'), ('b', 1400, '', '2026-01-01 00:00:00');
"""
HISTORY = """
    CREATE TABLE elo_history (id INTEGER PRIMARY KEY, agent_name TEXT, elo REAL, debate_id TEXT, created_at TEXT);
    INSERT INTO elo_history VALUES
        (1, 'a', 1500.5, NULL, '2026-01-01 00:00:00'), (2, 'a', 1501, 'd', '2026-01-01 00:00:00'),
        (3, 'b', 1400, 'd', '2026-01-01 00:00:00');
"""
MATCHES = """
    CREATE TABLE matches (id INTEGER PRIMARY KEY, debate_id TEXT UNIQUE, winner TEXT, participants TEXT, domain TEXT,
        scores TEXT, elo_changes TEXT, created_at TEXT);
    INSERT INTO matches VALUES
        (1, 'd1', 'a', '["a", "b"]', NULL, '{"a": 1, "b": 0}', '{"a": 16, "b": -16}', '2026-01-01 00:00:00'),
        (2, 'd2', NULL, '["a", "c"]', NULL, '{"a": 0.5}', '{}', '2026-01-01 00:00:00');
"""
MEMORIES = """
    CREATE TABLE continuum_memory (id TEXT PRIMARY KEY, tier TEXT, content TEXT);
    INSERT INTO continuum_memory VALUES ('m1', 'slow', 'one'), ('m2', 'fast', 'two');
"""
ORPHANS = """
    CREATE TABLE tier_transitions (id INTEGER PRIMARY KEY, memory_id TEXT, from_tier TEXT, to_tier TEXT, reason TEXT,
        surprise_score REAL, created_at TEXT);
    INSERT INTO tier_transitions VALUES
        (1, 'm1', 'slow', 'fast', '', 0.5, '2026-01-01 00:00:00'),
        (2, 'gone', 'slow', 'fast', '', 0.5, '2026-01-01 00:00:00'),
        (3, 'never', 'slow', 'fast', '', 0.5, '2026-01-01 00:00:00');
"""
BAD = "INSERT INTO elo_history VALUES (4, 'a', 'many', NULL, '2026-01-01 00:00:00');"
UNKNOWN = "CREATE TABLE nobody_knows (a, b); INSERT INTO nobody_knows VALUES (1, x'00ff'), (NULL, 'text');"

CHANGED = "there with other values: changed since the import, or newer than what was imported"


def _counts(report):
    return {each.table: (each.carried, each.merged, each.rejected, each.parked) for each in report.tables}


def _failed(report):
    return {each.table: each.failed for each in report.tables if each.failed}


@pytest.fixture
def after(importer):
    """Imports, changes the database by statements, and verifies."""

    def changed(*statements):
        importer()
        with importer.database.session() as session:
            for statement in statements:
                session.execute(statement)
        return importer(verify_only=True)

    return changed


def test_as_it_was(after, importer, sources):
    """Nothing happened since: every row is found, with its checksum, and nothing is written for the answer."""
    sources.write("all.db", RATINGS, HISTORY, MATCHES, MEMORIES)
    before = importer()
    written = sorted(importer.output.iterdir())
    report = after()
    assert report.mode == "verify"
    assert report.good
    assert _counts(report) == {
        "continuum_memory": (2, 0, 0, 0),
        "elo_history": (3, 0, 0, 0),
        "matches": (2, 0, 0, 0),
        "ratings": (2, 0, 0, 0),
    }
    sums = [{each.table: each.checksums for each in one.tables} for one in (before, report)]
    assert sums[0] == sums[1]
    assert sorted(importer.output.iterdir()) == written


def test_a_changed_row(after, sources):
    """The database is in use: ratings move on, and that is no loss. How many did is worth knowing."""
    sources.write("elo.db", RATINGS, HISTORY)
    report = after(
        sa.update(EloRating).where(EloRating.agent_name == "a").values(elo=1777.7),
        sa.update(EloHistory).where(EloHistory.id == 2).values(debate_id="other"),
    )
    assert report.good
    assert _counts(report) == {"ratings": (1, 1, 0, 0), "elo_history": (2, 1, 0, 0)}
    assert [dict(each.reasons) for each in report.tables] == [{CHANGED: 1}] * 2


@pytest.mark.parametrize("target", [EloRating, ContinuumMemory], ids=lambda model: model.__tablename__)
def test_a_deleted_row(target, after, sources):
    """Deleted on purpose or lost, nobody knows: the old file is the only other place where it is."""
    sources.write("all.db", MEMORIES, RATINGS)
    key = target.__table__.primary_key.columns[0]
    report = after(sa.delete(target).where(key.in_(["a", "m1"])))
    assert not report.good
    assert list(_failed(report).values()) == [f"1 rows are neither in {target.__tablename__} nor in legacy_rows"]
    (broken,) = [each for each in report.tables if each.failed]
    assert (broken.rows, broken.carried, broken.merged) == (2, 1, 0)


def test_deleted_rows_with_numbers(after, sources):
    """Rows that the database numbers are found by what stands in them."""
    sources.write("elo.db", HISTORY)
    report = after(
        sa.delete(EloHistory).where(EloHistory.id == 1),
        sa.delete(EloHistory).where(EloHistory.id == 3),
    )
    assert _failed(report) == {"elo_history": "2 rows are neither in elo_history nor in legacy_rows"}
    assert _counts(report) == {"elo_history": (1, 0, 0, 0)}


def test_new_rows(after, sources):
    """What the application wrote since is none of the import's business."""
    sources.write("elo.db", HISTORY)
    report = after(
        sa.insert(EloHistory).values(agent_name="new", elo=1), sa.insert(EloHistory).values(agent_name="b", elo=1)
    )
    assert report.good
    assert _counts(report) == {"elo_history": (3, 0, 0, 0)}


@pytest.mark.parametrize(
    ("lost", "table"),
    [
        (sa.delete(EloMatchParticipant).where(EloMatchParticipant.agent_name == "c"), "matches"),
        (sa.update(EloMatchParticipant).where(EloMatchParticipant.agent_name == "b").values(score=9.0), "matches"),
        (sa.delete(EloDomainRating), "ratings"),
    ],
    ids=["a participant", "a score", "a domain"],
)
def test_parts(lost, table, after, sources):
    """A match is there and one of its players is not: the row looks whole only if nobody looks at its parts."""
    sources.write("elo.db", RATINGS, MATCHES)
    report = after(lost)
    assert _counts(report) == {"ratings": (2, 0, 0, 0), "matches": (2, 0, 0, 0)} | {table: (1, 1, 0, 0)}
    (changed,) = [each for each in report.tables if each.table == table]
    assert dict(changed.reasons) == {CHANGED: 1}


def test_a_deleted_match(after, sources):
    """A match goes with its participants: it is one row of the source, and counted as one."""
    sources.write("elo.db", MATCHES)
    report = after(sa.delete(EloMatch).where(EloMatch.id == 1))
    assert _failed(report) == {"matches": "1 rows are neither in elo_matches nor in legacy_rows"}


def test_parked_rows(after, importer, sources):
    """Rows without a parent wait in `legacy_rows`: they count while they are there, and no longer."""
    sources.write("continuum.db", MEMORIES, ORPHANS)
    report = after()
    assert report.good
    assert _counts(report)["tier_transitions"] == (1, 0, 0, 2)
    broken = after(sa.delete(LegacyRow).where(LegacyRow.row_key == "2"))
    assert _failed(broken) == {"tier_transitions": "1 rows are neither in tier_transitions nor in legacy_rows"}
    assert _counts(broken)["tier_transitions"] == (1, 0, 0, 1)
    assert importer.count("legacy_rows") == 1


def test_attached_rows(after, importer, sources):
    """A parked row whose parent came with a later file is in its own table by now, and found there."""
    sources.write("continuum.db", MEMORIES, ORPHANS)
    importer()
    late = "CREATE TABLE continuum_memory (id TEXT PRIMARY KEY, tier TEXT, content TEXT);"
    sources.write("late.db", late, rows={"continuum_memory": [("gone", "slow", "late")]})
    report = after()
    assert report.good
    assert importer.count("tier_transitions") == 2
    (transitions,) = [each for each in report.tables if each.table == "tier_transitions"]
    assert (transitions.carried, transitions.parked) == (2, 1)


def test_rejected_orphans(importer, sources):
    """`--orphans reject` wrote them to the rejects file: they are neither here nor missing."""
    sources.write("continuum.db", MEMORIES, ORPHANS)
    importer(orphans="reject")
    report = importer(verify_only=True)
    assert _failed(report) == {}
    assert _counts(report)["tier_transitions"] == (1, 0, 2, 0)


def test_rejected_rows(after, sources):
    """What no column could hold is in the rejects file, and counted again from the source."""
    sources.write("elo.db", HISTORY, BAD)
    report = after()
    assert _failed(report) == {}
    assert _counts(report) == {"elo_history": (3, 0, 1, 0)}
    lost = after(sa.delete(EloHistory).where(EloHistory.id == 1))
    assert _failed(lost) == {"elo_history": "1 rows are neither in elo_history nor in legacy_rows"}


def test_an_unknown_table(after, sources):
    """Whole rows in `legacy_rows`, each of them looked for."""
    sources.write("old.db", UNKNOWN)
    assert _counts(after()) == {"nobody_knows": (0, 0, 0, 2)}
    broken = after(sa.delete(LegacyRow).where(LegacyRow.row_key == "row 2"))
    assert _failed(broken) == {"nobody_knows": "1 rows are not in legacy_rows"}


def test_written_to_since(after, importer, sources):
    """The old process still writes: what came after the import is not in the database, and verify must not say yes."""
    path = sources.write("elo.db", HISTORY)
    importer()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO elo_history VALUES (9, 'late', 1, NULL, '2026-01-01 00:00:00')")
        connection.commit()
    report = importer(verify_only=True)
    assert not report.good
    assert _failed(report) == {"elo_history": "not imported yet, or the file was written to since: run the import"}
    assert after().good


def test_never_imported(importer, sources):
    """A database that happens to hold the rows says nothing about this file; and nothing is imported by asking."""
    sources.write("elo.db", HISTORY)
    report = importer(verify_only=True)
    assert _failed(report) == {"elo_history": "not imported yet, or the file was written to since: run the import"}
    assert {importer.count(name) for name in Base.metadata.tables if name != "schema_history"} == {0}
