"""The sessions that `Database` opens. Listeners of this package go on them, never on SQLAlchemy's own `Session`.

A listener on `Session` would run for every session of the process, those of the application's other databases included.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from aragora_db.errors import ReadOnlyViolation, UsageError

__all__ = ["READ_ONLY_SESSION", "AragoraSession", "UnitOfWork"]

# Key in `Session.info`.
READ_ONLY_SESSION = "aragora_read_only"


class AragoraSession(Session):
    """The session of `Database.session`: refuses to flush if it is read-only."""


class UnitOfWork(AragoraSession):
    """The session of `Database.transact`: it commits once, at the end, and not on the way."""

    def commit(self) -> None:
        """Refuse: a retry after a commit in the middle would do the first half twice."""
        raise UsageError(
            "a unit of work is committed by Database.transact when its function returns; do not commit inside"
        )


@event.listens_for(AragoraSession, "before_flush")
def _refuse_flush_of_read_only(session: Session, *_: Any) -> None:
    if not session.info.get(READ_ONLY_SESSION):
        return
    objects = len(session.new) + len(session.deleted) + sum(session.is_modified(each) for each in session.dirty)
    if objects:
        raise ReadOnlyViolation(f"a read-only session holds {objects} changed objects", UsageError("flush"))
