"""Which files are read. One that is overlooked without a word is lost when the folder is deleted."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from aragora_db import Database
from aragora_db.errors import UsageError
from aragora_db.transfer import Options, import_folder
from aragora_db.transfer.source import opening

HISTORY = """
    CREATE TABLE elo_history (id INTEGER PRIMARY KEY AUTOINCREMENT, agent_name TEXT NOT NULL, elo REAL NOT NULL,
                              debate_id TEXT, created_at TEXT DEFAULT CURRENT_TIMESTAMP);
"""
PAGE = 4096
COUNTED = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) "
FILL = f"{COUNTED} INSERT INTO elo_history (agent_name, elo) SELECT 'kimi', i FROM n;"


def entry(number: int) -> tuple[int, str, float, str, str]:
    """A row of `elo_history`."""
    return number, "kimi", 1500.0, f"debate-{number}", "2026-01-15 09:30:00"


def contents(folder: Path) -> dict[str, str]:
    """Every file and its hash."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def overwrite(path: Path, offset: int, data: bytes) -> None:
    """Damage a file."""
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def root_of(path: Path, table: str) -> int:
    """Where a table's first page begins."""
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
    return (page - 1) * PAGE


def crashed(path: Path, *statements: str, mode: str = "wal") -> None:
    """A database as a writer leaves it that is killed: what it did is in a side file."""
    live = path.with_name("live")
    live.mkdir()
    with closing(sqlite3.connect(live / path.name, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
        for statement in statements:
            connection.execute(statement)
        for side in live.iterdir():
            if not side.name.endswith("-shm"):
                shutil.copyfile(side, path.with_name(side.name))
    shutil.rmtree(live)


def test_by_header_not_by_name(importer, sources):
    """Backups are called all kinds of things, and lie in all kinds of folders."""
    sources.write("agent_elo.db", HISTORY, rows={"elo_history": [entry(1)]})
    sources.write("2025/old/agent_elo.db", HISTORY, rows={"elo_history": [entry(2)]})
    sources.write("2025/backup.bin", HISTORY, rows={"elo_history": [entry(3)]})
    sources.write("no suffix", HISTORY, rows={"elo_history": [entry(4)]})
    (sources.folder / "elo_snapshot.json").write_text('{"ratings": []}')
    (sources.folder / "nomic.lock").touch()
    report = importer()
    assert [each.source_file for each in report.tables] == [
        *("2025/backup.bin", "2025/old/agent_elo.db", "agent_elo.db", "no suffix")
    ]
    assert report.good
    assert importer.rows("elo_history", "id") == [(1,), (2,), (3,), (4,)]


def test_rows_in_the_wal(importer, sources):
    """A process that was killed leaves its last rows, or all of them, in the WAL; Aragora always writes in WAL mode."""
    path = sources.folder / "agent_elo.db"
    crashed(path, HISTORY, FILL)
    assert path.stat().st_size < path.with_name("agent_elo.db-wal").stat().st_size
    before = contents(sources.folder)
    report = importer()
    assert report.good
    assert importer.count("elo_history") == 500
    assert contents(sources.folder) == before  # nothing was checkpointed, and there is no -shm


def test_half_a_transaction(importer, sources):
    """A writer that was killed in a transaction left half of it in the file: to read that would be to invent data."""
    sources.write("good.db", HISTORY, rows={"elo_history": [entry(1)]})
    path = sources.folder / "agent_elo.db"
    crashed(
        path,
        *(HISTORY, FILL, "PRAGMA cache_size = 1", "PRAGMA cache_spill = 1", "BEGIN"),
        *("UPDATE elo_history SET elo = 0", "UPDATE elo_history SET agent_name = 'half of it'"),
        mode="delete",
    )
    before = contents(sources.folder)
    report = importer()
    ((name, reason),) = [(each.name, each.reason) for each in report.left]
    assert name == "agent_elo.db"
    assert reason.startswith("unfinished: its writer was killed within a transaction")
    assert not report.good
    assert importer.rows("elo_history", "agent_name") == [("kimi",)]
    assert contents(sources.folder) == before


def test_files_that_cannot_be_read(importer, sources):
    """Each one is named with what is wrong with it, and the others are imported all the same."""
    sources.write("good.db", HISTORY, FILL)
    (sources.folder / "empty.db").touch()
    whole = sources.write("truncated.db", HISTORY, FILL).read_bytes()
    (sources.folder / "truncated.db").write_bytes(whole[:-PAGE])
    (sources.folder / "download.db").write_text("<html>404</html>")
    (sources.folder / "encrypted.sqlite").write_bytes(bytes(range(256)) * 16)
    (sources.folder / "moved.db").symlink_to(sources.folder / "where it was.db")
    damaged = sources.folder / "damaged.db"
    damaged.write_bytes(whole)
    overwrite(damaged, 100, b"\xff" * (PAGE - 100))
    before = contents(sources.folder)
    report = importer()
    assert {each.name: each.reason.partition(":")[0] for each in report.left} == {
        "damaged.db": "damaged",
        "download.db": "no SQLite database",
        "empty.db": "empty",
        "encrypted.sqlite": "no SQLite database",
        "moved.db": "cannot be read",
        "truncated.db": "truncated",
    }
    assert f"{len(whole) - PAGE:,} of {len(whole):,} bytes" in str(report.left)
    assert not report.good
    assert importer.count("elo_history") == 500
    assert contents(sources.folder) == before


def test_a_folder_that_cannot_be_read(importer, sources):
    """What is below it may be all there is."""
    sources.write("good.db", HISTORY, FILL)
    folder = os.open(sources.folder, os.O_RDONLY)
    for _ in range(20):  # longer than a path may be, which stops even root
        os.mkdir("n" * 250, dir_fd=folder)
        inner = os.open("n" * 250, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)
    report = importer()
    shutil.rmtree(sources.folder / ("n" * 250))
    ((name, reason),) = [(each.name, each.reason) for each in report.left]
    assert name.startswith("nnn")
    assert reason == "cannot be read: File name too long"
    assert not report.good
    assert importer.count("elo_history") == 500


def test_a_damaged_table(importer, sources):
    """One bad page must not cost the other tables of its file."""
    path = sources.write("agent_elo.db", HISTORY, sources.script("agent_personas"), FILL)
    overwrite(path, root_of(path, "elo_history"), b"\xff" * PAGE)
    report = importer()
    failed = {each.table: each.failed for each in report.tables if each.failed}
    assert list(failed) == ["elo_history"]
    assert str(failed["elo_history"]).startswith("damaged: ")
    assert not report.good
    assert importer.count("personas") == 2


HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_locked_file(importer, sources, held, monkeypatch):
    """A writer that holds on to its file must not hold up the others; run again, the import brings what it left."""
    sources.write("good.db", HISTORY, rows={"elo_history": [entry(1)]})
    busy = sources.write("busy.db", HISTORY, rows={"elo_history": [entry(2)]})
    before = contents(sources.folder)
    monkeypatch.setattr(opening, "_BUSY_TIMEOUT_MS", 200)
    with held(HOLDER, busy):
        report = importer()
    assert [each.name for each in report.left] == ["busy.db"]
    assert report.left[0].reason.startswith("locked: ")
    assert not report.good
    assert importer.rows("elo_history", "id") == [(1,)]
    assert contents(sources.folder) == before
    assert importer().good
    assert importer.rows("elo_history", "id") == [(1,), (2,)]


def test_chosen_by_name(importer, sources):
    """`--database` as the guide has it; a slip of the pen must not import nothing and look like success."""
    sources.write("debates.db", HISTORY, rows={"elo_history": [entry(1)]})
    sources.write("aragora_insights.db", HISTORY, rows={"elo_history": [entry(2)]})
    sources.write("old/agent_elo.db", HISTORY, rows={"elo_history": [entry(3)]})
    (sources.folder / "empty.db").touch()

    def chosen(*names: str) -> list[str]:
        report = importer(databases=names, dry_run=True)
        return [each.source_file for each in report.tables] + [each.name for each in report.left]

    assert chosen("debates") == ["debates.db"]
    assert chosen("debates.db", "insights") == ["aragora_insights.db", "debates.db"]
    assert chosen("old/agent_elo.db") == chosen("agent_elo") == ["old/agent_elo.db"]
    assert chosen("empty") == ["empty.db"]
    with pytest.raises(UsageError, match=r"no database called elo, genesis in .*; there is: agent_elo,"):
        importer(databases=("debates", "elo", "genesis"))
    assert importer.count("elo_history") == 0


def test_no_folder_or_nothing_in_it(importer, sources, tmp_path):
    """A wrong path must say so: an import of nothing that succeeds is believed."""
    with pytest.raises(UsageError, match=r"there is no SQLite database in .*--source-dir"):
        importer()
    with pytest.raises(UsageError, match=r"there is no folder .*--source-dir"):
        importer(source_dir=tmp_path / "nowhere")
    (sources.folder / "debates.db").touch()
    assert not importer().good


def test_the_target_is_no_source(sources, tmp_path):
    """By default it lies in the folder of its sources, `.nomic/aragora.db`, and would import itself for ever."""
    sources.write("agent_elo.db", HISTORY, rows={"elo_history": [entry(1)]})
    target = sources.folder / "aragora.db"
    link = sources.folder / "link.db"
    link.symlink_to(target)
    with closing(Database(f"sqlite:///{target}")) as database:
        database.migrate()
        for _ in range(2):
            report = import_folder(database, Options(sources.folder, timezone="UTC", output_dir=tmp_path))
            assert report.good
            assert [each.source_file for each in report.tables] == ["agent_elo.db"]
