"""One exception tree. Every message names the cause and the object, and says what to do next.

Each branch carries the exit code that ``aragora-db`` ends with, so that no other place maps exceptions to codes.
"""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import exc as sa_exc

__all__ = [
    "AragoraDBError",
    "CheckViolation",
    "CommandTimeout",
    "CommitUnknown",
    "ConfigurationError",
    "ConflictError",
    "ConstraintViolation",
    "DatabaseUnavailable",
    "DistributedStateError",
    "Fenced",
    "ForeignKeyViolation",
    "ForwardOnlyError",
    "InvalidValue",
    "LockLost",
    "LockNotAcquired",
    "LockTimeout",
    "MigrationError",
    "MigrationLocked",
    "NotFoundError",
    "NotNullViolation",
    "PermissionDenied",
    "PoolExhausted",
    "ProofFailed",
    "ReadOnlyViolation",
    "RedisUnavailable",
    "RevisionEdited",
    "SchemaAhead",
    "SchemaBehind",
    "SchemaDiverged",
    "SecretUnavailable",
    "StatementTimeout",
    "StorageError",
    "TransactionAborted",
    "TransferError",
    "TransferLocked",
    "UniqueViolation",
    "UsageError",
]


class AragoraDBError(Exception):
    """Base of everything this package raises on purpose."""

    exit_code: ClassVar[int] = 5


# -- the caller or the operator has to change something ---------------------------------------------------------------


class ConfigurationError(AragoraDBError, ValueError):
    """A setting is missing, malformed, out of range or contradicts another one."""

    exit_code = 2


class DistributedStateError(ConfigurationError):
    """Shared state is required here, and what is configured would keep it on one machine."""


class SecretUnavailable(ConfigurationError):
    """The secrets manager gave no answer, and has given none before.

    Attributes:
        code: what it said, such as ``AccessDeniedException``, or the class of the error in its way.
    """

    exit_code = 3

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message, code)
        self.code = code

    def __str__(self) -> str:
        return str(self.args[0])


class UsageError(AragoraDBError, RuntimeError):
    """The API was called in a way that cannot work, such as a commit inside a unit of work."""

    exit_code = 2


class TransactionAborted(UsageError):
    """A commit after a statement that failed: PostgreSQL would roll back and say nothing. Nothing was committed."""


class InvalidValue(AragoraDBError, sa_exc.DontWrapMixin, ValueError):
    """A value that at least one of the two databases could not keep; refused before anything is sent.

    ``DontWrapMixin`` keeps SQLAlchemy from hiding it inside a ``StatementError``.
    """

    exit_code = 2


# -- a store said no -----------------------------------------------------------------------------------------------


class ConflictError(AragoraDBError):
    """What a store was asked to record contradicts what is recorded already, such as other scores for one debate."""

    exit_code = 1


class NotFoundError(AragoraDBError, LookupError):
    """What a store was asked to change is not there."""

    exit_code = 1


# -- the database said no ---------------------------------------------------------------------------------------------


class DatabaseError(AragoraDBError, sa_exc.DBAPIError):
    """The database refused a statement. Built by ``aragora_db.engine.translate`` from the driver's own error.

    Attributes:
        constraint: name of the constraint, where the driver tells it.
        table: name of the table, where the driver tells it.
    """

    constraint: str | None = None
    table: str | None = None
    advice: ClassVar[str] = ""

    def __init__(self, message: str, original: BaseException) -> None:
        """Keep the driver's error as ``orig``; the statement's parameters are left out, they may be secrets."""
        super().__init__(None, None, original)
        # Not SQLAlchemy's: those quote PostgreSQL's DETAIL, which quotes the row.
        self.args = (message,)
        self.message = message

    def __str__(self) -> str:
        """Cause and object first, then what to do."""
        return f"{self.message}. {self.advice}" if self.advice else self.message

    def __reduce__(self) -> tuple[type[DatabaseError], tuple[str, BaseException], dict[str, str | None]]:
        """Survive pickling (pytest-xdist, multiprocessing): SQLAlchemy's own recipe expects other arguments."""
        state = {"constraint": self.constraint, "table": self.table}
        return type(self), (self.message, RuntimeError(self.message)), state


class ConstraintViolation(DatabaseError, sa_exc.IntegrityError):
    """A row breaks a constraint. The same class on both dialects, and still an ``IntegrityError``."""

    exit_code = 1


