"""Move memories to the archive, with their embeddings: exactly the rows that are archived are deleted."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.engine.dialects import by_dialect
from aragora_db.models import Base, Tier

__all__ = ["archive"]

_MEMORY = Base.metadata.tables["continuum_memory"]
_EMBEDDING = Base.metadata.tables["continuum_embeddings"]
_ARCHIVE = Base.metadata.tables["continuum_memory_archive"]
_COPIED = [column.name for column in _MEMORY.columns]
_WRITTEN = [*_COPIED, "embedding", "archived_at", "archive_reason"]


def _copies(memories: Any, reason: str, now: datetime) -> Any:
    joined = memories.outerjoin(_EMBEDDING, _EMBEDDING.c.memory_id == memories.c.id)
    return sa.select(
        *(memories.c[name] for name in _COPIED),
        _EMBEDDING.c.embedding,
        sa.literal(now, _ARCHIVE.c.archived_at.type),
        sa.literal(reason, _ARCHIVE.c.archive_reason.type),
    ).select_from(joined)


def _counted(rows: Iterable[Any]) -> dict[Tier, int]:
    counts = {Tier(tier): count for tier, count in rows}
    return {tier: counts[tier] for tier in Tier if tier in counts}


def _delete_into(session: Session, ids: Any, reason: str, now: datetime) -> dict[Tier, int]:
    connection = session.connection()
    locked = sa.select(_MEMORY.c.id).where(_MEMORY.c.id.in_(ids)).order_by(_MEMORY.c.id).with_for_update()
    # Locked by a statement of its own: the next statement's snapshot then has every embedding written until now.
    found = connection.scalar(sa.select(sa.func.count()).select_from(locked.subquery()))
    if not found:
        return {}
    selected = locked.cte("selected")
    deleted = (
        sa.delete(_MEMORY).where(_MEMORY.c.id.in_(sa.select(selected.c.id))).returning(*_MEMORY.columns).cte("deleted")
    )
    archived = (
        sa.insert(_ARCHIVE)
        .from_select(_WRITTEN, _copies(deleted, reason, now), include_defaults=False)
        .returning(_ARCHIVE.c.tier)
        .cte("archived")
    )
    return _counted(connection.execute(sa.select(archived.c.tier, sa.func.count()).group_by(archived.c.tier)))


def _copy_and_delete(session: Session, ids: Any, reason: str, now: datetime) -> dict[Tier, int]:
    connection = session.connection()
    selected = sa.select(_MEMORY).where(_MEMORY.c.id.in_(ids)).subquery()
    last = connection.scalar(sa.select(sa.func.coalesce(sa.func.max(_ARCHIVE.c.archive_id), 0)))
    copies = _copies(selected, reason, now).order_by(selected.c.id)
    inserted = connection.execute(sa.insert(_ARCHIVE).from_select(_WRITTEN, copies, include_defaults=False))
    if not inserted.rowcount:
        return {}
    new = _ARCHIVE.c.archive_id > last
    connection.execute(sa.delete(_MEMORY).where(_MEMORY.c.id.in_(sa.select(_ARCHIVE.c.id).where(new))))
    counts = sa.select(_ARCHIVE.c.tier, sa.func.count()).where(new).group_by(_ARCHIVE.c.tier)
    return _counted(connection.execute(counts))


archive = by_dialect(postgresql=_delete_into, sqlite=_copy_and_delete)
"""Move memories to the archive. Foreign keys delete their words, embeddings and transitions.

Args:
    session: the transaction.
    ids: a SELECT of their ids, or a list.
    reason: the value of `archive_reason`.
    now: the value of `archived_at`.

Returns:
    How many were moved, by tier.
"""
