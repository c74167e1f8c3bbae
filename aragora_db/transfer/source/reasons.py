"""Describe for the report why a file or a table cannot be read."""

from __future__ import annotations

from typing import Any

import apsw

__all__ = ["is_half_done", "reason_of"]


def reason_of(error: Exception) -> str:
    """Describe for the report why a file or a table cannot be read."""
    if is_half_done(error):
        return (
            "unfinished: its writer was killed within a transaction, which has to be rolled back first; open it (or a "
            "copy of it and its -journal) with the sqlite3 shell, say .tables, and run the import again"
        )
    known = next((reason for kinds, reason in _REASONS if isinstance(error, kinds)), None)
    return known or f"cannot be read: {error.strerror if isinstance(error, OSError) else error}"


_REASONS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    (
        (apsw.BusyError, apsw.LockedError),
        "locked: another process is writing to it and did not finish; run the import again when it has",
    ),
    (
        (apsw.CorruptError,),
        "damaged: SQLite finds its pages malformed; try the sqlite3 shell's .recover on a copy",
    ),
    ((apsw.NotADBError,), "no SQLite database, or an encrypted one"),
    (
        (apsw.CantOpenError, apsw.ReadOnlyError),
        "cannot be opened for reading: it has a WAL, and its folder is read-only; copy it to where you may write",
    ),
)


def is_half_done(error: Exception) -> bool:
    """Whether there is a hot journal, which only a writer can roll back."""
    return isinstance(error, apsw.ReadOnlyError) and _extended(error) == apsw.SQLITE_READONLY_ROLLBACK


def _extended(error: Any) -> Any:
    return error.extendedresult  # an attribute that apsw's annotations leave out
