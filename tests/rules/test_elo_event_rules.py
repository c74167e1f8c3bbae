"""What moves a rating besides matches. A mistake here pays agents for the wrong thing, a little every day."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aragora_db.errors import InvalidValue
from aragora_db.rules import elo_events as rules
from aragora_db.rules.elo_events import LearningCategory

COUNTS = st.integers(0, 500)


@pytest.mark.parametrize(
    ("correct", "total", "total_correct", "change"),
    [
        (True, 4, 4, 0.0),
        (False, 4, 0, 0.0),
        (True, 5, 5, 4.0),
        (True, 10, 8, 4 * 0.3 * 2),
        (True, 10, 5, 0.0),
        (True, 5, 1, 4 * -0.3 * 2),
        (False, 5, 4, -1.0),
        (False, 500, 0, -1.0),
    ],
)
def test_votes_by_hand(correct: bool, total: int, total_correct: int, change: float):
    """Four votes tell nothing; after that accuracy pays, and dissent costs the same for everybody."""
    assert rules.vote_change(correct=correct, total=total, total_correct=total_correct) == pytest.approx(change)


@given(st.booleans(), COUNTS, COUNTS)
def test_a_vote_is_worth_little(correct, total, wrong):
    """Votes must never outweigh debates: at most four points."""
    right = max(0, total - wrong)
    assert abs(rules.vote_change(correct=correct, total=total, total_correct=right)) <= 4


@pytest.mark.parametrize(
    ("elos", "slope", "consistency", "category", "bonus"),
    [
        ([], 0, 0, "insufficient_data", 0),
        ([1500, 1600], 0, 0, "insufficient_data", 0),
        ([1500, 1600, 1700], 100, 1, "rapid", 0),
        ([1500, 1510, 1520, 1530, 1540], 10, 1, "rapid", 1.5),
        ([1500, 1505, 1510, 1515, 1520], 5, 1, "steady", 0.75),
        ([1500, 1502, 1504, 1506, 1508], 2, 1, "slow", 0.25),
        ([1500, 1490, 1500, 1510, 1500], 2, 0.5, "slow", 0.125),
        ([1500, 1540, 1530, 1560, 1550], 12, 0.5, "slow", 0.125),
        ([1500, 1500, 1500, 1500, 1500], 0, 0, "declining", 0),
        ([1540, 1530, 1520, 1510, 1500], -10, 0, "declining", 0),
    ],
)
def test_learning_by_hand(elos: list[float], slope: float, consistency: float, category: str, bonus: float):
    """The limits are exclusive, and they are compared with a slope that is exact for a straight line."""
    found = rules.learning(elos)
    assert (found.slope, found.consistency, found.category, found.ratings) == (slope, consistency, category, len(elos))
    assert rules.learning_bonus(found) == pytest.approx(bonus)


@given(st.lists(st.floats(100, 4000), min_size=3, max_size=30))
def test_learning_has_a_direction(elos):
    """Aragora reads the history backward: whoever improves is told that it declines."""
    forward, backward = rules.learning(elos), rules.learning(elos[::-1])
    assert forward.slope == pytest.approx(-backward.slope, abs=1e-6)
    assert 0 <= forward.consistency + backward.consistency <= 1
    assert 0 <= rules.learning_bonus(forward) <= 1.5
    if forward.category is LearningCategory.DECLINING:
        assert rules.learning_bonus(forward) == 0


def test_verification():
    """A proven claim is worth eight points, a disproven one costs them."""
    assert rules.verification_change(3, 1) == 16.0
    assert rules.verification_change(0, 2) == -16.0
    assert rules.verification_change(2, 2) == 0.0
    with pytest.raises(InvalidValue, match="claims"):
        rules.verification_change(10**400, 0)


@pytest.mark.parametrize(
    ("arguments", "change"),
    [
        ((1.0, 0, 10), 9.6),
        ((0.8, 2, 10, 5), 32 * 0.3 * 0.8),
        ((0.79, 10, 10, 5), 0.0),
        ((0.5, 10, 10, 5), 0.0),
        ((0.49, 0, 0), 0.0),
        ((0.49, 5, 10), -8.0),
        ((0.0, 10, 10, 3), -22.0),
        ((0.0, 10, 10, 7), -30.0),
        ((0.0, 10, 10, 8), -30.0),
        ((0.0, 1, 1, 10**400), -30.0),
    ],
)
def test_redteam_by_hand(arguments: tuple[float, int, int, int], change: float):
    """Holding out gives a little, breaking costs more, and never more than thirty."""
    assert rules.redteam_change(*arguments) == pytest.approx(change)


def test_redteam_counts_must_fit():
    """A rate above one would punish an agent for a typing mistake."""
    with pytest.raises(InvalidValue, match="successful_attacks"):
        rules.redteam_change(0.1, 2, 1)


def test_tags():
    """Tags are what imported histories hold: an event that is spelled otherwise would be counted again."""
    assert rules.vote_tag("d1", correct=True) == "voting:d1:correct"
    assert rules.vote_tag("d1", correct=False) == "voting:d1:incorrect"
    assert rules.learning_tags("d1")[LearningCategory.RAPID] == "learning:d1:rapid"
    assert rules.verification_tag("law", 2, 1) == "verification:law:2v1d"
    assert rules.verification_tag("law", 2, 1, "e7") == "verification:law:e7:2v1d"
    assert rules.redteam_tag("s1") == "redteam_s1"
    assert rules.redteam_tag(None) == "redteam"
