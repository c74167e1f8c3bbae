"""SQLite files that are missing, foreign, damaged, or where they should not be."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from aragora_db.operate.doctor.file import _file_system


def test_a_file_that_is_not_there_yet(tmp_path, examine):
    """Nothing is wrong with a new laptop, and looking makes no file."""
    report = examine(data_dir=tmp_path / "new")
    assert report.errors == []
    assert "does not exist yet" in report["file"].message
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_made(tmp_path, examine):
    """A file lies where the folder should be: nobody can write there, root neither."""
    (tmp_path / "taken").write_text("")
    report = examine(data_dir=tmp_path / "taken")
    assert report.errors == ["file-not-writable"]


def test_what_is_no_database(tmp_path, examine):
    """Another program's file in our place must not be overwritten by advice."""
    (tmp_path / "aragora.db").write_bytes(b"This is no database, however long it may be. " * 100)
    report = examine(data_dir=tmp_path)
    assert report.errors == ["not-a-database"]
    assert report["not-a-database"].fix.startswith("mv ")
    assert report["schema"].level == "skipped"


def test_a_damaged_file(fresh_databases, examine):
    """A copy taken while the file was written opens, and fails at the row that is missing."""
    path = Path(fresh_databases.url("sqlite").removeprefix("sqlite:///"))
    content = bytearray(path.read_bytes())
    page = 4096
    for start in range(page * 2, len(content), page * 3):
        content[start : start + 200] = b"\xff" * 200
    path.write_bytes(content)
    report = examine(database_url=f"sqlite:///{path}")
    assert report.errors == ["damaged-file"]
    assert ".recover" in report["damaged-file"].fix


def test_a_folder_instead_of_a_file(tmp_path, examine):
    """The variable names the folder, where the file was meant."""
    report = examine(database_url=f"sqlite:///{tmp_path}")
    assert report.errors == ["not-a-database"]


def test_another_journal_mode(tmp_path, examine):
    """Readers wait for the writer, and nobody knows why."""
    with closing(sqlite3.connect(tmp_path / "aragora.db")) as connection:
        connection.execute("CREATE TABLE other (id)")
    found = examine(data_dir=tmp_path)["journal-not-wal"]
    assert found.level == "warn"
    assert found.fix == f'sqlite3 {tmp_path / "aragora.db"} "PRAGMA journal_mode = WAL"'
    with closing(sqlite3.connect(tmp_path / "aragora.db")) as connection:
        connection.execute(found.fix.split('"')[1])
    assert "journal-not-wal" not in examine(data_dir=tmp_path)


def test_a_disk_that_is_nearly_full(tmp_path, examine):
    """No room for a copy is no room for VACUUM, for a backup, or for tomorrow. A file with a hole is that large."""
    with (tmp_path / "aragora.db").open("wb") as file:
        file.truncate(shutil.disk_usage(tmp_path).free + 10**9)
    report = examine(data_dir=tmp_path)
    assert report["disk-nearly-full"].level == "warn"
    assert report["disk-nearly-full"].fix.startswith(f"df -h {tmp_path}")


def test_a_network_file_system(tmp_path, examine, monkeypatch):
    """SQLite's locks do not hold there. No such disk is at hand: the kernel's table of mounts is another one here."""
    (tmp_path / "mounts").write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/export {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr("aragora_db.operate.doctor.file._MOUNTS", tmp_path / "mounts")
    report = examine(data_dir=tmp_path)
    assert report["network-file-system"].level == "warn"
    assert "nfs4" in report["network-file-system"].message


def test_the_file_system_is_told_by_the_longest_mount_point():
    """A network disk mounted inside a local one would pass for local."""
    assert _file_system(Path("/proc/self")) == "proc"
    assert _file_system(Path("/")) != "proc"


def test_a_database_in_memory(examine):
    """Nothing about files or servers applies to it."""
    report = examine(database_url="sqlite://")
    assert report.errors == []
    assert {finding.level for check in ("file", "host", "schema") for finding in report.of(check)} == {"skipped"}
