"""Which memories a clean-up archives, and what a restored memory is made of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.models import Base, ContinuumMemory, ContinuumMemoryArchive, Tier
from aragora_db.rules import continuum
from aragora_db.sql.archive import archive
from aragora_db.sql.locks import serialize

__all__ = ["archive_selected", "beyond_limits", "expired", "restored_row", "serialize_archiving"]

_LOCK = "continuum archive"
_TABLE = Base.metadata.tables["continuum_memory"]


def serialize_archiving(session: Session) -> None:
    """Wait until no other transaction archives many memories; hold the lock until this one ends."""
    session.flush()
    serialize(session, _LOCK)


def archive_selected(session: Session, ids: Any, reason: str, now: datetime) -> dict[Tier, int]:
    """Archive the memories that a SELECT of ids finds, one such transaction at a time.

    Returns:
        How many, by tier.
    """
    serialize_archiving(session)
    archived = archive(session, ids, reason, now)
    if archived:
        # The rows went past the ORM: an object the session still holds may be one of them.
        for instance in session.identity_map.values():
            if isinstance(instance, ContinuumMemory):
                session.expire(instance)
    return archived


def expired(now: datetime) -> Any:
    """Return a SELECT of the ids of memories that have outlived their tier or their `expires_at`."""
    stale = [
        (ContinuumMemory.tier == tier) & (ContinuumMemory.updated_at < now - timedelta(hours=hours))
        for tier, hours in continuum.TTL_HOURS.items()
    ]
    is_due = sa.or_(*stale, ContinuumMemory.expires_at <= now)
    return sa.select(ContinuumMemory.id).where(is_due, ~ContinuumMemory.red_line)


def beyond_limits(sizes: Mapping[Tier, int]) -> Any | None:
    """Return a SELECT of the ids of memories beyond `rules.continuum.MAX_ENTRIES`, or None if no tier is too large.

    Args:
        sizes: memories by tier; tiers without one may be missing.
    """
    surplus = [
        sa.select(
            sa.select(ContinuumMemory.id)
            .where(ContinuumMemory.tier == tier, ~ContinuumMemory.red_line)
            .order_by(ContinuumMemory.importance, ContinuumMemory.updated_at, ContinuumMemory.id)
            .limit(sizes[tier] - most)
            .subquery()
        )
        for tier, most in ((tier, continuum.MAX_ENTRIES[tier]) for tier in Tier)
        if sizes.get(tier, 0) > most
    ]
    return sa.union_all(*surplus) if surplus else None


def restored_row(kept: ContinuumMemoryArchive, now: datetime) -> dict[str, Any]:
    """Return the columns of a memory to restore.

    A column that Aragora's archive did not keep is left out, and gets its default. So is a date of expiry that
    has passed.
    """
    values = {column.name: getattr(kept, column.name) for column in _TABLE.columns if column.name != "metadata"}
    values |= {"metadata": kept.metadata_, "updated_at": now}
    if kept.expires_at is not None and kept.expires_at <= now:
        del values["expires_at"]
    return {name: value for name, value in values.items() if value is not None}
