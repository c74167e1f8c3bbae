"""Memories that move between tiers: what surprises becomes faster, what is stable slower."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from aragora_db.models import ContinuumMemory, Tier, TierTransition
from aragora_db.rules import continuum
from aragora_db.sql.consolidation import consolidate
from aragora_db.stores import checks
from aragora_db.stores.continuum.base import FRESH, Part, clock, first
from aragora_db.stores.paging import Keyset, Page

__all__ = ["Moves"]

_ORDER: Final = list(Tier)
_NEWEST = Keyset(TierTransition.created_at.desc(), TierTransition.id.desc())


class Moves(Part):
    """The part of `ContinuumStore` that moves memories. Red-lined ones stay where they are."""

    def promote(self, memory_id: str, *, now: datetime | None = None) -> Tier | None:
        """Move a memory one tier faster if it is surprising enough, and was not promoted within 24 hours.

        A move counts as an update: the memory lives for its new tier's time from now on.

        Args:
            memory_id: the memory.
            now: the time; the clock's by default.

        Returns:
            Its new tier; None when it stays.

        Raises:
            NotFoundError: there is no such memory.
        """
        instant, memory = clock(now), self._locked(memory_id)
        before = instant - timedelta(hours=continuum.PROMOTION_COOLDOWN_HOURS)
        rested = memory.last_promotion_at is None or memory.last_promotion_at <= before
        return self._move(memory, instant) if rested and _target(memory) < _ORDER.index(memory.tier) else None

    def demote(self, memory_id: str, *, now: datetime | None = None) -> Tier | None:
        """Move a memory one tier slower if it is stable enough, after 10 updates. Otherwise as `promote`.

        Args:
            memory_id: the memory.
            now: the time; the clock's by default.

        Returns:
            Its new tier; None when it stays.

        Raises:
            NotFoundError: there is no such memory.
        """
        instant, memory = clock(now), self._locked(memory_id)
        return self._move(memory, instant) if _target(memory) > _ORDER.index(memory.tier) else None

    def consolidate(self, *, now: datetime | None = None) -> dict[tuple[Tier, Tier], int]:
        """Move every memory that `promote` or `demote` would move, each by one tier.

        One statement on PostgreSQL, four on SQLite. Aragora takes at most 1,000 memories of each pair of tiers, can
        move one twice in a pass, and notes moves that did not happen (2.8.0, memory/continuum_consolidation.py:298).

        Args:
            now: the time; the clock's by default.

        Returns:
            How many moved, by (from, to).
        """
        return consolidate(self._session, clock(now))

    def transitions(self, memory_id: str, *, limit: int = 100, after: str | None = None) -> Page[TierTransition]:
        """A memory's moves, newest first. They go when the memory is archived.

        Args:
            memory_id: the memory.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or ``after`` is no token of this listing.
        """
        statement = sa.select(TierTransition).where(TierTransition.memory_id == checks.key("memory_id", memory_id))
        return _NEWEST.page(
            self._session,
            statement.execution_options(**FRESH),
            limit=limit,
            after=after,
            read=first,
            key=lambda move: (move.created_at, move.id),
        )

    def _move(self, memory: ContinuumMemory, now: datetime) -> Tier | None:
        if memory.red_line:
            return None
        target, faster = _ORDER[_target(memory)], _target(memory) < _ORDER.index(memory.tier)
        self._session.add(
            TierTransition(
                memory_id=memory.id,
                from_tier=memory.tier,
                to_tier=target,
                reason=continuum.PROMOTION_REASON if faster else continuum.DEMOTION_REASON,
                surprise_score=memory.surprise_score,
                created_at=now,
            )
        )
        memory.tier = target
        memory.updated_at = max(memory.updated_at, now)
        if faster:
            memory.last_promotion_at = now
        self._session.flush()
        return target


def _target(memory: ContinuumMemory) -> int:
    return _ORDER.index(Tier(continuum.next_tier(memory.tier, memory.surprise_score, memory.update_count)))
