"""What moves a rating besides matches: votes, learning, verified claims and red teams; and how each event is tagged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

from aragora_db.errors import InvalidValue
from aragora_db.rules.elo import K_FACTOR

__all__ = [
    "DEFAULT_DOMAIN",
    "LEARNING_PREFIX",
    "LEARNING_WINDOW",
    "MIN_VOTES",
    "REDTEAM_PREFIX",
    "VERIFICATION_FLOOR",
    "VERIFICATION_PREFIX",
    "VOTING_PREFIX",
    "Learning",
    "LearningCategory",
    "learning",
    "learning_bonus",
    "learning_tags",
    "redteam_change",
    "redteam_tag",
    "verification_change",
    "verification_tag",
    "vote_change",
    "vote_tag",
]

DEFAULT_DOMAIN: Final = "general"
"""Where votes and learning count when no domain is named (Aragora 2.8.0, ranking/elo_analysis.py)."""

VOTING_PREFIX: Final = "voting:"
LEARNING_PREFIX: Final = "learning:"
VERIFICATION_PREFIX: Final = "verification:"
REDTEAM_PREFIX: Final = "redteam"

# -- votes ------------------------------------------------------------------------------------------------------------

MIN_VOTES: Final = 5
"""Votes before a vote moves a rating."""

_VOTE_K: Final = 4.0


def vote_change(*, correct: bool, total: int, total_correct: int) -> float:
    """How much a vote moves the rating in its domain.

    Nothing before the fifth vote. Then a vote for what was decided gives ``4 * (accuracy - 0.5) * 2``, at most 4, and
    less than nothing to an agent whose votes are wrong more often than right. A vote against it costs
    ``4 * 0.25 = 1``, whatever the accuracy: dissent can be worth something.

    Source: Aragora 2.8.0, ranking/elo_analysis.py:381.

    Args:
        correct: this vote was for what was decided.
        total: votes so far, this one included.
        total_correct: how many of them were for what was decided, this one included.
    """
    if total < MIN_VOTES:
        return 0.0
    return _VOTE_K * (total_correct / total - 0.5) * 2 if correct else -_VOTE_K * 0.25


def vote_tag(debate_id: str, *, correct: bool) -> str:
    """The tag of a vote in the history: ``voting:{debate}:correct`` or ``:incorrect``."""
    return f"{VOTING_PREFIX}{debate_id}:{'correct' if correct else 'incorrect'}"


# -- learning ---------------------------------------------------------------------------------------------------------

LEARNING_WINDOW: Final = 20
"""Of how many ratings the slope is taken."""

_MIN_RATINGS: Final = 3
_MIN_RATINGS_FOR_BONUS: Final = 5
_BONUS: Final = 0.5


class LearningCategory(StrEnum):
    """How fast an agent improves."""

    RAPID = "rapid"
    STEADY = "steady"
    SLOW = "slow"
    DECLINING = "declining"
    INSUFFICIENT_DATA = "insufficient_data"


_FACTORS: Final = {LearningCategory.RAPID: 3.0, LearningCategory.STEADY: 1.5, LearningCategory.SLOW: 0.5}


@dataclass(frozen=True)
class Learning:
    """How an agent's rating developed.

    Attributes:
        slope: points per rating, of a line through them (least squares).
        consistency: share of ratings that are above the one before, 0 to 1.
        category: what that amounts to.
        ratings: how many ratings this was computed from.
    """

    slope: float
    consistency: float
    category: LearningCategory
    ratings: int


def learning(elos: Sequence[float]) -> Learning:
    """How a rating developed: rapid with a slope over 5 and a consistency over 0.6, steady over 2 and 0.5, slow over 0.

    Source: Aragora 2.8.0, ranking/elo_analysis.py:57-139. Mended: it passes the ratings newest first, so that whoever
    improves counts as declining.

    Args:
        elos: ratings, oldest first; fewer than three are insufficient.
    """
    count = len(elos)
    if count < _MIN_RATINGS:
        return Learning(0.0, 0.0, LearningCategory.INSUFFICIENT_DATA, count)
    # sum((x - mean) * y) / sum((x - mean) ** 2), with whole numbers for x - mean so that a straight line is exact.
    rise = math.fsum((2 * i - (count - 1)) * (elo - elos[0]) for i, elo in enumerate(elos))
    slope = 6 * rise / (count * (count * count - 1))
    consistency = sum(after > before for before, after in pairwise(elos)) / (count - 1)
    return Learning(slope, consistency, _category(slope, consistency), count)


def _category(slope: float, consistency: float) -> LearningCategory:
    if slope > 5 and consistency > 0.6:  # noqa: PLR2004 -- the rule's own numbers, here and below
        return LearningCategory.RAPID
    if slope > 2 and consistency > 0.5:  # noqa: PLR2004
        return LearningCategory.STEADY
    return LearningCategory.SLOW if slope > 0 else LearningCategory.DECLINING


def learning_bonus(found: Learning) -> float:
    """What learning adds to the rating in a domain: ``0.5 * factor * consistency``; factors 3, 1.5 and 0.5.

    Nothing for who declines, and nothing of fewer than five ratings.

    Source: Aragora 2.8.0, ranking/elo_analysis.py:300.
    """
    if found.ratings < _MIN_RATINGS_FOR_BONUS:
        return 0.0
    return _BONUS * _FACTORS.get(found.category, 0.0) * found.consistency


def learning_tags(debate_id: str) -> dict[LearningCategory, str]:
    """The tags that a bonus after a debate can have, ``learning:{debate}:{category}``."""
    return {category: f"{LEARNING_PREFIX}{debate_id}:{category}" for category in _FACTORS}


# -- verification -----------------------------------------------------------------------------------------------------

VERIFICATION_FLOOR: Final = 100.0
"""No rating is lower than this after a verification."""

_VERIFICATION_K: Final = 16.0
# More claims than this are a mistake; far more would be no double.
_MOST_CLAIMS: Final = 2**31 - 1


def verification_change(verified: int, disproven: int) -> float:
    """How much formally checked claims move a rating: ``(verified - disproven) * 16 * 0.5``.

    Source: Aragora 2.8.0, ranking/verification.py:36.

    Args:
        verified: claims that were proven.
        disproven: claims that were disproven.

    Raises:
        InvalidValue: more than two thousand million claims.
    """
    if max(verified, disproven) > _MOST_CLAIMS:
        raise InvalidValue(f"verified and disproven count claims; {_MOST_CLAIMS} is the most of one event")
    return (verified - disproven) * _VERIFICATION_K * 0.5


def verification_tag(domain: str, verified: int, disproven: int, event_id: str | None = None) -> str:
    """The tag of a verification: ``verification:{domain}:{v}v{d}d``, with the event's id before the counts if any."""
    identity = "" if event_id is None else f"{event_id}:"
    return f"{VERIFICATION_PREFIX}{domain}:{identity}{verified}v{disproven}d"


