"""How ratings move: N agents debate, every pair of them counts as one match."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from typing import Final

from aragora_db.errors import InvalidValue

__all__ = [
    "INITIAL_RATING",
    "K_FACTOR",
    "MAX_CONFIDENCE_WEIGHT",
    "MIN_CONFIDENCE_WEIGHT",
    "expected_score",
    "pairs",
    "pairwise_changes",
    "winner",
]

INITIAL_RATING: Final = 1500.0
"""The rating of a new agent, overall and in each domain (Aragora 2.8.0, config/settings.py:418)."""

K_FACTOR: Final = 32.0
"""The most that one match between two can move a rating (Aragora 2.8.0, config/settings.py:418)."""

MIN_CONFIDENCE_WEIGHT: Final = 0.1
MAX_CONFIDENCE_WEIGHT: Final = 1.0

# 10 ** 308 is the last power that a double holds; the expected score there is 0 to 300 places anyway.
_HIGHEST_EXPONENT: Final = 300.0


def expected_score(rating_a: float, rating_b: float) -> float:
    """What A is expected to score against B, between 0 and 1: ``1 / (1 + 10 ** ((B - A) / 400))``.

    Source: Aragora 2.8.0, ranking/elo_core.py:38.
    """
    exponent = min((rating_b - rating_a) / 400.0, _HIGHEST_EXPONENT)
    return 1.0 / (1.0 + math.pow(10.0, exponent))


def pairwise_changes(
    ratings: Mapping[str, float],
    scores: Mapping[str, float],
    *,
    k: float = K_FACTOR,
    confidence_weight: float = 1.0,
    multipliers: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """How much each participant's rating changes, all computed from the ratings before the match.

    For each pair, A's share is ``score_a / (score_a + score_b)``, or one half when that sum is not positive; the
    change is ``k * confidence_weight * (share - expected_score)``, added to A and taken from B, each times its own
    multiplier. Without multipliers the changes add up to zero.

    Source: Aragora 2.8.0, ranking/elo_core.py:65-131; the weight's limits: ranking/elo_matchmaking.py:89.

    Args:
        ratings: the rating of every participant before the match; others may be in it too.
        scores: the participants and what each of them scored.
        k: the most that one pair can move a rating.
        confidence_weight: how much this match counts; brought into 0.1 to 1.
        multipliers: a factor on an agent's own changes, such as one for poor calibration; 1 where there is none.

    Returns:
        A change for each participant, in the order of ``scores``; nothing for fewer than two participants.

    Raises:
        InvalidValue: a participant has no rating, or a number is infinite or NaN.
    """
    if len(scores) < 2:  # noqa: PLR2004 -- a match takes two
        return {}
    _require_finite("score", scores)
    rated = {name: _rating(ratings, name) for name in scores}
    factors = {name: 1.0 if multipliers is None else multipliers.get(name, 1.0) for name in scores}
    _require_finite("rating", rated)
    _require_finite("multiplier", factors)
    _require_finite("match", {"k": k, "confidence_weight": confidence_weight})
    weight = min(MAX_CONFIDENCE_WEIGHT, max(MIN_CONFIDENCE_WEIGHT, confidence_weight))
    changes = dict.fromkeys(scores, 0.0)
    # Sorted, so that the same match in another order gives the same bits.
    for a, b in pairs(scores):
        change = k * weight * (_share(scores[a], scores[b]) - expected_score(rated[a], rated[b]))
        changes[a] += change * factors[a]
        changes[b] -= change * factors[b]
    return changes


def pairs(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Every two of the participants, in the order in which changes are summed; the smaller name first."""
    return combinations(sorted(names), 2)


def winner(scores: Mapping[str, float]) -> str | None:
    """The participant with strictly the highest score; None is a draw, or nobody took part.

    Source: Aragora 2.8.0, ranking/match_recorder.py:256.

    Raises:
        InvalidValue: a score is infinite or NaN.
    """
    _require_finite("score", scores)
    highest = max(scores.values(), default=0.0)
    best = [name for name, score in scores.items() if score == highest]
    return best[0] if len(best) == 1 else None


def _share(score_a: float, score_b: float) -> float:
    """Halved first: the sum of two large doubles is infinite."""
    total = score_a / 2 + score_b / 2
    return (score_a / 2) / total if total > 0 else 0.5


def _rating(ratings: Mapping[str, float], name: str) -> float:
    if name not in ratings:
        raise InvalidValue(f"{name} has a score but no rating; a new agent's rating is INITIAL_RATING, 1500")
    return ratings[name]


def _require_finite(what: str, values: Mapping[str, float]) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise InvalidValue(f"the {what} of {name} is {value}; it must be a finite number")
