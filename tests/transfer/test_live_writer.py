"""Files that somebody writes to while they are imported."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager

import pytest
from support import end_process, eventually, output_of

from aragora_db.transfer.target import import_ledger

pytestmark = pytest.mark.slow

BATCH = 7
"""Rows of each of two tables that one transaction adds."""

WRITER = """
import itertools, pathlib, sqlite3, sys, threading
from contextlib import closing
path, progress, stays, batch = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3] == "stays", int(sys.argv[4])
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()

def opened():
    return sqlite3.connect(path, timeout=1)

def add(connection, number):
    with connection:
        for row in range(batch):
            name = f"{number:06}-{row}"
            connection.execute("INSERT INTO elo_history (agent_name, elo) VALUES (?, 1500)", (name,))
            values = (name, '["one", "other"]')
            connection.execute("INSERT INTO matches (debate_id, participants) VALUES (?, ?)", values)

kept = opened()
if not stays:
    kept.close()
for number in itertools.count(1):
    if stays:
        add(kept, number)
    else:
        with closing(opened()) as own:
            add(own, number)
    with progress.open("a") as file:
        file.write(".")
    if stop.is_set():
        break
    stop.wait(0.01)
kept.close()
"""
"""Another process, for SQLite's locks are a process's. It writes until its stdin ends, or until it is refused."""

EMPTY = "PRAGMA journal_mode = WAL; DELETE FROM matches; DELETE FROM elo_history;"


class Writer:
    """A process that adds batches of rows to both tables."""

    def __init__(self, path, progress, way):
        command = [sys.executable, "-c", WRITER, str(path), str(progress), way, str(BATCH)]
        self.progress = progress
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    @property
    def batches(self):
        """How many it has committed, at least."""
        return self.progress.stat().st_size if self.progress.exists() else 0

    def wait_for(self, more):
        """Wait until it has committed so many more."""
        enough = self.batches + more
        eventually(lambda: self.batches >= enough or self.process.poll() is not None, "more batches are committed")
        assert self.process.poll() is None, output_of(self.process)

    def end(self):
        """Have it finish; what it said, and how it ended."""
        return output_of(self.process)[0], self.process.returncode


@pytest.fixture
def writing(sources, tmp_path):
    """What starts a writer to a file in WAL mode, once it has written something."""
    path = sources.write("agent_elo.db", sources.script("agent_elo"), EMPTY)

    @contextmanager
    def start(way):
        writer = Writer(path, tmp_path / "progress", way)
        try:
            writer.wait_for(3)
            yield writer
        finally:
            end_process(writer.process)

    return start


def _imported(importer):
    """The names of both tables' rows."""
    history = [name for (name,) in importer.rows("elo_history", "agent_name")]
    return history, [name for (name,) in importer.rows("elo_matches", "debate_id")]


def _prefix(batches):
    return [f"{number:06}-{row}" for number in range(1, batches + 1) for row in range(BATCH)]


def _assert_one_moment(importer, least):
    history, matches = _imported(importer)
    batches = len(history) // BATCH
    assert batches >= least
    assert history == matches == _prefix(batches)
    assert importer.count("elo_match_participants") == 2 * len(matches)
    return batches


# A connection for each transaction is Aragora's way; it makes -wal and -shm come and go.
@pytest.mark.parametrize("way", ["stays", "comes and goes"])
def test_one_moment(importer, writing, monkeypatch, way):
    """A match whose history is not there, or half a debate: tables read at different times do not fit together."""
    with writing(way) as writer:
        original = import_ledger.record

        def record(*arguments):
            writer.wait_for(2)  # between any two tables it commits something
            original(*arguments)

        monkeypatch.setattr(import_ledger, "record", record)
        least = 0
        for _ in range(2):
            least = max(least, writer.batches)
            report = importer()
            assert report.good, report.left
            least = _assert_one_moment(importer, least)
            assert least < writer.batches
        monkeypatch.undo()
        said, code = writer.end()
        assert (said, code) == ("", 0)  # never refused, never kept waiting for a second
        total = writer.batches
    report = importer()
    assert report.good
    assert report.total("merged") >= 2 * BATCH * least
    assert _assert_one_moment(importer, total) == total
    assert importer().nothing_to_do
    assert importer(verify_only=True).good


@pytest.mark.parametrize("way", ["stays", "comes and goes"])
def test_the_file_is_the_writers(into, writing, sources, way):
    """We read it. Afterwards it holds what its writer wrote, whole, and nothing lies beside it."""
    importer = into("postgresql")
    with writing(way) as writer:
        for _ in range(2):
            assert importer(dry_run=True).good
            assert importer().good
        assert writer.end() == ("", 0)
        total = writer.batches
    (path,) = set(sources.written)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        history = connection.execute("SELECT agent_name FROM elo_history ORDER BY id").fetchall()
    assert [name for (name,) in history] == _prefix(total)
    assert importer().good
    assert [file.name for file in sources.folder.iterdir()] == ["agent_elo.db"]


OPENING = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, 510, 0x40000002)
    print("opening", flush=True)
    sys.stdin.read()
"""
"""What a SQLite connection does before it opens the -shm; see os.h for the bytes."""


def test_somebody_opens_it_just_now(importer, sources, held):
    """A -shm that is removed between their open() and their lock is theirs alone: what they commit would be lost."""
    path = sources.write("agent_elo.db", sources.script("agent_elo"), EMPTY)
    with held(OPENING, path):
        assert importer().good
        assert sorted(file.suffix for file in sources.folder.iterdir()) == [".db", ".db-shm", ".db-wal"]


def test_it_is_not_archived(importer, writing, tmp_path, sources):
    """What was written after the import read it is nowhere else: the file must stay where its writer has it."""
    with writing("stays") as writer:
        report = importer(archive=tmp_path / "archive")
        assert report.good
        assert report.archived == []
        assert ["it was written to during the import" in note for note in report.notes] == [True]
        assert writer.end() == ("", 0)
        total = writer.batches
    report = importer(archive=tmp_path / "archive")
    assert report.archived == ["agent_elo.db"]
    assert _assert_one_moment(importer, total) == total
    assert list(sources.folder.iterdir()) == []
