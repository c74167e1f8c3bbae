"""How well agents know what they know: predictions with a confidence, scored when the outcome is known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

__all__ = [
    "BUCKETS",
    "MIN_DOMAIN_PREDICTIONS",
    "MIN_PREDICTIONS",
    "Tally",
    "brier_score",
    "bucket_key",
    "calibration_score",
    "domain_score",
    "expected_calibration_error",
    "k_multiplier",
]

MIN_PREDICTIONS: Final = 10
"""With fewer predictions an agent has no calibration score and no place on the leaderboard (config/settings.py:418)."""

MIN_DOMAIN_PREDICTIONS: Final = 5
"""With fewer predictions a domain is not among an agent's best (ranking/calibration_engine.py, get_best_domains)."""

BUCKETS: Final[Mapping[str, tuple[float, float]]] = {
    f"{tenth / 10:.1f}-{min(10, tenth + 1) / 10:.1f}": (tenth / 10, min(10, tenth + 1) / 10) for tenth in range(11)
}
"""Lowest and highest confidence of each bucket, by its key: ``0.0-0.1`` to ``0.9-1.0``, and ``1.0-1.0``."""

_KEYS: Final = tuple(BUCKETS)

# Twelve places: 1.0 - 0.9 and ten times 0.1 are what they were meant to be, 0.999999999 is still not 1.
_PLACES: Final = 12


class Tally(NamedTuple):
    """Predictions, added up.

    Attributes:
        predictions: how many.
        correct: how many of them came true.
        brier_sum: the sum of their Brier scores.
    """

    predictions: int
    correct: int
    brier_sum: float


def brier_score(confidence: float, *, correct: bool) -> float:
    """``(confidence - outcome) ** 2``, the outcome being 1 or 0: 0 is perfect, 1 is the worst.

    Source: Aragora 2.8.0, ranking/calibration_engine.py, calculate_brier_score.
    """
    return (confidence - (1.0 if correct else 0.0)) ** 2


def bucket_key(confidence: float) -> str:
    """The bucket of a confidence from 0 to 1: ``floor(confidence * 10) / 10`` and a tenth more, 1 at most.

    Source: Aragora 2.8.0, ranking/calibration_engine.py:302. Mended: a confidence that was computed and misses a
    bucket's edge by rounding alone, such as ``1 - 0.9``, lies in the bucket that begins there.
    """
    return _KEYS[math.floor(round(confidence * 10, _PLACES))]


def calibration_score(tally: Tally) -> float:
    """How well calibrated an agent is, 0 to 1, higher is better: ``(1 - brier) * min(1, 0.5 + 0.5 * (n - 10) / 40)``.

    0 before the tenth prediction, as in Aragora: nobody ranks by luck. Full weight from the fiftieth on.

    Source: Aragora 2.8.0, ranking/elo.py:226.
    """
    return _weighted(tally, MIN_PREDICTIONS, 40)


def domain_score(tally: Tally) -> float:
    """How well calibrated an agent is in one domain: ``(1 - brier) * min(1, 0.5 + 0.5 * (n - 5) / 20)``.

    0 before the fifth prediction; full weight from the 25th on.

    Source: Aragora 2.8.0, ranking/calibration_engine.py, get_best_domains.
    """
    return _weighted(tally, MIN_DOMAIN_PREDICTIONS, 20)


def _weighted(tally: Tally, least: int, span: int) -> float:
    if tally.predictions < least:
        return 0.0
    weight = min(1.0, 0.5 + 0.5 * (tally.predictions - least) / span)
    return (1.0 - tally.brier_sum / tally.predictions) * weight


def expected_calibration_error(buckets: Mapping[str, Tally]) -> float | None:
    """How far accuracy is from confidence: ``sum(share of predictions * |accuracy - middle of the bucket|)``.

    Source: Aragora 2.8.0, ranking/calibration_engine.py, get_expected_calibration_error; there it is 1 without
    predictions.

    Args:
        buckets: the predictions of each bucket; keys that are none of `BUCKETS` are left out.

    Returns:
        0 (perfect) to 1; None without predictions.
    """
    known = {key: tally for key, tally in buckets.items() if key in BUCKETS and tally.predictions > 0}
    total = sum(tally.predictions for tally in known.values())
    if total == 0:
        return None
    # In the order of the buckets, so that the same predictions give the same bits.
    return math.fsum(
        tally.predictions / total * abs(tally.correct / tally.predictions - sum(BUCKETS[key]) / 2)
        for key, tally in sorted(known.items())
    )


def k_multiplier(ece: float | None, brier: float | None) -> float:
    """The factor on an agent's rating changes: who is poorly calibrated, risks more.

    With ``composite = 0.4 * ece + 0.6 * brier``, or the one that is known: 1 below 0.1, 1.1 below 0.2, 1.25 below 0.3,
    else 1.4; 1 when nothing is known.

    Source: Aragora 2.8.0, ranking/match_recorder.py:119.

    Args:
        ece: expected calibration error, if known.
        brier: mean Brier score, if known.
    """
    if ece is not None and brier is not None:
        composite = 0.4 * ece + 0.6 * brier
    else:
        composite = next((each for each in (ece, brier) if each is not None), 0.0)
    return next((factor for limit, factor in _FACTORS if composite < limit), 1.4)


_FACTORS: Final = ((0.1, 1.0), (0.2, 1.1), (0.3, 1.25))
