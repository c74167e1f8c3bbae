"""How memories change and move: surprise, consolidation and the four tiers. Tiers go by their names."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

__all__ = [
    "DEMOTE_ABOVE_STABILITY",
    "DEMOTION_REASON",
    "DEMOTION_UPDATES",
    "HALF_LIFE_HOURS",
    "LEARNING_RATE",
    "LEARNING_RATE_DECAY",
    "MAX_ENTRIES",
    "PROMOTE_ABOVE_SURPRISE",
    "PROMOTION_COOLDOWN_HOURS",
    "PROMOTION_REASON",
    "TTL_HOURS",
    "Scores",
    "after_outcome",
    "learning_rate",
    "next_tier",
]

HALF_LIFE_HOURS: Final = {"fast": 1, "medium": 24, "slow": 168, "glacial": 720}
"""Hours until a memory of a tier has faded by half, fastest first (Aragora 2.8.0, memory/tier_manager.py:91)."""

TTL_HOURS: Final = {tier: 2 * hours for tier, hours in HALF_LIFE_HOURS.items()}
"""Hours without an update after which a memory expires (Aragora 2.8.0, memory/continuum/core.py:146)."""

MAX_ENTRIES: Final = {"fast": 1_000, "medium": 5_000, "slow": 10_000, "glacial": 50_000}
"""How many memories a tier holds (Aragora 2.8.0, memory/continuum/core.py:146)."""

LEARNING_RATE: Final = {"fast": 0.3, "medium": 0.1, "slow": 0.03, "glacial": 0.01}
"""How strongly a new memory of a tier learns (Aragora 2.8.0, memory/tier_manager.py:91)."""

LEARNING_RATE_DECAY: Final = {"fast": 0.95, "medium": 0.99, "slow": 0.999, "glacial": 0.9999}
"""What each update leaves of the learning rate (as above)."""

PROMOTE_ABOVE_SURPRISE: Final = {"fast": 1.0, "medium": 0.7, "slow": 0.6, "glacial": 0.5}
"""A memory more surprising than this moves one tier faster (Aragora 2.8.0, memory/tier_manager.py:91)."""

DEMOTE_ABOVE_STABILITY: Final = {"fast": 0.2, "medium": 0.3, "slow": 0.4, "glacial": 1.0}
"""A memory whose stability, 1 - surprise, exceeds this moves one tier slower (as above)."""

DEMOTION_UPDATES: Final = 10
"""Updates that a memory needs before it can move to a slower tier (Aragora 2.8.0, memory/tier_manager.py:305).

Aragora's batches ask for one more (memory/continuum_consolidation.py:298); here it is 10 everywhere.
"""

PROMOTION_COOLDOWN_HOURS: Final = 24
"""Hours between two promotions of a memory (Aragora 2.8.0, memory/tier_manager.py:305)."""

PROMOTION_REASON: Final = "high_surprise"
DEMOTION_REASON: Final = "high_stability"

_SUCCESS_WEIGHT: Final = 0.3
_PREDICTION_WEIGHT: Final = 0.2
_NEW_SHARE: Final = 0.3


class Scores(NamedTuple):
    """What an outcome leaves a memory with, both 0 to 1."""

    surprise: float
    consolidation: float


def after_outcome(
    surprise: float,
    successes: int,
    failures: int,
    *,
    succeeded: bool,
    prediction_error: float | None = None,
    normalised: bool = True,
) -> Scores:
    """The scores of a memory after it was used once more.

    The rate of successes so far (one half when there were none) is what was expected. What was observed is
    ``(0.3 * |actual - expected| + 0.2 * prediction_error) / 0.5``, or ``|actual - expected|`` when no prediction error
    is known; the new surprise is ``0.7 * old + 0.3 * observed``, the consolidation ``min(1, ln(1 + uses) / ln 100)``
    with this use counted.

    Source: Aragora 2.8.0, memory/continuum/outcome.py:95. It does not divide, so that surprise stays below one half
    and no memory is ever promoted; see docs/decisions/0016-surprise-is-normalised.md.

    Args:
        surprise: the memory's surprise before.
        successes: how often it helped before.
        failures: how often it did not.
        succeeded: whether it helped this time.
        prediction_error: how far off the prediction was that it gave rise to, 0 to 1; None when there was none.
        normalised: False computes what Aragora does.
    """
    uses = successes + failures
    expected = successes / uses if uses else 0.5
    observed = _SUCCESS_WEIGHT * abs(float(succeeded) - expected) + _PREDICTION_WEIGHT * (prediction_error or 0.0)
    if normalised:
        observed /= _SUCCESS_WEIGHT if prediction_error is None else _SUCCESS_WEIGHT + _PREDICTION_WEIGHT
    mixed = (1 - _NEW_SHARE) * surprise + _NEW_SHARE * observed
    return Scores(mixed, min(1.0, math.log(1 + uses + 1) / math.log(100)))


def next_tier(tier: str, surprise: float, updates: int) -> str:
    """Where a memory belongs: one tier faster when it surprises, one slower when it is stable, else where it is.

    Aragora's second way from slow to glacial (consolidation of 0.8 or more and surprise of 0.2 or less, after enough
    updates) asks for more than the first, so that one rule serves both.

    Source: Aragora 2.8.0, memory/tier_manager.py:91 and 305.
    """
    tiers = list(HALF_LIFE_HOURS)
    place = tiers.index(tier)
    if surprise > PROMOTE_ABOVE_SURPRISE[tier]:
        return tiers[max(0, place - 1)]
    if updates >= DEMOTION_UPDATES and 1 - surprise > DEMOTE_ABOVE_STABILITY[tier]:
        return tiers[min(len(tiers) - 1, place + 1)]
    return tier


def learning_rate(tier: str, updates: int) -> float:
    """How strongly a memory learns after so many updates: ``base * decay ** updates``.

    Source: Aragora 2.8.0, memory/tier_manager.py:91.
    """
    return LEARNING_RATE[tier] * math.pow(LEARNING_RATE_DECAY[tier], updates)
