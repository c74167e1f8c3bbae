"""Imports that are killed or interrupted, and go on where they were."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from aragora_db.models import Base

pytestmark = pytest.mark.slow

PATIENCE = 300.0

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {})"
MANY = {
    "agent_elo": f"""
        DELETE FROM matches;
        DELETE FROM elo_history;
        {NUMBERS.format(25_000)}
        INSERT INTO elo_history (agent_name, elo, debate_id, created_at)
            SELECT 'agent-' || (i % 9), 1500 + i / 3.0, 'debate-' || i, '2026-09-23 06:27:43' FROM n;
        {NUMBERS.format(3_000)}
        INSERT INTO matches (debate_id, winner, participants, scores, elo_changes, created_at)
            SELECT 'debate-' || i, iif(i % 3, 'one', NULL), '["one", "other"]', '{{"one": 1, "other": 0.5}}',
                   '{{"one": 16, "other": -16}}', '2026-09-23T06:27:43' FROM n;
    """,
    "consensus_memory": f"""
        {NUMBERS.format(2_000)}
        INSERT INTO consensus
            SELECT 'consensus-' || i, 'topic number ' || i, 'h', 'naïve 🙂', 'strong', 0.5, NULL, '[]',
                   '2026-10-04T17:07:00', '{{"i": ' || i || '}}' FROM n;
        {NUMBERS.format(3_000)}
        INSERT INTO dissent
            SELECT 'dissent-' || i, 'consensus-' || i, 'kimi', 'abstention', 'content', NULL, '2026-10-04T17:07:00',
                   '{{}}' FROM n;
    """,
    "continuum": f"""
        {NUMBERS.format(2_000)}
        INSERT INTO continuum_memory (id, tier, content, created_at, updated_at)
            SELECT 'memory-' || i, 'slow', 'remember number ' || i, '2026-10-04T17:07:00', '2026-10-04T17:07:00' FROM n;
    """,
}
COUNTS = {"elo_history": 25_000, "elo_matches": 3_000, "elo_match_participants": 6_000, "consensus": 2_003}
COUNTS |= {"dissent": 2_002, "legacy_rows": 1_003, "elo_head_to_head": 1}
"""Rows afterwards: 1,000 dissents of the many and 3 rows of the few have no parent."""


@pytest.fixture
def undisturbed(sources, dialect, into):
    """A folder with some 35,000 rows in tables that depend on each other; what an undisturbed import leaves of it."""
    for name, script in MANY.items():
        sources.write(f"{name}.db", sources.script(name), script)
    importer = into(dialect)
    assert importer().good
    found = _everything(importer)
    assert {name: len(found[name]) for name in COUNTS} == COUNTS
    return found


NUMBERED_HERE = {"continuum_keywords", "continuum_memory_archive"}
"""Tables whose numbers the source does not have: PostgreSQL leaves gaps where work was rolled back."""


def _everything(importer):
    chosen = dict.fromkeys(set(Base.metadata.tables) - {"import_ledger", "schema_history"}, ())
    for name in NUMBERED_HERE:
        chosen[name] = tuple(column.name for column in Base.metadata.tables[name].columns if column.identity is None)
    chosen["legacy_rows"] = ("source_file", "table_name", "row_key", "reason", "fingerprint")
    return {name: importer.rows(name, *columns) for name, columns in chosen.items()}


COMMAND = ("-m", "aragora_db")

STRUCK = """
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
from aragora_db.cli.main import main
main(sys.argv[4:])
"""
"""The program, which sends itself a signal when it calls a function for the nth time."""


def _start(importer, program, *options):
    """An import as an operator runs it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ARAGORA_", "DATABASE_"))}
    command = ["import", "--source-dir", str(importer.sources.folder), "--source-timezone", "UTC", *options]
    return subprocess.Popen(
        [sys.executable, "-W", "error", *program, *command],
        env=kept | {"DATABASE_URL": importer.database.dsn.url()},
        cwd=importer.output,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _run(importer, *options, program=COMMAND):
    process = _start(importer, program, *options)
    return process.communicate(timeout=PATIENCE)[0], process.returncode


def _struck(importer, where, number, sent):
    return _run(importer, program=["-c", STRUCK, f"aragora_db.transfer.{where}", str(number), str(int(sent))])


def _assert_goes_on(importer, undisturbed):
    """The next run finishes, the one after it has nothing to do, and everything is there once and proven."""
    said, code = _run(importer)
    assert code == 0, said
    assert _everything(importer) == undisturbed
    assert importer().nothing_to_do
    assert importer(verify_only=True).good
    assert _everything(importer) == undisturbed


def test_killed_at_random_moments(undisturbed, dialect, into):
    """The machine went away, again and again: what was done stays, what was not is done later, and nothing twice."""
    importer = into(dialect)
    chance = random.Random(20260119)
    killed = 0
    for number in range(6):
        process = _start(importer, COMMAND)
        # Importing modules takes most of a second; the rows of an empty database take another two or three.
        time.sleep(0.7 + 0.25 * number + chance.uniform(0, 0.25))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
    assert killed >= 3
    _assert_goes_on(importer, undisturbed)


MOMENTS = [
    "move:park 1",  # orphans are on their way
    "move:prove_staged 5",  # rows are written, not yet proven
    "target.ledger:record 6",  # proven, not yet in the ledger
    "run:_attach 1",  # every table is there, and parked rows may have found their parents
    "after:_count_meetings 1",  # in the middle of them
]


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_a_moment(undisturbed, dialect, into, moment):
    """Wherever it was, and what follows from the rows comes too: else searches find nothing, and nobody knows why."""
    importer = into(dialect)
    where, number = moment.split()
    said, code = _struck(importer, where, number, signal.SIGKILL)
    assert code == -signal.SIGKILL, said
    _assert_goes_on(importer, undisturbed)


@pytest.mark.parametrize("moment", ["run:outcome_of 12", "move:prove_staged 5", "after:_index_words 2"])
def test_interrupted(undisturbed, dialect, into, moment):
    """Ctrl-C ends it soon, with whole tables only, and says how to go on."""
    importer = into(dialect)
    where, number = moment.split()
    said, code = _struck(importer, where, number, signal.SIGINT)
    assert code == 130, said
    assert "nothing is half done, run the same command to go on" in said
    assert "Traceback" not in said
    found = _everything(importer)
    halves = [name for name, rows in COUNTS.items() if len(found[name]) not in {0, rows}]
    assert halves == []
    _assert_goes_on(importer, undisturbed)


@pytest.mark.usefixtures("undisturbed")
def test_finished(dialect, into):
    """Run by a timer every night, it has to say that there was nothing to do, and do nothing."""
    importer = into(dialect)
    assert _run(importer)[1] == 0
    before = importer.rows("import_ledger")
    said, code = _run(importer)
    assert (code, "nothing to do: everything was imported before" in said) == (0, True), said
    assert importer.rows("import_ledger") == before
    said, code = _run(importer, "--verify-only")
    assert (code, "every row is accounted for" in said) == (0, True), said
    assert importer.rows("import_ledger") == before
