"""How memories change and move: surprise, consolidation and the four tiers. Tiers go by their names."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

__all__ = [
    "DEMOTE_ABOVE_STABILITY",
    "DEMOTION_UPDATES",
    "HALF_LIFE_HOURS",
    "PROMOTE_ABOVE_SURPRISE",
    "Scores",
    "after_outcome",
    "next_tier",
]

HALF_LIFE_HOURS: Final = {"fast": 1, "medium": 24, "slow": 168, "glacial": 720}
"""Hours until a memory of a tier has faded by half, fastest first (Aragora 2.8.0, memory/tier_manager.py:91)."""

PROMOTE_ABOVE_SURPRISE: Final = {"fast": 1.0, "medium": 0.7, "slow": 0.6, "glacial": 0.5}
"""A memory more surprising than this moves one tier faster (Aragora 2.8.0, memory/tier_manager.py:91)."""

DEMOTE_ABOVE_STABILITY: Final = {"fast": 0.2, "medium": 0.3, "slow": 0.4, "glacial": 1.0}
"""A memory whose stability, 1 - surprise, exceeds this moves one tier slower (as above)."""

DEMOTION_UPDATES: Final = 10
"""Updates that a memory needs before it can move to a slower tier (Aragora 2.8.0, memory/tier_manager.py:305)."""


class Scores(NamedTuple):
    """What an outcome leaves a memory with, both 0 to 1."""

    surprise: float
    consolidation: float


def after_outcome(
    surprise: float, successes: int, failures: int, *, succeeded: bool, prediction_error: float = 0.0
) -> Scores:
    """The scores of a memory after it was used once more.

    The rate of successes so far (one half when there were none) is what was expected; the new surprise is
    ``0.7 * old + 0.3 * (0.3 * |actual - expected| + 0.2 * prediction_error)``, the consolidation
    ``min(1, ln(1 + uses) / ln 100)`` with this use counted.

    Source: Aragora 2.8.0, memory/continuum/outcome.py:95.

    Args:
        surprise: the memory's surprise before.
        successes: how often it helped before.
        failures: how often it did not.
        succeeded: whether it helped this time.
        prediction_error: how far off the prediction was that it gave rise to, 0 to 1.
    """
    uses = successes + failures
    expected = successes / uses if uses else 0.5
    observed = 0.3 * abs(float(succeeded) - expected) + 0.2 * prediction_error
    return Scores(0.7 * surprise + 0.3 * observed, min(1.0, math.log(1 + uses + 1) / math.log(100)))


def next_tier(tier: str, surprise: float, updates: int) -> str:
    """Where a memory belongs: one tier faster when it surprises, one slower when it is stable, else where it is.

    Source: Aragora 2.8.0, memory/tier_manager.py:91 and 305.
    """
    tiers = list(HALF_LIFE_HOURS)
    place = tiers.index(tier)
    if surprise > PROMOTE_ABOVE_SURPRISE[tier]:
        return tiers[max(0, place - 1)]
    if updates >= DEMOTION_UPDATES and 1 - surprise > DEMOTE_ABOVE_STABILITY[tier]:
        return tiers[min(len(tiers) - 1, place + 1)]
    return tier
