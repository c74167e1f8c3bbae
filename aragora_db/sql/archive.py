"""Memories moved to the archive whole, with their embeddings: what is deleted is what was archived, and all of it."""

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
_SAME = [column.name for column in _MEMORY.columns]
_WRITTEN = [*_SAME, "embedding", "archived_at", "archive_reason"]


def _copies(memories: Any, reason: str, now: datetime) -> Any:
    joined = memories.outerjoin(_EMBEDDING, _EMBEDDING.c.memory_id == memories.c.id)
    return sa.select(
        *(memories.c[name] for name in _SAME),
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
    # Locked by a statement of its own: the next one sees embeddings that were written until then.
    some = connection.scalar(sa.select(sa.func.count()).select_from(locked.subquery()))
    if not some:
        return {}
    doomed = locked.cte("doomed")
    gone = sa.delete(_MEMORY).where(_MEMORY.c.id.in_(sa.select(doomed.c.id))).returning(*_MEMORY.columns).cte("gone")
    kept = (
        sa.insert(_ARCHIVE)
        .from_select(_WRITTEN, _copies(gone, reason, now), include_defaults=False)
        .returning(_ARCHIVE.c.tier)
        .cte("kept")
    )
    return _counted(connection.execute(sa.select(kept.c.tier, sa.func.count()).group_by(kept.c.tier)))


def _copy_and_delete(session: Session, ids: Any, reason: str, now: datetime) -> dict[Tier, int]:
    connection = session.connection()
    doomed = sa.select(_MEMORY).where(_MEMORY.c.id.in_(ids)).subquery()
    last = connection.scalar(sa.select(sa.func.coalesce(sa.func.max(_ARCHIVE.c.archive_id), 0)))
    copies = _copies(doomed, reason, now).order_by(doomed.c.id)
    inserted = connection.execute(sa.insert(_ARCHIVE).from_select(_WRITTEN, copies, include_defaults=False))
    if not inserted.rowcount:
        return {}
    new = _ARCHIVE.c.archive_id > last
    connection.execute(sa.delete(_MEMORY).where(_MEMORY.c.id.in_(sa.select(_ARCHIVE.c.id).where(new))))
    counts = sa.select(_ARCHIVE.c.tier, sa.func.count()).where(new).group_by(_ARCHIVE.c.tier)
    return _counted(connection.execute(counts))


archive = by_dialect(postgresql=_delete_into, sqlite=_copy_and_delete)
"""Move memories to the archive; words, embeddings and transitions of theirs go.

Args:
    session: where.
    ids: a SELECT of their ids, or a list.
    reason: why.
    now: when.

Returns:
    How many, by tier.
"""
