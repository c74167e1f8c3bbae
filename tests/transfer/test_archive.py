"""`--archive`: files go away when, and only when, every row of theirs is proven to be in the database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from aragora_db.errors import UsageError
from aragora_db.transfer import import_folder
from aragora_db.transfer.options import NoProgress, Options

RATINGS = """
    CREATE TABLE ratings (agent_name TEXT PRIMARY KEY, elo REAL, domain_elos TEXT, updated_at TEXT);
    INSERT INTO ratings VALUES ('a', 1500.5, '{}', '2026-01-01 00:00:00');
"""
HISTORY = """
    CREATE TABLE elo_history (id INTEGER PRIMARY KEY, agent_name TEXT, elo REAL, debate_id TEXT, created_at TEXT);
    INSERT INTO elo_history VALUES (1, 'a', 1500.5, 'd', '2026-01-01 00:00:00');
"""
BAD = "INSERT INTO ratings VALUES ('b', 'many', '{}', '2026-01-01 00:00:00');"


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _notes(report):
    return [note for note in report.notes if "archived" in note]


def _count(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def test_proven_files_go(importer, sources, tmp_path):
    """The guide's last step: what is in the database goes away, whole, to the same place below another folder."""
    sources.write("elo.db", RATINGS)
    sources.write("old/history.db", HISTORY)
    report = importer(archive=tmp_path / "archive")
    assert report.good
    assert report.archived == ["elo.db", "old/history.db"]
    assert _names(sources.folder) == []
    (written,) = (tmp_path / "archive").glob("*.md")
    assert _names(tmp_path / "archive") == [written.name, "elo.db", "old/history.db"]
    assert _count(tmp_path / "archive" / "elo.db", "ratings") == 1
    assert list(importer.output.iterdir()) == []  # the report lies beside the archive, and nowhere else


def test_the_report_says_so(importer, sources, tmp_path):
    """The report is what is left to read when the files are on a tape."""
    sources.write("elo.db", RATINGS, BAD)
    report = importer(archive=tmp_path / "archive")
    (written,) = (tmp_path / "archive").glob("aragora-import-*.md")
    text = written.read_text(encoding="utf-8")
    assert "| elo.db | ratings | elo_ratings | 2 | 1 | 0 | 1 | 0 |" in text
    assert all(each.checksum in text for each in report.tables[0].checksums)
    assert "## Archived\n\n- elo.db" in text
    assert "elo.db, ratings: 1 elo: the column takes a finite number" in text
    assert "local times of UTC" in text
    assert report.rejects_file in text


def test_side_files_go_along(importer, sources, tmp_path):
    """A database in WAL mode without its WAL looks whole, and lacks what was written last."""
    path = sources.write("elo.db", "PRAGMA journal_mode = WAL;", RATINGS)
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("UPDATE ratings SET agent_name = 'in the wal'")
        writer.commit()
        assert _names(sources.folder) == ["elo.db", "elo.db-shm", "elo.db-wal"]
        held = [(path.with_name(name), (path.with_name(name)).read_bytes()) for name in _names(sources.folder)]
    for each, content in held:  # as a killed writer leaves them
        each.write_bytes(content)
    report = importer(archive=tmp_path / "archive")
    assert report.archived == ["elo.db"]
    assert _names(sources.folder) == []
    assert importer.rows("elo_ratings", "agent_name") == [("in the wal",)]
    with closing(sqlite3.connect(tmp_path / "archive" / "elo.db")) as connection:
        assert connection.execute("SELECT agent_name FROM ratings").fetchall() == [("in the wal",)]


def test_rejected_rows_are_accounted_for(importer, sources, tmp_path):
    """A bad row is in the rejects file for good: keeping its whole file would keep every hostile folder for ever."""
    sources.write("elo.db", RATINGS, BAD)
    report = importer(archive=tmp_path / "archive")
    assert not report.good
    assert report.archived == ["elo.db"]
    assert Path(report.rejects_file).exists()


def test_parked_rows_are_accounted_for(importer, sources, tmp_path):
    """What is whole in `legacy_rows` is in the database."""
    sources.write("old.db", "CREATE TABLE nobody_knows (a, b); INSERT INTO nobody_knows VALUES (1, x'00ff');")
    assert importer(archive=tmp_path / "archive").archived == ["old.db"]
    assert importer.count("legacy_rows") == 1


