"""Everything there is to say about a database's schema, as one value."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy.pool import NullPool

from aragora_db.engine import create_engine
from aragora_db.engine.sqlite import READ_ONLY
from aragora_db.migrations import scripts
from aragora_db.migrations.catalogue import Difference, compare
from aragora_db.migrations.state import SchemaState, Verdict, read_state
from aragora_db.migrations.triggers import trigger_differences
from aragora_db.models import Base

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from aragora_db.engine import Target

__all__ = ["Status", "drift", "status"]


@dataclass(frozen=True)
class Status:
    """A database's schema beside this version's."""

    backend: str
    database: str
    state: SchemaState
    drift: tuple[Difference, ...]

    @property
    def good(self) -> bool:
        """At head, as the models say, and no applied revision edited."""
        return self.state.verdict is Verdict.AT_HEAD and not self.drift and not self.state.edited

    def as_dict(self) -> dict[str, Any]:
        """The document of ``aragora-db status --json``."""
        return {
            "version": 1,
            "backend": self.backend,
            "database": self.database,
            "verdict": self.state.verdict.value,
            "current": self.state.current,
            "head": scripts.head(),
            "last_common": self.state.last_common,
            "pending": list(self.state.pending),
            "edited": list(self.state.edited),
            "drift": [each.as_dict() for each in self.drift],
            "history": [
                {**asdict(row), "applied_at": row.applied_at.isoformat(), "edited": row.edited}
                for row in self.state.history
            ],
            "good": self.good,
        }


def status(target: Target) -> Status:
    """Read the state and, at head, compare the catalogue with the models.

    A SQLite file that does not exist is reported as empty, and not made.
    """
    if target.missing_file:
        return Status(target.dsn.backend, target.dsn.masked, SchemaState(None), ())
    engine = create_engine(target, poolclass=NullPool)
    try:
        # Read-only on SQLite, where a look must not wait for a writer; on PostgreSQL the comparison builds temporary
        # tables in its transaction.
        with engine.execution_options(**{READ_ONLY: True}).connect() as connection:
            state = read_state(connection)
            # Behind or ahead, differences are what one expects; naming them would bury the verdict.
            differences = drift(connection) if state.verdict is Verdict.AT_HEAD else []
    finally:
        engine.dispose()
    return Status(target.dsn.backend, target.dsn.masked, state, tuple(differences))


def drift(connection: Connection) -> list[Difference]:
    """Where the database differs from the models, guard triggers included."""
    return [*compare(connection, Base.metadata), *trigger_differences(connection)]
