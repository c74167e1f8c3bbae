"""Open a SQLite file without changing it."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import apsw
import xxhash

from aragora_db.transfer.source.files import SourceFile
from aragora_db.transfer.source.reasons import is_half_done
from aragora_db.transfer.source.snapshot import Snapshot

if sys.platform != "win32":
    import fcntl

__all__ = ["content_hash", "exclusive_access", "open_snapshot"]

_BUSY_TIMEOUT_MS = 5_000
_BEGIN = "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; BEGIN; SELECT count(*) FROM sqlite_schema"
_BLOCK = 1 << 20  # bytes hashed at once
_DMS = 128  # the byte of a -shm file that every connection in WAL mode holds a shared lock on, see os_unix.c
_SHARED_FIRST, _SHARED_SIZE = 0x4000_0002, 510  # the bytes of a database that SQLite's locks are on, see os.h


@contextmanager
def open_snapshot(file: SourceFile) -> Generator[Snapshot]:
    """Open a file and hold a read transaction on it.

    Raises:
        apsw.Error: it is locked, damaged or no database after all; `reason_of` puts it into words.
        OSError: it cannot be read.
    """
    sides = [file.path.with_name(file.path.name + suffix) for suffix in ("-wal", "-shm")]
    missing = [side for side in sides if not side.exists()]
    # Before the transaction begins: what a writer adds in between is in the snapshot and not in the hash, so that the
    # next run finds another hash and looks again. The other way round it would be missed.
    fingerprint = content_hash(file)
    connection = _connect(file.path, has_wal=_size(sides[0]) > 0)
    try:
        yield Snapshot(file, connection, fingerprint)
    finally:
        connection.close(force=True)
        _tidy(file.path, missing, sides[1])


def _connect(path: Path, *, has_wal: bool) -> apsw.Connection:
    try:
        return _begin(path.absolute().as_uri() + "?mode=ro")
    except (apsw.CantOpenError, apsw.ReadOnlyError) as error:
        # A WAL database in a folder where we may not make its -shm. Without a WAL nobody has it open, or its writer
        # could make none either.
        if has_wal or is_half_done(error) or os.access(path.parent, os.W_OK):
            raise
        return _begin(path.absolute().as_uri() + "?immutable=1")


def _begin(uri: str) -> apsw.Connection:
    connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    try:
        connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
        cast("Any", connection).execute(_BEGIN)
    except apsw.Error:
        connection.close(force=True)
        raise
    return connection


def content_hash(file: SourceFile) -> str:
    """XXH3-128 of a file and its WAL. Never while this process has the file open: closing it drops SQLite's locks."""
    digest = xxhash.xxh3_128()
    for path in (file.path, file.path.with_name(f"{file.path.name}-wal")):
        with suppress(FileNotFoundError), path.open("rb") as opened_file:
            while block := opened_file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


def _size(path: Path) -> int:
    """A file's size; 0 when it is not there, or not any more."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@contextmanager
def exclusive_access(database: Path) -> Generator[bool]:
    """Lock a database file exclusively for the length of a block; yield False if another process has it open.

    Without a WAL an idle connection holds no lock and is not noticed.
    """
    if os.name != "posix" or not os.access(database, os.W_OK):
        yield True
        return
    shared_index = database.with_name(f"{database.name}-shm")
    with ExitStack() as stack:
        try:
            locked = stack.enter_context(database.open("r+b"))
            fcntl.lockf(locked, fcntl.LOCK_EX | fcntl.LOCK_NB, _SHARED_SIZE, _SHARED_FIRST)
            if shared_index.exists():
                index = stack.enter_context(shared_index.open("r+b"))
                fcntl.lockf(index, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _DMS)
            alone = True
        except OSError:
            alone = False
        yield alone


def _tidy(database: Path, made: Sequence[Path], shared_index: Path) -> None:
    """Remove the side files that reading a WAL database makes, unless another process opened the database meanwhile.

    Under the exclusive lock that SQLite's own last connection takes for it: whoever opens the -shm has the shared one.
    Without it a writer could go on with a -shm that nobody else sees, and what it commits would be lost.
    """
    if shared_index not in made or os.name != "posix":
        return
    exclusive = fcntl.LOCK_EX | fcntl.LOCK_NB
    with suppress(OSError), database.open("r+b") as locked, shared_index.open("r+b") as index:
        fcntl.lockf(locked, exclusive, _SHARED_SIZE, _SHARED_FIRST)
        fcntl.lockf(index, exclusive, 1, _DMS)
        for side in made:
            if side == shared_index or not _size(side):
                side.unlink(missing_ok=True)
