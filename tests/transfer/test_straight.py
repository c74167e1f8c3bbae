"""PostgreSQL's direct path: COPY into empty tables whose indexes and keys are taken away and built again."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime

import psycopg
import pytest
from support import HANG_SECONDS

from aragora_db.engine import Target
from aragora_db.errors import ForeignKeyViolation, StorageError
from aragora_db.migrations.status import status
from aragora_db.models import EloHistory
from aragora_db.transfer import table_import
from aragora_db.transfer.table_import import Stopped
from aragora_db.transfer.target import bulk_load, loaders, merge

pytestmark = pytest.mark.slow

WHEN = "2026-09-23 06:27:43"
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {})"
ROWS = f"""
    DELETE FROM matches;
    DELETE FROM elo_history;
    {NUMBERS.format(6_000)}
    INSERT INTO elo_history (agent_name, elo, debate_id, created_at)
        SELECT 'naïve ' || (i % 7), 1500 + i / 3.0, NULL, '{WHEN}' FROM n;
    {NUMBERS.format(200)}
    INSERT INTO matches (debate_id, winner, participants, scores, elo_changes, created_at)
        SELECT 'debate-' || i, 'one', '["one", "other"]', '{{"one": 1, "other": 0}}', '{{"one": 16, "other": -16}}',
               '{WHEN}' FROM n;
