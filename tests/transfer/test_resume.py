"""Imports that are killed or interrupted, and go on where they were."""

from __future__ import annotations

import random
import signal

import pytest

from aragora_db.models import Base
from aragora_db.transfer import table_import

pytestmark = pytest.mark.slow

REBUILD_INDEXES_FROM = 3_000
"""Source rows from which on PostgreSQL's indexes are built afterwards, in these tests: only the history has as many."""

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {})"
MANY = {
    "agent_elo": f"""
        DELETE FROM matches;
        DELETE FROM elo_history;
        {NUMBERS.format(6_000)}
        INSERT INTO elo_history (agent_name, elo, debate_id, created_at)
            SELECT 'agent-' || (i % 9), 1500 + i / 3.0, 'debate-' || i, '2026-09-23 06:27:43' FROM n;
        {NUMBERS.format(600)}
        INSERT INTO matches (debate_id, winner, participants, scores, elo_changes, created_at)
            SELECT 'debate-' || i, iif(i % 3, 'one', NULL), '["one", "other"]', '{{"one": 1, "other": 0.5}}',
                   '{{"one": 16, "other": -16}}', '2026-09-23T06:27:43' FROM n;
    """,
    "consensus_memory": f"""
        {NUMBERS.format(400)}
        INSERT INTO consensus
            SELECT 'consensus-' || i, 'topic number ' || i, 'h', 'naïve 🙂', 'strong', 0.5, NULL, '[]',
                   '2026-10-04T17:07:00', '{{"i": ' || i || '}}' FROM n;
        {NUMBERS.format(600)}
        INSERT INTO dissent
            SELECT 'dissent-' || i, 'consensus-' || i, 'kimi', 'abstention', 'content', NULL, '2026-10-04T17:07:00',
                   '{{}}' FROM n;
    """,
    "continuum": f"""
        {NUMBERS.format(400)}
        INSERT INTO continuum_memory (id, tier, content, created_at, updated_at)
            SELECT 'memory-' || i, 'slow', 'remember number ' || i, '2026-10-04T17:07:00', '2026-10-04T17:07:00' FROM n;
    """,
}
COUNTS = {"elo_history": 6_000, "elo_matches": 600, "elo_match_participants": 1_200, "consensus": 403}
COUNTS |= {"dissent": 402, "legacy_rows": 203, "elo_head_to_head": 1}
"""Rows afterwards: 200 dissents of the many and 3 rows of the few have no parent."""


@pytest.fixture(scope="module")
def sources(sources_in, tmp_path_factory):
    """A folder with some 8,000 rows in tables that depend on each other, which no import changes."""
    made = sources_in(tmp_path_factory.mktemp("sources"))
    for name, script in MANY.items():
        made.write(f"{name}.db", made.script(name), script)
    return made


UNDISTURBED = {}
"""What an import that nothing disturbs leaves, by dialect."""


@pytest.fixture
def undisturbed(dialect, into, monkeypatch):
    """What an undisturbed import of the folder leaves; imported once for each dialect."""
    monkeypatch.setattr(table_import, "REBUILD_INDEXES_FROM", REBUILD_INDEXES_FROM)
    if dialect not in UNDISTURBED:
        importer = into(dialect)
        assert importer().good
        found = _everything(importer)
        assert {name: len(found[name]) for name in COUNTS} == COUNTS
        UNDISTURBED[dialect] = found
    return UNDISTURBED[dialect]


NUMBERED_HERE = {"continuum_keywords", "continuum_memory_archive"}
"""Tables whose numbers the source does not have: PostgreSQL leaves gaps where work was rolled back."""


def _everything(importer):
    chosen = dict.fromkeys(set(Base.metadata.tables) - {"import_ledger", "schema_history"}, ())
    for name in NUMBERED_HERE:
        chosen[name] = tuple(column.name for column in Base.metadata.tables[name].columns if column.identity is None)
    chosen["legacy_rows"] = ("source_file", "table_name", "row_key", "reason", "fingerprint")
    return {name: importer.rows(name, *columns) for name, columns in chosen.items()}


