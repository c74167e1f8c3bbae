"""Driver errors become the typed errors of this package, told apart by code, never by the text of a message."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, event

from aragora_db import errors

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import ExceptionContext

__all__ = ["translate_errors", "translated_driver_errors"]

# https://www.postgresql.org/docs/current/errcodes-appendix.html
SQLSTATES: dict[str, type[errors.DatabaseError]] = {
    "23505": errors.UniqueViolation,
    "23503": errors.ForeignKeyViolation,
    "23001": errors.ForeignKeyViolation,  # ON DELETE RESTRICT, from PostgreSQL 18
    "23514": errors.CheckViolation,
    "23502": errors.NotNullViolation,
    "25006": errors.ReadOnlyViolation,
    "57014": errors.StatementTimeout,
    "40001": errors.LockTimeout,
    "40P01": errors.LockTimeout,
    "55P03": errors.LockTimeout,
    "42501": errors.PermissionDenied,
    "53100": errors.StorageError,  # disk_full
    "58030": errors.StorageError,  # io_error
    "25P03": errors.DatabaseUnavailable,  # idle_in_transaction_session_timeout: rolled back for certain
    "57P01": errors.DatabaseUnavailable,  # admin_shutdown
    "57P02": errors.DatabaseUnavailable,  # crash_shutdown
    "57P03": errors.DatabaseUnavailable,  # cannot_connect_now
    "53300": errors.DatabaseUnavailable,  # too_many_connections
}

# https://www.sqlite.org/rescode.html
SQLITE_CODES: dict[str, type[errors.DatabaseError]] = {
    "SQLITE_CONSTRAINT_UNIQUE": errors.UniqueViolation,
    "SQLITE_CONSTRAINT_PRIMARYKEY": errors.UniqueViolation,
    "SQLITE_CONSTRAINT_ROWID": errors.UniqueViolation,
    "SQLITE_CONSTRAINT_FOREIGNKEY": errors.ForeignKeyViolation,
    "SQLITE_CONSTRAINT_CHECK": errors.CheckViolation,
    "SQLITE_CONSTRAINT_NOTNULL": errors.NotNullViolation,
    "SQLITE_READONLY": errors.ReadOnlyViolation,
    "SQLITE_PERM": errors.PermissionDenied,
    "SQLITE_AUTH": errors.PermissionDenied,
    "SQLITE_FULL": errors.StorageError,
    "SQLITE_IOERR": errors.StorageError,
    "SQLITE_BUSY": errors.LockTimeout,
    "SQLITE_BUSY_SNAPSHOT": errors.LockTimeout,
    "SQLITE_LOCKED": errors.LockTimeout,
    "SQLITE_INTERRUPT": errors.StatementTimeout,
    "SQLITE_CANTOPEN": errors.DatabaseUnavailable,
    "SQLITE_NOTADB": errors.DatabaseUnavailable,
    "SQLITE_CORRUPT": errors.DatabaseUnavailable,
}


_WHERE_FROM = (
    "The address comes from ARAGORA_POSTGRES_DSN, DATABASE_URL or ARAGORA_PG_* (TLS: ARAGORA_PG_SSL_MODE); "
    "aragora-db doctor finds the step that fails"
)


def translate_errors(engine: Engine) -> None:
    """Make this engine raise the errors of `aragora_db.errors`; each keeps the driver's error as ``orig``."""
    event.listen(engine, "handle_error", _translate, retval=True)
    event.listen(engine, "commit", _commit_starts)
    event.listen(engine, "rollback", _commit_is_over)
    event.listen(engine, "begin", _commit_is_over)


@contextmanager
def translated_driver_errors() -> Generator[None]:
    """The same for what SQLAlchemy has no word for, such as psycopg's COPY.

    Raises:
        DatabaseError: of the kind that the driver's code says, or of no kind for a code that we do not know.
    """
    try:
        yield
    except Exception as original:
        if not hasattr(original, "sqlstate"):
            raise
        lost = not _sqlstate(original) and type(original).__name__ == "OperationalError"
        kind = errors.DatabaseUnavailable if lost else SQLSTATES.get(_sqlstate(original), errors.DatabaseError)
        raise _describe(kind, original) from original


