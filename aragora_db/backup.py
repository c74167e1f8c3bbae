"""A backup of the whole database in one file, and the way back into an empty one, by each database's own means."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aragora_db.database import Database
from aragora_db.errors import ConfigurationError, TransferError

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
        TransferError: the file exists, or the tool failed; then there is no file.
        ConfigurationError: ``pg_dump`` is not installed, or the database is in memory.
        DatabaseError: the database could not be asked.
    """
    if file.exists():
        raise TransferError(f"{file} exists and is not overwritten; choose another name")
    if not file.absolute().parent.is_dir():
        raise TransferError(f"the folder of {file} does not exist; create it")
    schema = database.schema_verdict()
    if schema == _EMPTY:
        raise TransferError(f"{database.dsn.masked} is empty; there is nothing to back up")
    # Beside the target, so that the last step is a rename: a backup that has its name is whole.
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.absolute().parent)
    os.close(handle)
    part = Path(name)
    try:
        _TOOLS[database.dsn.backend].dump(database, part)
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return Backup(file, file.stat().st_size, schema)


def restore(database: Database, file: Path) -> Backup:
    """Fill an empty database from a backup of the same kind, in one transaction.

    Raises:
        TransferError: the database is not empty, the file is no backup of this kind, or the tool failed; nothing was
            restored then.
        ConfigurationError: ``pg_restore`` is not installed, or the database is in memory.
        DatabaseError: the database could not be asked.
    """
    tool = _TOOLS[database.dsn.backend]
    try:
        with file.open("rb") as opened:
            magic = opened.read(16)
    except OSError as error:
        raise TransferError(f"{file} cannot be read: {error.strerror}") from error
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
    _run(database, "pg_restore", "--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction", str(file))


def _run(database: Database, program: str, *options: str) -> None:
    path = shutil.which(program)
    if path is None:
        raise ConfigurationError(
            f"{program} is not installed: install PostgreSQL's client programs (postgresql-client)"
        )
    parameters = database.settings.resolve(database.secrets).parameters
    with _service(dict(parameters)) as file:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        command = [path, f"--dbname=service={_SERVICE}", "--no-password", *options]
        done = subprocess.run(  # noqa: S603 -- a program that we looked up
            command, env=environment | {"PGSERVICEFILE": str(file)}, capture_output=True, text=True, check=False
        )
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise TransferError(f"{program} failed, and nothing of it stays: {said}")


@contextmanager
def _service(parameters: dict[str, str]) -> Iterator[Path]:
    """A file for libpq that nobody else can read: what stands in arguments or the environment, `ps` can show."""
    handle, name = tempfile.mkstemp(prefix="aragora-service-")
    file = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            opened.write(f"[{_SERVICE}]\n")
            opened.writelines(f"{key}={value}\n" for key, value in parameters.items())
        yield file
    finally:
        with suppress(FileNotFoundError):
            file.unlink()


# -- SQLite -----------------------------------------------------------------------------------------------------------


def _copy_out(database: Database, part: Path) -> None:
    with closing(_open(_sqlite_file(database))) as source, closing(sqlite3.connect(part)) as target:
        source.backup(target)
        _check(target, part)


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