SMALL = f"""
from aragora_db.transfer import table_import
from aragora_db.cli.main import main
table_import.REBUILD_INDEXES_FROM = {REBUILD_INDEXES_FROM}
"""

STRUCK = f"""{SMALL}
import importlib, os, sys
where, number, sent = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
module, name = importlib.import_module(where.partition(":")[0]), where.partition(":")[2]
original, calls = getattr(module, name), []
def struck(*arguments, **named):
    calls.append(name)
    if len(calls) == number:
        os.kill(os.getpid(), sent)
    return original(*arguments, **named)
setattr(module, name, struck)
main(sys.argv[4:])
"""
"""The program, which sends itself a signal when it calls a function for the nth time."""

KILLED = f"""{SMALL}
import itertools, os, signal, sys, threading
import sqlalchemy as sa
statements, last, delay = itertools.count(1), int(sys.argv[1]), float(sys.argv[2])
def before(*_):
    if next(statements) == last:
        threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
sa.event.listen(sa.Engine, "before_cursor_execute", before)
main(sys.argv[3:])
"""
"""The program, which kills itself some seconds after its nth SQL statement."""


def _struck(start, importer, where, number, sent):
    before = (f"aragora_db.transfer.{where}", str(number), str(int(sent)))
    return start(importer, "--source-timezone", "UTC", source=STRUCK, before=before).end()


def _assert_goes_on(importer, undisturbed):
    """The next run finishes, the one after it has nothing to do, and everything is there once and proven."""
    assert importer().good
    assert importer().nothing_to_do
    assert importer(verify_only=True).good
    assert _everything(importer) == undisturbed


def test_killed_at_random_moments(undisturbed, dialect, into, start):
    """The machine went away, again and again: what was done stays, what was not is done later, and nothing twice."""
    importer = into(dialect)
    chance = random.Random(20260119)
    codes = []
    for _ in range(6):
        before = (str(chance.randint(20, 100)), str(chance.uniform(0, 0.02)))
        codes.append(start(importer, "--source-timezone", "UTC", source=KILLED, before=before).end()[1])
    assert codes.count(-signal.SIGKILL) >= 3, codes
    _assert_goes_on(importer, undisturbed)


MOMENTS = [
    "table_import:park 1",  # orphans are on their way
    "table_import:prove_staged 5",  # rows are written, not yet proven
    "target.import_ledger:record 6",  # proven, not yet in the ledger
    "run:_adopt_orphans 1",  # every table is there, and parked rows may have found their parents
    "reindex:_count_head_to_head 1",  # in the middle of them
]


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_a_moment(undisturbed, dialect, into, start, moment):
    """Wherever it was, and what follows from the rows comes too: else searches find nothing, and nobody knows why."""
    importer = into(dialect)
    where, number = moment.split()
    said, code = _struck(start, importer, where, number, signal.SIGKILL)
    assert code == -signal.SIGKILL, said
    _assert_goes_on(importer, undisturbed)


@pytest.mark.parametrize("moment", ["run:run_job 12", "table_import:prove_staged 5", "reindex:_index_words 2"])
def test_interrupted(undisturbed, dialect, into, start, moment):
    """Ctrl-C ends it soon, with whole tables only, and says how to go on."""
    importer = into(dialect)
    where, number = moment.split()
    said, code = _struck(start, importer, where, number, signal.SIGINT)
    assert code == 130, said
    assert "nothing is half done, run the same command to go on" in said
    assert "Traceback" not in said
    assert [name for name, rows in COUNTS.items() if importer.count(name) not in {0, rows}] == []
    _assert_goes_on(importer, undisturbed)


def test_finished(sources, dialect, into, start):
    """Run by a timer every night, it has to say that there was nothing to do, and do nothing."""
    assert sources.written
    importer = into(dialect)
    assert start(importer).end()[1] == 0
    before = importer.rows("import_ledger")
    said, code = start(importer).end()
    assert (code, "nothing to do: everything was imported before" in said) == (0, True), said
    assert importer.rows("import_ledger") == before
    said, code = start(importer, "--verify-only").end()
    assert (code, "every row is accounted for" in said) == (0, True), said
    assert importer.rows("import_ledger") == before
