"""Which files below a folder are SQLite databases, and why the others are not read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SourceFile", "UnreadFile", "discover"]

_MAGIC = b"SQLite format 3\x00"
_SIDE_FILES = ("-wal", "-shm", "-journal")
_DATABASE_NAMES = frozenset({".db", ".sqlite", ".sqlite3", ".db3"})


@dataclass(frozen=True)
class SourceFile:
    """A file with SQLite's header. `name` is its path below the folder, with forward slashes."""

    path: Path
    name: str


@dataclass(frozen=True)
class UnreadFile:
    """A file that was not read, and why."""

    name: str
    reason: str


def discover(folder: Path, leave_out: Path | None = None) -> tuple[list[SourceFile], list[UnreadFile]]:
    """Find every SQLite database below a folder, by its header and not by its name.

    A file that is no database and is not called one, such as a snapshot in JSON, is nobody's loss and is not named.

    Args:
        folder: where to look.
        leave_out: a folder below it that is not looked into, as an absolute path.

    Returns:
        The databases, and the files that look like databases by name and are none, both sorted by name.
    """
    databases: list[SourceFile] = []
    left: list[UnreadFile] = []

    def unreadable(error: OSError) -> None:
        shown = _shown(Path(error.filename), folder)
        left.append(UnreadFile(shown, f"cannot be read: {error.strerror}"))

    for root, folders, names in os.walk(folder, onerror=unreadable):
        links = [each for each in folders if os.path.islink(Path(root) / each)]  # noqa: PTH114 -- says no where stat() fails
        left += [
            UnreadFile(_shown(Path(root) / each, folder), "a link to a folder, which is not followed") for each in links
        ]
        folders[:] = [each for each in folders if leave_out is None or (Path(root) / each).resolve() != leave_out]
        for name in names:
            path = Path(root) / name
            shown = _shown(path, folder)
            lost = path.is_symlink() and not path.exists()  # the disk that it leads to is not there
            if not (path.is_file() or lost) or _belongs_to_another(path):
                continue
            try:
                # SQLite follows links, and looks for the WAL beside what they lead to.
                problem = _problem(path.resolve())
            except OSError as error:
                left.append(UnreadFile(shown, f"cannot be read: {error.strerror}"))
                continue
            if problem is None:
                databases.append(SourceFile(path.resolve(), shown))
            elif path.suffix.lower() in _DATABASE_NAMES or problem not in _NOBODYS_LOSS:
                left.append(UnreadFile(shown, problem))
    real = {file.path: file for file in sorted(databases, key=lambda each: each.name, reverse=True)}
    return sorted(real.values(), key=lambda each: each.name), sorted(left, key=lambda each: each.name)


def _shown(path: Path, folder: Path) -> str:
    """A path below the folder as text that can be printed and stored, whatever its bytes."""
    text = path.relative_to(folder).as_posix()
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


_NO_DATABASE = "no SQLite database: it does not begin with SQLite's header"
_FOLDER_LINK = "a link to a folder, which is not followed"
_EMPTY = "empty: it has no bytes"
_NOBODYS_LOSS = frozenset({_NO_DATABASE, _EMPTY})
"""What is wrong with files that need not be databases."""


def _belongs_to_another(path: Path) -> bool:
    """Whether this is the WAL, the index or the journal of a database beside it."""
    return any(
        path.name.endswith(suffix) and path.with_name(path.name.removesuffix(suffix)).exists() for suffix in _SIDE_FILES
    )


def _problem(path: Path) -> str | None:
    """Why this is not a whole database; https://sqlite.org/fileformat.html#the_database_header names the offsets."""
    with path.open("rb") as file:
        header = file.read(100)
    size = path.stat().st_size
    wal = path.with_name(f"{path.name}-wal")
    if not header:
        # A database in WAL mode of which nothing was checkpointed yet is an empty file beside a full -wal.
        return None if wal.exists() and wal.stat().st_size else _EMPTY
    if not header.startswith(_MAGIC):
        return _NO_DATABASE
    page = int.from_bytes(header[16:18])
    pages, is_valid = int.from_bytes(header[28:32]), header[24:28] == header[92:96]
    expected = pages * (65_536 if page == 1 else page)
    if is_valid and size < expected and not (wal.exists() and wal.stat().st_size):
        return f"truncated: {size:,} of {expected:,} bytes are there"
    return None