"""
PREDICTIONS = "CREATE TABLE calibration_predictions (id INTEGER PRIMARY KEY, tournament_id, predictor_agent, predicted_winner, confidence, created_at)"  # fmt: skip  # noqa: E501


@pytest.fixture
def importer(into, monkeypatch):
    """Imports into PostgreSQL; tables of 50 rows go straight."""
    monkeypatch.setattr(table_import, "REBUILD_INDEXES_FROM", 50)
    return into("postgresql")


@pytest.fixture
def copied(monkeypatch):
    """The tables that rows were copied straight into, in order; what `before` holds is called first."""
    tables, original = [], bulk_load.copy_block

    def copy_block(connection, into, columns, block):
        if tables.before is not None:
            tables.before()
        tables.extend(table.name for table in into)
        original(connection, into, columns, block)

    class Tables(list):
        before = None

    tables = Tables()
    monkeypatch.setattr(bulk_load, "copy_block", copy_block)
    return tables


@pytest.fixture
def other(importer):
    """Opens plain connections, for those who use the database meanwhile."""
    opened = []

    def connect(**options):
        opened.append(psycopg.connect(importer.database.dsn.url(), options="-c lock_timeout=2s", **options))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


def _elo(sources):
    sources.write("agent_elo.db", sources.script("agent_elo"), ROWS)


def _as_it_was(importer):
    return status(Target.of(importer.database.settings)).good


def _rejects(importer):
    return [json.loads(line) for file in importer.output.glob("*.jsonl") for line in file.read_text().splitlines()]


def test_into_empty_tables(importer, sources, copied, into, monkeypatch):
    """Quicker, and otherwise the same: every index, key and foreign key is there, and every row."""
    _elo(sources)
    report = importer()
    assert report.good
    assert sorted(set(copied)) == ["elo_history", "elo_match_participants", "elo_matches"]
    assert _as_it_was(importer)
    assert (importer.count("elo_history"), importer.count("elo_match_participants")) == (6_000, 400)
    with importer.database.session() as session:
        row = EloHistory(agent_name="next", elo=1500.0)
        session.add(row)
        session.flush()
        assert row.id == 6_061  # the file's AUTOINCREMENT had gone to 6,060
    assert importer().nothing_to_do
    monkeypatch.setattr(table_import, "REBUILD_INDEXES_FROM", 1_000_000)
    copied.clear()
    beside = into("postgresql")
    assert [each.checksums for each in beside().tables] == [each.checksums for each in report.tables]
    assert copied == []
    assert beside.rows("elo_match_participants") == importer.rows("elo_match_participants")


def test_rejected_rows(importer, sources, copied):
    """They are read ahead of the COPY, in another thread: each must be written down, once."""
    _elo(sources)
    sources.write("agent_elo.db", "UPDATE elo_history SET elo = 'abc' WHERE id % 1000 = 0")
    history = next(each for each in importer().tables if each.table == "elo_history")
    assert (history.rows, history.carried, history.rejected, history.proven) == (6_000, 5_994, 6, True)
    assert "elo_history" in copied
    numbers = [1_000, 2_000, 3_000, 4_000, 5_000, 6_000]
    assert [(each["rowid"], each["column"]) for each in _rejects(importer)] == [(number, "elo") for number in numbers]


def test_one_key_twice(importer, sources, copied):
    """Indexes show it at the very end of the load: then the other way is taken, and nothing is counted twice."""
    rows = [(number, "t", f"agent {number % 90}", "winner", 0.5, WHEN) for number in range(1, 101)]
    rows += [(number, "t", f"bad {number}", "winner", "none", WHEN) for number in (101, 102)]
    sources.write("elo.db", PREDICTIONS, rows={"calibration_predictions": rows})
    report = importer()
    (table,) = report.tables
    assert copied == ["elo_calibration_predictions"]
    assert (table.rows, table.carried, table.parked, table.rejected, table.adds_up) == (102, 90, 10, 2, True)
    assert [reason.partition(":")[0] for reason in sorted(table.reasons)] == ["confidence", "conflict"]
    assert (importer.count("elo_calibration_predictions"), importer.count("legacy_rows")) == (90, 10)
    assert [each["rowid"] for each in _rejects(importer)] == [101, 102]
    assert _as_it_was(importer)


def test_children(importer, sources, monkeypatch):
    """Parents are looked up in the staging table; then indexes and the foreign key are built, and hold."""
    dropped, original = [], bulk_load.drop_indexes

    def drop_indexes(connection, tables):
        dropped.extend(table.name for table in tables)
        return original(connection, tables)

    monkeypatch.setattr(bulk_load, "drop_indexes", drop_indexes)
    consensus = f"""
        {NUMBERS.format(100)} INSERT INTO dissent SELECT 'many-' || i, iif(i % 4, 'c1', 'nobody'), 'kimi', 'abstention', '', NULL, NULL, '{{}}' FROM n;
    """  # noqa: E501
    sources.write("consensus_memory.db", sources.script("consensus_memory"), consensus)
    report = importer()
    assert report.good
    assert dropped == ["dissent", "consensus_topic_words"]
    table = next(each for each in report.tables if each.table == "dissent")
    assert (table.rows, table.carried, table.parked) == (104, 77, 27)
    assert _as_it_was(importer)
    with pytest.raises(ForeignKeyViolation), importer.database.session() as session:
        session.connection().exec_driver_sql("UPDATE dissent SET debate_id = 'nobody'")


def _fail():
    raise StorageError("disk full", None)


def _stop():
    raise Stopped


@pytest.mark.parametrize("error", [_fail, _stop])
def test_an_error_in_the_middle(importer, sources, copied, error):
    """A table without its indexes is a table that nobody can work with in the morning."""
    _elo(sources)

    def after_a_block():
        if copied:
            error()

    copied.before = after_a_block
    good = None
    with suppress(Stopped):
        good = importer(jobs=1).good
    assert not good
    assert copied[0] == "elo_history"
    assert importer.count("elo_history") == 0
    assert _as_it_was(importer)
    copied.before = None
    assert importer().good
    assert _as_it_was(importer)


def test_others_go_on(importer, sources, copied, other):
    """Only the table that is loaded is locked: debates in the meantime read and write everything else."""
    _elo(sources)
    connection = other(autocommit=True)
    done = []

    def write():
        if not copied:
            connection.execute("INSERT INTO elo_ratings (agent_name, elo, updated_at) VALUES ('new', 1500, now())")
            connection.execute("INSERT INTO consensus_archive SELECT * FROM consensus_archive")
            done.append(connection.execute("SELECT count(*) FROM elo_ratings").fetchone())

    copied.before = write
    report = importer(jobs=1)
    assert report.good
    assert done == [(1,)]  # the longest table comes first
    assert importer.count("elo_ratings") == 4


def test_somebody_writes_to_the_table(importer, sources, copied, other):
    """Their row comes to light when the lock is got, after the table was found empty: it must not fail the proof."""
    _elo(sources)
    writer, observer = other(), other(autocommit=True)
    writer.execute("INSERT INTO elo_history (agent_name, elo, created_at) VALUES ('live', 1, %s)", (datetime.now(UTC),))
    over = threading.Event()

    def commit_when_waited_for():
        waiting = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE NOT granted AND datname = current_database()"  # fmt: skip  # noqa: E501
        while not over.is_set() and not observer.execute(waiting).fetchone()[0]:
            time.sleep(0.01)
        writer.commit()

    thread = threading.Thread(target=commit_when_waited_for)
    thread.start()
    try:
        report = importer()
    finally:
        over.set()
        thread.join(HANG_SECONDS)
    assert not thread.is_alive()
    assert report.good
    assert "elo_history" not in copied
    assert importer.count("elo_history") == 6_001
    assert _as_it_was(importer)


# -- the proof --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["straight", "staged"])
def test_a_changed_byte_on_the_way(importer, sources, monkeypatch, way):
    """A driver or a network that changes one byte of six thousand rows: it is found, and the table is not there."""
    monkeypatch.setattr(table_import, "REBUILD_INDEXES_FROM", {"straight": 50, "staged": 10_000}[way])
    _elo(sources)
    with monkeypatch.context() as patches:
        original = loaders.copy_into

        def copy_into(connection, table, columns, text):
            hit = b"na\xc3\xafve 3\t" if table.name.endswith("elo_history") else b"\xff"
            original(connection, table, columns, text.replace(hit, b"na\xc3\xafve 4\t", 1))

        patches.setattr(loaders, "copy_into", copy_into)
        patches.setattr(bulk_load, "copy_into", copy_into)
        report = importer()
    _assert_only_this_failed(importer, report)
    assert _as_it_was(importer)


def _assert_only_this_failed(importer, report):
    assert not report.good
    ((failed, why),) = [(each.table, each.failed) for each in report.tables if each.failed]
    assert (failed, "the table was rolled back" in why) == ("elo_history", True)
    assert (importer.count("elo_history"), importer.count("elo_matches"), importer.count("elo_ratings")) == (0, 200, 3)
    assert importer().good
    assert importer.count("elo_history") == 6_000


FAULTS = {
    "changed": "UPDATE elo_history SET agent_name = 'other' WHERE id = 77",
    "lost": "DELETE FROM elo_history WHERE id = 77",
    "number": "UPDATE elo_history SET elo = elo + 1e-10 WHERE id = 77",
    "null": "UPDATE elo_history SET debate_id = '' WHERE id = 77",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_target(dialect, into, sources, monkeypatch, fault):
    """A trigger, a rule, a bug of ours between staging and the table: what stands there is what is compared."""
    importer = into(dialect)
    _elo(sources)
    with monkeypatch.context() as patches:
        original = merge.write

        def write(connection, main, parts, **options):
            original(connection, main, parts, **options)
            if main.target.name == "elo_history":
                connection.exec_driver_sql(FAULTS[fault])

        patches.setattr(merge, "write", write)
        report = importer()
    _assert_only_this_failed(importer, report)
