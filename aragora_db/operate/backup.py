"""A backup of the whole database in one file, and the way back into an empty one, by each database's own means."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from aragora_db.config import Dsn, PoolerMode, detect_pooler
from aragora_db.config.resolve import resolve
from aragora_db.config.secrets.rds_iam import iam_tokens
from aragora_db.database import Database
from aragora_db.errors import ConfigurationError, TransferError, UsageError

__all__ = ["Backup", "back_up", "restore"]

_EMPTY = "empty"
_SERVICE = "aragora"


@dataclass(frozen=True)
class Backup:
    """What was written or read.

    Attributes:
        file: the backup.
        size: its bytes.
        schema: where the database's schema is: ``at head``, ``behind``, ...
    """

    file: Path
    size: int
    schema: str


def back_up(database: Database, file: Path) -> Backup:
    """Write the database into a new file, as of one moment, while others go on writing.

    SQLite's online backup, or ``pg_dump``'s custom format.

    Raises:
        UsageError: the file's folder does not exist.
        TransferError: the file exists, cannot be written, or the tool failed; then there is no file.
        ConfigurationError: ``pg_dump`` is not installed, a transaction pooler is in between, or the database is in
            memory.
        DatabaseError: the database could not be asked.
    """
    try:
        if file.exists():
            raise TransferError(f"{file} exists and is not overwritten; choose another name")
        if not file.absolute().parent.is_dir():
            raise UsageError(f"the folder of {file} does not exist; create it")
        schema = database.schema_verdict()
        if schema == _EMPTY:
            raise TransferError(f"{database.dsn.masked} is empty; there is nothing to back up")
        _write(database, file)
        return Backup(file, file.stat().st_size, schema)
    except OSError as error:
        raise TransferError(f"{file} cannot be written: {error.strerror}") from error


def _write(database: Database, file: Path) -> None:
    # Beside the target, so that the last step is a rename: a backup that has its name is whole. Nobody else reads it.
    handle, name = tempfile.mkstemp(prefix=".aragora-backup-", dir=file.absolute().parent)
    os.close(handle)
    part = Path(name)
    try:
        _TOOLS[database.dsn.backend].dump(database, part)
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def restore(database: Database, file: Path) -> Backup:
    """Fill an empty database from a backup of the same kind, in one transaction.

    Raises:
        UsageError: the file cannot be read.
        TransferError: the database is not empty, the file is no backup of this kind, or the tool failed; nothing was
            restored then.
        ConfigurationError: ``pg_restore`` is not installed, a transaction pooler is in between, or the database is in
            memory.
        DatabaseError: the database could not be asked.
    """
    tool = _TOOLS[database.dsn.backend]
    try:
        with file.open("rb") as opened:
            magic = opened.read(16)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    if not magic.startswith(tool.magic):
        raise TransferError(
            f"{file} is no backup of this kind of database ({database.dsn.backend}). From SQLite to PostgreSQL "
            "goes aragora-db import, the other way aragora-db export"
        )
    if (schema := database.schema_verdict()) != _EMPTY:
        raise TransferError(f"{database.dsn.masked} is not empty (its schema is {schema}); restore into a new database")
    tool.load(database, file)
    return Backup(file, file.stat().st_size, database.schema_verdict())


@dataclass(frozen=True)
class _Tool:
    magic: bytes
    dump: Callable[[Database, Path], None]
    load: Callable[[Database, Path], None]


# -- PostgreSQL -------------------------------------------------------------------------------------------------------


def _pg_dump(database: Database, part: Path) -> None:
    _run(database, "pg_dump", "--format=custom", f"--file={part}")


def _pg_restore(database: Database, file: Path) -> None:
    # The owner is whoever restores: roles belong to the server, not to the database.
    _run(
        database,
        "pg_restore",
        "--no-owner",
        "--no-privileges",
        "--exit-on-error",
        "--single-transaction",
        str(file.absolute()),
    )


def _run(database: Database, program: str, *options: str) -> None:
    path = shutil.which(program)
    if path is None:
        raise ConfigurationError(
            f"{program} is not installed: install PostgreSQL's client programs (postgresql-client)"
        )
    dsn = _login(database)
    password = dsn.parameters.get("password")
    service = [f"[{_SERVICE}]", *(f"{key}={value}" for key, value in dsn.parameters.items() if key != "password")]
    with ExitStack() as files:
        hidden = {"PGSERVICEFILE": _hidden(files, "\n".join(service))}
        if password is not None:  # in a file of its own: libpq cuts a service's long lines, and spaces at their end
            escaped = password.replace("\\", "\\\\").replace(":", "\\:")
            hidden["PGPASSFILE"] = _hidden(files, f"*:*:*:*:{escaped}")
        done = subprocess.run(  # noqa: S603 -- a program that we looked up
            [path, f"--dbname=service={_SERVICE}", "--no-password", *options],
            env=os.environ | {name: f"/dev/fd/{descriptor}" for name, descriptor in hidden.items()},
            pass_fds=tuple(hidden.values()),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise TransferError(f"{program} failed, and nothing of it stays: {said}")


def _login(database: Database) -> Dsn:
    settings = database.settings
    dsn = resolve(settings, database.secrets)
    if detect_pooler(dsn, settings.pooler) is PoolerMode.TRANSACTION:
        # PostgreSQL's programs set an empty search_path for their session, and the pooler may hand that to others.
        raise ConfigurationError(
            f"{dsn.masked} goes through a transaction pooler, which a backup must not; name the server itself for this "
            "command"
        )
    if settings.pg_iam_auth:
        return iam_tokens(settings.aws_region).sign(dsn)
    return dsn


def _hidden(files: ExitStack, text: str) -> int:
    """A file without a name: `ps` shows arguments and the environment, and a killed process leaves files behind."""
    file = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 -- the stack closes it
    files.callback(file.close)
    file.write(f"{text}\n")
    file.seek(0)  # writes it, and where /dev/fd shares the position it is read from here
    return file.fileno()


# -- SQLite -----------------------------------------------------------------------------------------------------------


def _copy_out(database: Database, part: Path) -> None:
    with closing(_open(_sqlite_file(database))) as source, closing(sqlite3.connect(part)) as target:
        try:
            source.backup(target)
            # A file in WAL mode cannot be read from where nothing can be written, such as a disk mounted read-only.
            target.execute("PRAGMA journal_mode = DELETE")
            _check(target, part)
        except sqlite3.Error as error:
            raise TransferError(f"the backup cannot be written: {error}") from error


def _copy_in(database: Database, file: Path) -> None:
    with closing(_open(file)) as source, closing(sqlite3.connect(_sqlite_file(database))) as target:
        try:
            _check(source, file)
            source.backup(target)
        except sqlite3.Error as error:
            raise TransferError(f"{file} cannot be restored: {error}") from error


def _sqlite_file(database: Database) -> Path:
    if database.dsn.path is None:
        raise ConfigurationError("a database in memory has no backup; use a file")
    return Path(database.dsn.path)


def _open(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)


def _check(connection: sqlite3.Connection, file: Path) -> None:
    found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise TransferError(f"{file} is damaged: {found}")


_TOOLS = {
    "postgresql": _Tool(b"PGDMP", _pg_dump, _pg_restore),
    "sqlite": _Tool(b"SQLite format 3\0", _copy_out, _copy_in),
}