def test_files_that_could_not_be_read_stay(importer, sources, tmp_path):
    """Whatever is wrong with a file, nobody wants to look for it elsewhere."""
    sources.write("elo.db", RATINGS)
    (sources.folder / "empty.db").write_bytes(b"")
    (sources.folder / "torn.db").write_bytes(b"SQLite format 3\x00".ljust(4096, b"\x00"))
    report = importer(archive=tmp_path / "archive")
    assert report.archived == ["elo.db"]
    assert sorted(each.name for each in report.left) == ["empty.db", "torn.db"]
    assert _names(sources.folder) == ["empty.db", "torn.db"]
    assert _notes(report) == ["torn.db was not archived: it could not be read"]


def test_a_file_with_a_table_that_failed_stays(importer, sources, tmp_path):
    """One table that could not be read to its end: the file is the only place where its rows are."""
    path = sources.write("elo.db", RATINGS, HISTORY)
    with closing(sqlite3.connect(path)) as connection:
        pages = dict(connection.execute("SELECT name, rootpage FROM sqlite_master WHERE type = 'table'"))
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    with path.open("r+b") as file:
        file.seek((pages["elo_history"] - 1) * size)
        file.write(b"\xff" * size)
    sources.write("other.db", HISTORY)
    report = importer(archive=tmp_path / "archive")
    assert [(each.source_file, each.table) for each in report.tables if each.failed] == [("elo.db", "elo_history")]
    assert report.archived == ["other.db"]
    assert _names(sources.folder) == ["elo.db"]
    assert _notes(report) == ["elo.db was not archived: not proven: elo_history"]


class _Writer(NoProgress):
    """Somebody who still writes to the old file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def finish(self, name: str, outcome: str) -> None:
        """A table is done: one more row comes into the file."""
        if name.startswith(self._path.name) and outcome == "done":
            with closing(sqlite3.connect(self._path)) as connection:
                connection.execute("INSERT INTO ratings VALUES ('late', 1500, NULL, '2026-01-02 00:00:00')")
                connection.commit()


def test_a_file_written_to_meanwhile_stays(importer, sources, tmp_path):
    """The row that came too late for the snapshot would go to the archive without having been imported."""
    path = sources.write("elo.db", "PRAGMA journal_mode = WAL;", RATINGS)
    sources.write("other.db", HISTORY)
    options = Options(sources.folder, timezone="UTC", archive=tmp_path / "archive", output_dir=importer.output)
    report = import_folder(importer.database, options, _Writer(path))
    assert report.good
    assert report.archived == ["other.db"]
    assert _notes(report) == [
        "elo.db was not archived: it was written to during the import; run the import again",
    ]
    again = importer(archive=tmp_path / "archive")
    assert again.archived == ["elo.db"]
    assert importer.rows("elo_ratings", "agent_name") == [("a",), ("late",)]


def test_an_occupied_place(importer, sources, tmp_path):
    """Last year's archive is overwritten by nobody, and half a folder in two places helps nobody either."""
    sources.write("elo.db", RATINGS)
    sources.write("history.db", HISTORY)
    place = tmp_path / "archive" / "history.db"
    place.parent.mkdir()
    place.write_bytes(b"last year's")
    with pytest.raises(UsageError, match=r"history\.db exists already; choose another folder for --archive"):
        importer(archive=tmp_path / "archive")
    assert place.read_bytes() == b"last year's"
    assert _names(sources.folder) == ["elo.db", "history.db"]
    assert importer(archive=tmp_path / "other").archived == ["elo.db", "history.db"]


def test_later(importer, sources, tmp_path):
    """Import today, look at it for a week, archive then: the second run does nothing else."""
    sources.write("elo.db", RATINGS)
    importer()
    report = importer(archive=tmp_path / "archive")
    assert report.nothing_to_do
    assert report.archived == ["elo.db"]
    assert len(list((tmp_path / "archive").glob("*.md"))) == 1


def test_only_the_chosen_files(importer, sources, tmp_path):
    """What was not asked for stays where it is."""
    sources.write("elo.db", RATINGS)
    sources.write("history.db", HISTORY)
    assert importer(databases=("history",), archive=tmp_path / "archive").archived == ["history.db"]
    assert _names(sources.folder) == ["elo.db"]


def test_one_report_each(importer, sources):
    """The guide imports file after file, some within a second: none of the reports takes another one's place."""
    for name in "abcd":
        sources.write(f"{name}.db", RATINGS.replace("'a'", f"'{name}'"))
        importer(databases=(name,))
    assert len(list(importer.output.glob("aragora-import-*.md"))) == 4