class UniqueViolation(ConstraintViolation):
    """Another row has this key already."""


class ForeignKeyViolation(ConstraintViolation):
    """The row this one belongs to does not exist, or rows still belong to the one being removed."""


class CheckViolation(ConstraintViolation):
    """A value lies outside what the column may hold."""


class NotNullViolation(ConstraintViolation):
    """A column that must have a value has none."""


class ReadOnlyViolation(DatabaseError, sa_exc.InternalError):
    """A write inside a read-only session."""

    exit_code = 2
    advice = "Open the session without read_only=True to write"


class PermissionDenied(DatabaseError, sa_exc.ProgrammingError):
    """The role, or the operating system's user, may not do this."""

    exit_code = 2
    advice = "Grant it (deploy/postgres/roles.sql for the application's role), or connect as the owner"


class StorageError(DatabaseError, sa_exc.OperationalError):
    """The disk is full, or fails."""

    exit_code = 3
    advice = "Make room on the database's disk, or look at its health"


class StatementTimeout(DatabaseError, sa_exc.OperationalError):
    """The server (PostgreSQL) or our watchdog (SQLite) cancelled a statement that ran too long."""

    exit_code = 4
    advice = "Raise ARAGORA_DB_STATEMENT_TIMEOUT (seconds) or look at the query's plan"


class CommandTimeout(DatabaseError, sa_exc.OperationalError):
    """The client gave up waiting for an answer and closed the connection."""

    exit_code = 4
    advice = "The server or the network is not answering; see ARAGORA_DB_COMMAND_TIMEOUT (seconds)"


class LockTimeout(DatabaseError, sa_exc.OperationalError):
    """Another transaction was in the way: deadlock, serialization failure, lock timeout, SQLITE_BUSY."""

    exit_code = 4
    advice = "Run the unit of work again, or let Database.transact do so"


class DatabaseUnavailable(DatabaseError, sa_exc.OperationalError):
    """The database could not be reached, or the connection to it was lost before the commit."""

    exit_code = 3


class CommitUnknown(DatabaseError, sa_exc.OperationalError):
    """The connection was lost while COMMIT was under way: the transaction may or may not be there.

    Never retried by us: running the unit of work again could apply it twice. Look for its effect first.
    """

    exit_code = 3
    advice = "The transaction may or may not have happened: look for its effect before running it again"


class PoolExhausted(AragoraDBError, sa_exc.TimeoutError):
    """No connection became free within the pool's timeout."""

    exit_code = 4


# -- the schema -------------------------------------------------------------------------------------------------------


class MigrationError(AragoraDBError):
    """Something about the schema's history."""

    exit_code = 1


class ForwardOnlyError(MigrationError):
    """An attempt to take the schema, or its record, backward."""

    exit_code = 2


class SchemaBehind(MigrationError):
    """The database has revisions to apply before this version can use it."""


class SchemaAhead(MigrationError):
    """The database is at a revision that this version does not know."""


class SchemaDiverged(MigrationError):
    """The database and this version each have revisions the other does not know."""


class RevisionEdited(MigrationError):
    """A revision that was applied has been changed since."""


class MigrationLocked(MigrationError):
    """Another process holds the migration lock, and went on holding it."""

    exit_code = 4


# -- moving rows between databases ------------------------------------------------------------------------------------


class TransferError(AragoraDBError):
    """An import, an export, a backup or a restore cannot be done as asked; nothing of it is half done."""

    exit_code = 1


class ProofFailed(TransferError):
    """What stands in the target is not what was read from the source. The table was rolled back."""


class TransferLocked(TransferError):
    """Another import into this database is running, and went on running."""

    exit_code = 4


# -- state that instances share ---------------------------------------------------------------------------------------


class RedisUnavailable(AragoraDBError):
    """Redis could not be reached, did not answer in time or refused, or the breaker is open because of that."""

    exit_code = 3


class LockNotAcquired(AragoraDBError):
    """Somebody else held the lock, and went on holding it."""

    exit_code = 4


class LockLost(AragoraDBError):
    """The lock ran out before its holder was done, or vanished; somebody else may hold it."""

    exit_code = 4


class Fenced(AragoraDBError):
    """A newer holder of the lock exists, so the database refused the write of this one. Nothing was written."""

    exit_code = 4
