"""What two agents are to each other, from what they did: rivals, allies or neither."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

__all__ = ["MIN_SCORE", "RelationshipKind", "RelationshipMetrics", "metrics"]

MIN_SCORE: Final = 0.3
"""Rivals and allies are listed above this score (Aragora 2.8.0, ranking/relationships.py)."""

_DECISIVE: Final = 0.6
_MANY_DEBATES: Final = 20
_ACQUAINTED: Final = 3
_UNKNOWN: Final = 0.5
_TELLING_WINS: Final = 2


class RelationshipKind(StrEnum):
    """What two agents are to each other."""

    RIVAL = "rival"
    ALLY = "ally"
    NEUTRAL = "neutral"
    ACQUAINTANCE = "acquaintance"
    NO_HISTORY = "no_history"


class RelationshipMetrics(NamedTuple):
    """How two agents get along; the same from both sides.

    Attributes:
        rivalry: 0 to 1.
        alliance: 0 to 1.
        agreement_rate: share of their debates in which they agreed, 0 to 1.
        kind: a rival or ally when that score is over 0.6 and the greater one; else an acquaintance before the third
            debate, and neutral from then on.
    """

    rivalry: float
    alliance: float
    agreement_rate: float
    kind: RelationshipKind


def metrics(
    *, debates: int, agreements: int, critiques: int, accepted: int, wins: int, losses: int
) -> RelationshipMetrics:
    """How two agents get along.

    With ``agree = agreements / debates``, ``accept = accepted / critiques`` (0.5 without critiques) and
    ``balance = fewer wins / more wins`` (0.5 without wins):

    - rivalry is ``min(1, debates / 20) * 0.3 + (1 - agree) * 0.4 + balance * 0.3``;
    - alliance is ``agree * 0.5 + accept * 0.3 + (1 - balance) * 0.2`` after more than two wins, before that
      ``agree * 0.5 + accept * 0.5``.

    Two that never debated have no scores. Shares are 1 at most, whatever was counted.

    Source: Aragora 2.8.0, ranking/relationships.py:482-547, where the scores are also rounded to three places. The
    other formulas at :92, which multiply the parts, belong to a compatibility class and are not used here.

    Args:
        debates: debates of both.
        agreements: how many of them ended in agreement of the two.
        critiques: critiques of one to the other, in both directions.
        accepted: how many of them were accepted.
        wins: of one over the other.
        losses: of the other over the one.
    """
    if debates <= 0:
        return RelationshipMetrics(0.0, 0.0, 0.0, RelationshipKind.NO_HISTORY)
    agree = min(1.0, agreements / debates)
    accept = min(1.0, accepted / critiques) if critiques > 0 else _UNKNOWN
    most = max(wins, losses)
    balance = min(wins, losses) / most if most > 0 else _UNKNOWN
    rivalry = min(1.0, debates / _MANY_DEBATES) * 0.3 + (1 - agree) * 0.4 + balance * 0.3
    if wins + losses > _TELLING_WINS:
        alliance = agree * 0.5 + accept * 0.3 + (1 - balance) * 0.2
    else:
        alliance = agree * 0.5 + accept * 0.5
    return RelationshipMetrics(rivalry, alliance, agree, _kind(debates, rivalry, alliance))


def _kind(debates: int, rivalry: float, alliance: float) -> RelationshipKind:
    if rivalry > _DECISIVE and rivalry > alliance:
        return RelationshipKind.RIVAL
    if alliance > _DECISIVE and alliance > rivalry:
        return RelationshipKind.ALLY
    return RelationshipKind.ACQUAINTANCE if debates < _ACQUAINTED else RelationshipKind.NEUTRAL
