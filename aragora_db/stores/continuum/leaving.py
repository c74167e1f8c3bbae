"""Memories that leave for the archive: deleted, expired, or beyond what a tier holds; and back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from aragora_db.engine.dialects import insert
from aragora_db.errors import ConflictError, NotFoundError
from aragora_db.models import Base, ContinuumEmbedding, ContinuumMemory, ContinuumMemoryArchive, Tier
from aragora_db.rules import continuum
from aragora_db.search.index import follow
from aragora_db.sql.archive import archive
from aragora_db.sql.locks import serialize
from aragora_db.stores import checks
from aragora_db.stores.continuum.base import FRESH, Part, clock, first
from aragora_db.stores.paging import Keyset, Page

__all__ = ["Leaving"]

_LOCK = "continuum archive"
_TABLE = Base.metadata.tables["continuum_memory"]
_NEWEST = Keyset(ContinuumMemoryArchive.archived_at.desc(), ContinuumMemoryArchive.archive_id.desc())


class Leaving(Part):
    """The part of `ContinuumStore` about the archive. Everything of a memory is kept there, its embedding too."""

    def delete(self, memory_id: str, *, force: bool = False, now: datetime | None = None) -> None:
        """Archive a memory, as ``user_deleted``.

        Args:
            memory_id: the memory.
            force: even if it is red-lined.
            now: the time; the clock's by default.

        Raises:
            NotFoundError: there is no such memory.
            ConflictError: it is red-lined.
        """
        instant, memory = clock(now), self._locked(memory_id)
        if memory.red_line and not force:
            raise ConflictError(f"memory {memory_id!r} is red-lined; to delete it all the same, pass force=True")
        self._session.flush()
        archive(self._session, [memory_id], "user_deleted", instant)
        self._session.expunge(memory)

    def expire(self, *, now: datetime | None = None) -> dict[Tier, int]:
        """Archive what was not updated for two half-lives of its tier, or whose `expires_at` has come.

        Red-lined memories stay. An id may be archived any number of times; in Aragora the second time makes the whole
        clean-up fail.

        Args:
            now: the time; the clock's by default.

        Returns:
            How many, by tier; as ``expired``.
        """
        instant = clock(now)
        stale = [
            (ContinuumMemory.tier == tier) & (ContinuumMemory.updated_at < instant - timedelta(hours=hours))
            for tier, hours in continuum.TTL_HOURS.items()
        ]
        over = sa.or_(*stale, ContinuumMemory.expires_at <= instant)
        return self._archive(sa.select(ContinuumMemory.id).where(over, ~ContinuumMemory.red_line), "expired", instant)

    def enforce_limits(self, *, now: datetime | None = None) -> dict[Tier, int]:
        """Archive what tiers hold beyond `rules.continuum.MAX_ENTRIES`: the least important first, then the stalest.

        Red-lined memories count, and stay.

        Args:
            now: the time; the clock's by default.

        Returns:
            How many, by tier; as ``tier_limit``.
        """
        instant = clock(now)
        self._session.flush()
        serialize(self._session, _LOCK)
        counts = sa.select(ContinuumMemory.tier, sa.func.count()).group_by(ContinuumMemory.tier)
        rows: Any = self._session.execute(counts)
        sizes: dict[Tier, int] = dict(rows.all())
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
        return self._archive(sa.union_all(*surplus), "tier_limit", instant) if surplus else {}

    def archived(
        self, memory_id: str | None = None, *, limit: int = 100, after: str | None = None
    ) -> Page[ContinuumMemoryArchive]:
        """The archive, newest first.

        Args:
            memory_id: only what was archived of this memory.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or ``after`` is no token of this listing.
        """
        statement = sa.select(ContinuumMemoryArchive)
        if memory_id is not None:
            statement = statement.where(ContinuumMemoryArchive.id == checks.key("memory_id", memory_id))
        return _NEWEST.page(
            self._session,
            statement.execution_options(**FRESH),
            limit=limit,
            after=after,
            read=first,
            key=lambda row: (row.archived_at, row.archive_id),
        )

    def restore(self, archive_id: int, *, now: datetime | None = None) -> ContinuumMemory:
        """Bring an archived memory back, as updated now, or it would expire at once. Its row in the archive stays.

        A date of expiry that has passed is left out; transitions are gone.

        Args:
            archive_id: the row of the archive, see `archived`.
            now: the time; the clock's by default.

        Raises:
            NotFoundError: there is no such row.
            ConflictError: there is a memory with this id.
        """
        instant = clock(now)
        kept = self._session.get(ContinuumMemoryArchive, checks.count("archive_id", archive_id), populate_existing=True)
        if kept is None:
            raise NotFoundError(f"the archive has no row {archive_id}; look for it with archived()")
        row = _values(kept, instant)
        added = self._session.connection().execute(
            insert(self._session, _TABLE).values(**row).on_conflict_do_nothing().returning(_TABLE.c.id)
        )
        if added.one_or_none() is None:
            raise ConflictError(f"there is a memory {kept.id!r}; delete it before you restore an older one")
        follow(self._session, ContinuumMemory, {kept.id: (kept.content,)}, new=True)
        if kept.embedding is not None:
            embedding = {"memory_id": kept.id, "embedding": kept.embedding, "updated_at": instant}
            self._session.connection().execute(insert(self._session, ContinuumEmbedding).values(**embedding))
        return self._session.get_one(ContinuumMemory, kept.id, populate_existing=True)

    def _archive(self, ids: Any, reason: str, now: datetime) -> dict[Tier, int]:
        self._session.flush()
        serialize(self._session, _LOCK)
        archived = archive(self._session, ids, reason, now)
        if archived:
            for instance in self._session.identity_map.values():
                if isinstance(instance, ContinuumMemory):
                    self._session.expire(instance)
        return archived


def _values(kept: ContinuumMemoryArchive, now: datetime) -> dict[str, Any]:
    """A memory's columns; what Aragora's archive did not keep gets the column's default."""
    values = {column.name: getattr(kept, column.name) for column in _TABLE.columns if column.name != "metadata"}
    values |= {"metadata": kept.metadata_, "updated_at": now}
    if kept.expires_at is not None and kept.expires_at <= now:
        del values["expires_at"]
    return {name: value for name, value in values.items() if value is not None}