# -- red teams --------------------------------------------------------------------------------------------------------

_ROBUST: Final = 0.8
_VULNERABLE: Final = 0.5
_CRITICAL: Final = 2.0
_WORST: Final = -30.0


def redteam_change(
    robustness: float,
    successful_attacks: int,
    total_attacks: int,
    critical_vulnerabilities: int = 0,
    *,
    k_factor: float = K_FACTOR,
) -> float:
    """How much a red team's session moves a rating.

    A robustness of 0.8 and more gives ``K * 0.3 * robustness``. One below 0.5 costs ``K * 0.5 * rate + 2 * critical``,
    30 at most, where the rate is the share of attacks that succeeded. In between nothing moves.

    Source: Aragora 2.8.0, ranking/redteam.py:131.

    Args:
        robustness: 0 to 1, higher is better.
        successful_attacks: attacks that succeeded.
        total_attacks: attacks tried.
        critical_vulnerabilities: how many critical ones were found.
        k_factor: the K of the formula.

    Raises:
        InvalidValue: more attacks succeeded than were tried.
    """
    if successful_attacks > total_attacks:
        raise InvalidValue(f"{successful_attacks} successful_attacks of {total_attacks} total_attacks cannot be")
    if robustness >= _ROBUST:
        return k_factor * 0.3 * robustness
    if robustness >= _VULNERABLE:
        return 0.0
    rate = successful_attacks / total_attacks if total_attacks else 0.0
    # The cap is reached long before a huge count would be no double.
    critical = _CRITICAL * min(critical_vulnerabilities, int(-_WORST))
    return max(-(k_factor * 0.5 * rate + critical), _WORST)


def redteam_tag(session_id: str | None) -> str:
    """The tag of a red team's session: ``redteam_{session}``, or just ``redteam``."""
    return REDTEAM_PREFIX if session_id is None else f"{REDTEAM_PREFIX}_{session_id}"
