"""The SQLite file: whether it can be read and written, is whole, and lies on a disk that suits it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from shlex import quote
from typing import Final

from aragora_db.operate.doctor.check import DoctorCheck, Fault, Finding, for_file, ok, skipped
from aragora_db.operate.doctor.context import DoctorContext

__all__ = ["CHECKS"]

_LITTLE: Final = 200 * 1024 * 1024  # bytes
_CHECK_SECONDS: Final = 20.0

# File systems of other machines: POSIX locks, and WAL's shared memory, are not what they are on a disk.
# https://www.sqlite.org/wal.html ("all processes using a database must be on the same host")
_NETWORK: Final = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "nfs", "nfs4", "smb3", "smbfs"}
)
_MOUNTS: Final = Path("/proc/mounts")

NOT_WRITABLE = Fault(
    "file-not-writable",
    "error",
    "The file, or the folder in which SQLite keeps its journal, cannot be written.",
    "sudo chown -R $(id -un) {folder}  # or choose another one with ARAGORA_DATA_DIR",
)
NO_DATABASE_FILE = Fault(
    "not-a-database",
    "error",
    "What lies there is no SQLite database.",
    "mv {file} {file}.old  # or choose another one with ARAGORA_DATA_DIR or DATABASE_URL",
)
DAMAGED = Fault(
    "damaged-file",
    "error",
    "Pages of the file contradict each other: a disk that fails, a copy taken while it was written, two machines "
    "writing.",
    "sqlite3 {file} .recover | sqlite3 {file}.recovered  # or restore the latest backup",
)
NOT_WAL = Fault(
    "journal-not-wal",
    "warn",
    "Readers and the writer block each other until the file is in WAL mode. The package switches it at its next use.",
    'sqlite3 {file} "PRAGMA journal_mode = WAL"',
)
DISK_FULL = Fault(
    "disk-nearly-full",
    "warn",
    "Less space is left than a copy of the file, or a few hundred megabytes, would take.",
    "df -h {folder}  # make room, or move ARAGORA_DATA_DIR to another disk",
)
NETWORK_DISK = Fault(
    "network-file-system",
    "warn",
    "The file lies on another machine's disk. SQLite's locks do not hold there, and two writers damage it.",
    "move ARAGORA_DATA_DIR to a local disk, or use PostgreSQL: DATABASE_URL=postgresql://...",
)


def _path(context: DoctorContext) -> Path:
    path = context.target.file
    assert path is not None  # noqa: S101 -- `for_file` has looked
    return path


def _file(context: DoctorContext) -> Iterator[Finding]:
    path = _path(context)
    folder = next(each for each in path.parents if each.exists())
    if not path.exists():
        if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
            yield ok(f"{path} does not exist yet; the first use makes it")
        else:
            yield NOT_WRITABLE.found(
                f"{path} does not exist, and cannot be made in {folder}", folder=quote(str(folder))
            )
        return
    if not path.is_file():
        yield NO_DATABASE_FILE.found(f"{path} is no file", file=quote(str(path)))
    elif not (os.access(path, os.R_OK | os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK)):
        yield NOT_WRITABLE.found(f"{path}, or its folder, cannot be written", folder=quote(str(path.parent)))
    else:
        yield ok(f"{path} can be written ({path.stat().st_size / 1e6:.1f} MB)")


def _disk(context: DoctorContext) -> Iterator[Finding]:
    path = _path(context)
    folder = next(each for each in path.parents if each.is_dir())
    free = shutil.disk_usage(folder).free
    size = path.stat().st_size if path.exists() else 0
    if free < max(size, _LITTLE):
        yield DISK_FULL.found(f"{free / 1e6:.0f} MB are free in {folder}", folder=quote(str(folder)))
    kind = _file_system(folder)
    if kind in _NETWORK:
        yield NETWORK_DISK.found(f"{folder} is on a network file system ({kind})")
    if free >= max(size, _LITTLE) and kind not in _NETWORK:
        yield ok(f"{free / 1e9:.1f} GB free{f' on {kind}' if kind else ''}")


def _file_system(folder: Path) -> str:
    """The kind of file system, where the kernel tells; the longest mount point above the folder decides."""
    try:
        lines = [line.split() for line in _MOUNTS.read_text().splitlines()]
    except OSError:
        return ""
    real = folder.resolve()
    above = [(len(line[1]), line[2]) for line in lines if real.is_relative_to(line[1].replace("\\040", " "))]
    return max(above, default=(0, ""))[1]


def _integrity(context: DoctorContext) -> Iterator[Finding]:
    path = _path(context)
    context.facts["journal"] = "wal"
    if not path.exists() or path.stat().st_size == 0:
        yield skipped(f"{path} is not made yet")
        return
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, check_same_thread=False)) as connection:
        try:
            mode = str(connection.execute("PRAGMA journal_mode").fetchone()[0])
            context.facts["journal"] = mode
            timer = threading.Timer(_CHECK_SECONDS, connection.interrupt)
            timer.start()
            try:
                problems = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
            finally:
                timer.cancel()
        except sqlite3.DatabaseError as error:
            yield _broken(error, path)
            return
    if problems != ["ok"]:
        yield DAMAGED.found(f"{path}: {'; '.join(problems)}", file=quote(str(path)))
    if mode != "wal":
        yield NOT_WAL.found(f"{path} is in journal mode {mode}", file=quote(str(path)))
    elif problems == ["ok"]:
        yield ok("whole, in WAL mode")


def _broken(error: sqlite3.DatabaseError, path: Path) -> Finding:
    code = error.sqlite_errorname
    if code == "SQLITE_INTERRUPT":
        return skipped(
            f"{path} is too large to be looked through in {_CHECK_SECONDS:g} s",
            f'sqlite3 {quote(str(path))} "PRAGMA quick_check"',
        )
    if code == "SQLITE_NOTADB":
        return NO_DATABASE_FILE.found(f"{path} is no SQLite database", file=quote(str(path)))
    return DAMAGED.found(f"{path}: {code}", file=quote(str(path)))


CHECKS = (
    DoctorCheck(
        "file",
        "Can the file be made, read and written?",
        _file,
        (NOT_WRITABLE, NO_DATABASE_FILE),
        for_file,
        ("database",),
    ),
    DoctorCheck("disk", "Is there room on a local disk?", _disk, (DISK_FULL, NETWORK_DISK), for_file, ("database",)),
    DoctorCheck(
        "integrity",
        "Is the file whole, and in WAL mode?",
        _integrity,
        (NO_DATABASE_FILE, DAMAGED, NOT_WAL),
        for_file,
        ("file",),
        60,
    ),
)
