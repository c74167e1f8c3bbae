"""Backup and restore; a failure means that the last copy of everything is not one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from aragora_db.backup import back_up, restore
from aragora_db.database import Database
from aragora_db.errors import TransferError
from aragora_db.models import Base, EloRating
from aragora_db.stores import DebateStore, EloStore


def fill(database: Database) -> None:
    """Rows of several tables, some with JSON and words."""
    database.transact(lambda s: EloStore(s).record_match("d1", ["ada", "bob"], {"ada": 1.0, "bob": 0.0}))
    database.transact(lambda s: DebateStore(s).create("rate limits, or not?", ["ada", "bob"], {"rounds": [1, 2.5]}))


def rows(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Everything that is in our tables."""
    with database.session(read_only=True) as session:
        return {
            table.name: sorted(tuple(map(repr, row)) for row in session.execute(sa.select(table)))
            for table in Base.metadata.sorted_tables
        }


@pytest.fixture(autouse=True)
def _client_programs(monkeypatch, postgres_server):
    """A machine without PostgreSQL's programs has those of the tests' server."""
    if postgres_server.bindir is not None:
        monkeypatch.setenv("PATH", f"{postgres_server.bindir}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def full(dialect, fresh_databases):
    """A database with rows."""
    database = Database(fresh_databases.url(dialect))
    fill(database)
    yield database
    database.close()


@pytest.fixture
def empty(dialect, fresh_databases):
    """A database that nobody has used."""
    database = Database(fresh_databases.url(dialect, migrated=False))
    yield database
    database.close()


def test_round_trip(full: Database, empty: Database, tmp_path: Path) -> None:
    """A row would be lost on the way, or the guard with its triggers."""
    made = back_up(full, tmp_path / "copy")
    assert made.size == (tmp_path / "copy").stat().st_size
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]
    assert restore(empty, tmp_path / "copy").schema == "at head"
    assert rows(empty) == rows(full)
    assert empty.migrate() == []
    empty.transact(lambda s: EloStore(s).record_match("d2", ["ada", "bob"], {"ada": 1.0, "bob": 0.0}))
    with pytest.raises(sa.exc.DBAPIError), empty.session() as session:
        session.execute(sa.text("DELETE FROM aragora_schema_version"))


def test_nothing_is_overwritten(full: Database, empty: Database, tmp_path: Path) -> None:
    """A backup would replace the one before, or a restore the data of today."""
    file = tmp_path / "copy"
    file.write_text("mine")
    with pytest.raises(TransferError, match="exists and is not overwritten"):
        back_up(full, file)
    assert file.read_text() == "mine"
    back_up(full, tmp_path / "good")
    with pytest.raises(TransferError, match="is not empty"):
        restore(full, tmp_path / "good")
    with pytest.raises(TransferError, match="nothing to back up"):
        back_up(empty, tmp_path / "nothing")
    with pytest.raises(TransferError, match="does not exist"):
        back_up(full, tmp_path / "no" / "folder")


def test_what_is_no_backup_is_refused(empty: Database, tmp_path: Path) -> None:
    """Half of a file would be taken for a database."""
    for content in (b"", b"PGDM", b"hello", os.urandom(64)):
        (tmp_path / "bad").write_bytes(content)
        with pytest.raises(TransferError, match="is no backup of this kind"):
            restore(empty, tmp_path / "bad")
    with pytest.raises(TransferError, match="cannot be read"):
        restore(empty, tmp_path / "missing")
    assert empty.schema_verdict() == "empty"


def test_a_damaged_backup_restores_nothing(full: Database, empty: Database, tmp_path: Path) -> None:
    """Some tables would be there and others not."""
    back_up(full, tmp_path / "copy")
    whole = (tmp_path / "copy").read_bytes()
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TransferError):
        restore(empty, tmp_path / "half")
    assert empty.schema_verdict() == "empty"
    assert restore(empty, tmp_path / "copy").schema == "at head"


def test_the_commands(full: Database, empty: Database, tmp_path: Path) -> None:
    """An operator's script would get something else than one document, or see a password in the process list."""

    def run(database: Database, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"DATABASE_URL": database.dsn.url()}
        command = [sys.executable, "-P", "-m", "aragora_db", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    done = run(full, "backup", str(tmp_path / "copy"), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["schema"] == "at head"
    assert run(full, "backup", str(tmp_path / "copy")).returncode == 1
    assert run(full, "restore", str(tmp_path / "copy")).returncode == 1
    done = run(empty, "restore", str(tmp_path / "copy"))
    assert done.returncode == 0, done.stderr
    with empty.session(read_only=True) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(EloRating)) == 2