def _commit_starts(connection: Any) -> None:
    connection.info["aragora_committing"] = True


def _commit_is_over(connection: Any) -> None:
    _info(connection).pop("aragora_committing", None)


def _translate(context: ExceptionContext) -> BaseException | None:
    original = context.original_exception
    if context.is_pre_ping or not isinstance(original, Exception):
        return None
    lost = context.is_disconnect or _never_connected(context)
    if isinstance(original, sqlite3.Error):
        name = getattr(original, "sqlite_errorname", "")
        # SQLITE_BUSY_RECOVERY and its like are kinds of SQLITE_BUSY.
        kind = SQLITE_CODES.get(name) or SQLITE_CODES.get("_".join(name.split("_")[:2]))
    elif hasattr(original, "sqlstate"):
        kind = SQLSTATES.get(_sqlstate(original)) or (errors.DatabaseUnavailable if lost else None)
    else:
        return None
    if kind is errors.DatabaseUnavailable and _commit_matters(context) and _sqlstate(original) != "25P03":
        kind = errors.CommitUnknown
    if kind is errors.ReadOnlyViolation and not _asked_for_read_only(context):
        kind = errors.PermissionDenied  # a file, a folder or a standby that nobody can write to
    if lost and getattr(context.execution_context, "aragora_timed_out", False):
        kind = errors.CommandTimeout
    if kind is None:
        return None
    error = _describe(kind, original)
    if kind is errors.DatabaseUnavailable and isinstance(original, sqlite3.Error) and context.engine is not None:
        error.message = f"{error.message}: {context.engine.url.database}"
    elif kind is errors.DatabaseUnavailable and _never_connected(context):
        error.message = f"{_sentences(error.message)} {_WHERE_FROM}"
    return error


def _sentences(text: str) -> str:
    """Lines of libpq's, of which some end with a question or a colon and some with nothing, as running text."""
    lines = filter(None, map(str.strip, text.splitlines()))
    return " ".join(line if line.endswith((".", "?", ":")) else f"{line}." for line in lines)


def _sqlstate(original: Exception) -> str:
    return str(getattr(original, "sqlstate", None) or "")


def _asked_for_read_only(context: ExceptionContext) -> bool:
    if context.connection is None:
        return False
    return bool(context.connection.get_execution_options().get("postgresql_readonly"))


def _never_connected(context: ExceptionContext) -> bool:
    return context.connection is None and context.statement is None


def _commit_matters(context: ExceptionContext) -> bool:
    """Whether a COMMIT is under way that may have changed something."""
    return _committing(context) and not _asked_for_read_only(context)


def _committing(context: ExceptionContext) -> bool:
    connection = context.connection
    # A statement is no COMMIT: it may be the BEGIN behind a pooler, over a connection that committed before.
    return (
        connection is not None
        and context.statement is None
        and not connection.closed
        and bool(_info(connection).get("aragora_committing"))
    )


def _info(connection: Any) -> dict[str, Any]:
    proxied = connection._dbapi_connection  # noqa: SLF001 -- Connection.info would reconnect an invalidated one
    return proxied.info if proxied is not None and proxied.is_valid else {}


def _describe(kind: type[errors.DatabaseError], original: Any) -> errors.DatabaseError:
    diag = getattr(original, "diag", None)
    # PostgreSQL's DETAIL and CONTEXT quote the row's values; the primary message names the objects only.
    message = (getattr(diag, "message_primary", None) or str(original)).strip().rstrip(".")
    error = kind(message, original)
    error.constraint, error.table = getattr(diag, "constraint_name", None), getattr(diag, "table_name", None)
    if isinstance(original, sqlite3.Error):
        error.constraint, error.table = _sqlite_names(message)
    return error


def _sqlite_names(message: str) -> tuple[str | None, str | None]:
    """Constraint and table, as far as SQLite tells them; it does so in the message only."""
    kind, _, names = message.partition(" constraint failed: ")
    if kind == "CHECK":
        return names, None
    if names.startswith("index "):
        return names.removeprefix("index ").strip("'"), None
    return None, names.partition(".")[0] or None
