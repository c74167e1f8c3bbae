"""Backup and restore; a failure means that the last copy of everything is not one."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
import pytest
import sqlalchemy as sa
import support
from psycopg import sql

from aragora_db.database import Database
from aragora_db.errors import ConfigurationError, TransferError, UsageError
from aragora_db.models import Base, EloRating
from aragora_db.operate.backup import back_up, restore
from aragora_db.stores import DebateStore, EloStore, NewDebate
from aragora_db.testing.plugin import missing

pytestmark = pytest.mark.slow


def fill(database: Database) -> None:
    """Rows of several tables, some with JSON and words."""
    database.transact(lambda s: EloStore(s).record_match("d1", ["ada", "bob"], {"ada": 1.0, "bob": 0.0}))
    database.transact(
        lambda s: DebateStore(s).create(NewDebate("rate limits, or not?", ["ada", "bob"], {"rounds": [1, 2.5]}))
    )


def rows(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Everything that is in our tables."""
    with database.session(read_only=True) as session:
        return {
            table.name: sorted(tuple(map(repr, row)) for row in session.execute(sa.select(table)))
            for table in Base.metadata.sorted_tables
        }


@pytest.fixture(autouse=True)
def _client_programs(monkeypatch, request):
    """A machine without PostgreSQL's programs has those of the tests' server."""
    if "dialect" in request.fixturenames and request.getfixturevalue("dialect") == "sqlite":
        return
    server = request.getfixturevalue("postgres_server")
    if server.bindir is not None:
        monkeypatch.setenv("PATH", f"{server.bindir}{os.pathsep}{os.environ['PATH']}")
    if shutil.which("pg_dump") is None:
        missing("no pg_dump here: PostgreSQL cannot be backed up. Install the package postgresql-client")


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
    with pytest.raises(UsageError, match="does not exist"):
        back_up(full, tmp_path / "no" / "folder")


def test_what_is_no_backup_is_refused(empty: Database, tmp_path: Path) -> None:
    """Half of a file would be taken for a database."""
    for content in (b"", b"PGDM", b"hello", os.urandom(64)):
        (tmp_path / "bad").write_bytes(content)
        with pytest.raises(TransferError, match="is no backup of this kind"):
            restore(empty, tmp_path / "bad")
    with pytest.raises(UsageError, match="cannot be read"):
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


def test_the_commands(full: Database, empty: Database, tmp_path: Path, aragora_db) -> None:
    """An operator's script would get something else than one document, or take a refusal for a success."""

    def run(database: Database, *arguments: str):
        return aragora_db(*arguments, DATABASE_URL=database.dsn.url())

    done = run(full, "backup", str(tmp_path / "copy"), "--json")
    assert (done.code, done.document["schema"]) == (0, "at head")
    assert run(full, "backup", str(tmp_path / "copy")).code == 1
    assert run(full, "restore", str(tmp_path / "copy")).code == 1
    assert run(empty, "restore", str(tmp_path / "copy")).code == 0
    with empty.session(read_only=True) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(EloRating)) == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit like this")
def test_no_room_left(full: Database, tmp_path: Path) -> None:
    """A full disk would be called a bug of ours, or leave half a backup on it."""
    command = shlex.join([sys.executable, "-P", "-m", "aragora_db", "backup", str(tmp_path / "copy")])
    done = subprocess.run(
        ["/bin/sh", "-c", f"ulimit -f 32; exec {command}"],
        env=support.clean_environment(DATABASE_URL=full.dsn.url(), PYTHONDONTWRITEBYTECODE="1"),
        capture_output=True,
        text=True,
        check=False,
        timeout=support.HANG_SECONDS,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_cannot_be(full: Database, tmp_path: Path) -> None:
    """A typing error would be called a bug of ours."""
    with pytest.raises(TransferError, match="cannot be written"):
        back_up(full, tmp_path / ("n" * 300))


def test_others_cannot_read_it_and_a_read_only_disk_will_do(full: Database, tmp_path: Path) -> None:
    """Everybody on the machine would have everything; a backup on read-only media would be no backup."""
    back_up(full, tmp_path / "copy")
    assert (tmp_path / "copy").stat().st_mode & 0o077 == 0
    header = (tmp_path / "copy").read_bytes()[:20]
    # SQLite opens a file in WAL mode (2) only where it can make two more beside it.
    assert header[18:] == b"\1\1" or not header.startswith(b"SQLite")


@pytest.mark.parametrize("password", ["ends with spaces  ", "a:b\\c'd#e", "long" * 500])
def test_any_password_will_do(fresh_databases, tmp_path: Path, password: str) -> None:
    """IAM tokens are longer than a line of libpq's service file, and a space at its end is cut."""
    url = fresh_databases.url("postgresql")
    parts, role = urlsplit(url), f"r_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(password))
        )
        url = f"postgresql://{role}:{quote(password, safe='')}@{parts.hostname}:{parts.port}{parts.path}"
        try:
            with closing(Database(url)) as database:
                assert back_up(database, tmp_path / "copy").schema == "at head"
        finally:
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def test_a_password_of_the_environment(fresh_databases, tmp_path: Path, monkeypatch) -> None:
    """Everything would log in with PGPASSWORD, only the backup not."""
    parts = urlsplit(fresh_databases.url("postgresql"))
    if parts.password is not None:
        monkeypatch.setenv("PGPASSWORD", parts.password)
    with closing(Database(f"postgresql://{parts.username}@{parts.hostname}:{parts.port}{parts.path}")) as database:
        assert back_up(database, tmp_path / "copy").schema == "at head"


def test_not_through_a_transaction_pooler(fresh_databases, pgbouncer, tmp_path: Path) -> None:
    """pg_dump empties the search_path of its session, which the pooler may hand to the application."""
    name = urlsplit(fresh_databases.url("postgresql")).path[1:]
    with (
        closing(Database(f"{pgbouncer.url_for(name)}?pgbouncer=true")) as database,
        pytest.raises(ConfigurationError, match="name the server itself"),
    ):
        back_up(database, tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def interrupted(fresh_databases, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A backup in a process of its own, whose pg_dump waits for a lock until the process has ended."""
    url = fresh_databases.url("postgresql")
    for name in ("temporary", "copies"):
        (tmp_path / name).mkdir()
    with psycopg.connect(url) as holder, psycopg.connect(url, autocommit=True) as observer:
        holder.execute("LOCK TABLE debates")  # pg_dump waits for it
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "aragora_db", "backup", str(tmp_path / "copies" / "copy")],
            env=support.clean_environment(DATABASE_URL=url, TMPDIR=str(tmp_path / "temporary")),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        waiting = (
            "SELECT 1 FROM pg_stat_activity WHERE application_name = 'pg_dump' AND wait_event_type = 'Lock'"
            " AND datname = current_database()"
        )
        try:
            support.eventually(
                lambda: process.poll() is not None or observer.execute(waiting).fetchone(), "pg_dump waits for the lock"
            )
            yield process
        finally:
            support.end_process(process)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_end_in_the_middle(interrupted: subprocess.Popen[bytes], tmp_path: Path, number: int) -> None:
    """Half of a backup would stay, or, however it ends, a file with the password."""
    assert interrupted.poll() is None
    interrupted.send_signal(number)
    code = interrupted.wait(support.HANG_SECONDS)
    if number == signal.SIGKILL:
        assert code == -number
    else:
        assert code == 130
        assert list((tmp_path / "copies").iterdir()) == []
    assert list((tmp_path / "temporary").iterdir()) == []
