"""Which memories come first: what they weigh, divided by how much they faded; and how two rankings become one."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Final

__all__ = [
    "DAY",
    "FADING_PER_DAY",
    "KEYWORD_WEIGHT",
    "NOTHING",
    "RANK_CONSTANT",
    "VECTOR_WEIGHT",
    "fuse",
    "oldest_age",
    "score",
    "weight",
]

FADING_PER_DAY: Final = {"fast": 24.0, "medium": 1.0, "slow": 0.14, "glacial": 0.03}
"""By how much a day divides a memory's score further (Aragora 2.8.0, memory/continuum, retrieve)."""

DAY: Final = 86_400_000_000
"""Microseconds of a day. Ages are whole microseconds, so that both databases and Python compute the same bits."""

NOTHING: Final = 1e-300
"""A weight smaller than this counts as 0: PostgreSQL refuses to compute what a double would round to 0."""

RANK_CONSTANT: Final = 60
"""How little the first ranks stand out in a fused ranking (Aragora 2.8.0, hybrid search)."""

VECTOR_WEIGHT: Final = 0.6
KEYWORD_WEIGHT: Final = 0.4


def weight(importance: float, surprise: float) -> float:
    """What a memory weighs before it fades: ``importance * (1 + surprise)``."""
    return importance * (1.0 + surprise)


def score(weight: float, tier: str, age: int) -> float:
    """A memory's score: its weight divided by ``1 + age in days * fading of its tier``.

    Source: Aragora 2.8.0, memory/continuum, retrieve. There the age is a difference between UTC and local time, and
    becomes negative east of Greenwich; here what is younger than `now` has an age of 0.

    Args:
        weight: see `weight`.
        tier: the memory's.
        age: microseconds since its last update; negative counts as 0.
    """
    if -NOTHING <= weight <= NOTHING:
        return 0.0
    return weight / (1.0 + max(0, age) / DAY * FADING_PER_DAY[tier])


def oldest_age(heaviest: float, tier: str, least: float) -> float:
    """The age in days beyond which not even the heaviest memory of a tier scores this much.

    Args:
        heaviest: the greatest weight in the tier.
        tier: the tier.
        least: a score above 0.
    """
    if least * sys.float_info.max < heaviest:
        return float("inf")
    return (heaviest / least - 1.0) / FADING_PER_DAY[tier]


def fuse(rankings: Iterable[tuple[float, Sequence[str]]]) -> dict[str, float]:
    """Reciprocal rank fusion: each ranking adds ``its weight / (60 + rank)``, ranks counted from 1.

    Source: Aragora 2.8.0, hybrid search; Cormack, Clarke and Buettcher, SIGIR 2009.

    Returns:
        What each key scored, best first, then by key.
    """
    scores: dict[str, float] = {}
    for share, keys in rankings:
        for rank, key in enumerate(keys, 1):
            scores[key] = scores.get(key, 0.0) + share / (RANK_CONSTANT + rank)
    return dict(sorted(scores.items(), key=lambda item: (-item[1], item[0])))
