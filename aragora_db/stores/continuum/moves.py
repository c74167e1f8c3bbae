"""The move of one memory to the tier next to its own."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from aragora_db.models import ContinuumMemory, Tier, TierTransition
from aragora_db.rules import continuum

__all__ = ["is_faster", "is_slower", "move", "target_tier"]

_ORDER: Final = list(Tier)


def target_tier(memory: ContinuumMemory) -> Tier:
    """Return the tier that `rules.continuum.next_tier` gives a memory; its own if it stays."""
    return Tier(continuum.next_tier(memory.tier, memory.surprise_score, memory.update_count))


def is_faster(tier: Tier, than: Tier) -> bool:
    """Return whether memories of one tier fade faster than those of another."""
    return _ORDER.index(tier) < _ORDER.index(than)


def is_slower(tier: Tier, than: Tier) -> bool:
    """Return whether memories of one tier fade slower than those of another."""
    return _ORDER.index(tier) > _ORDER.index(than)


def move(session: Session, memory: ContinuumMemory, target: Tier, now: datetime) -> Tier | None:
    """Move a locked memory, and write its transition.

    Args:
        session: the transaction.
        memory: the memory.
        target: another tier than its own.
        now: the time of the move.

    Returns:
        Its new tier; None if it is red-lined and stays.
    """
    if memory.red_line:
        return None
    faster = is_faster(target, memory.tier)
    session.add(
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
    session.flush()
    return target
