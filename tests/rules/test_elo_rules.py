"""The arithmetic of ratings. A mistake here moves every agent's standing, and nothing in the database would notice."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aragora_db.errors import InvalidValue
from aragora_db.rules import elo

RATINGS = st.floats(0, 4000)
MATCHES = st.dictionaries(
    st.text(min_size=1, max_size=8), st.tuples(RATINGS, st.floats(0, 100)), min_size=2, max_size=6
)


def split(match):
    """Ratings and scores of a match."""
    return {name: pair[0] for name, pair in match.items()}, {name: pair[1] for name, pair in match.items()}


def test_two_equals_and_a_clear_win():
    """The value everybody knows from chess: a win between equals is worth half of K."""
    changes = elo.pairwise_changes({"a": 1500, "b": 1500}, {"a": 1, "b": 0})
    assert changes == {"a": 16.0, "b": -16.0}


def test_three_participants_by_hand():
    """Ratings that moved between the pairs of one match would make the result depend on who is compared first."""
    changes = elo.pairwise_changes({"a": 1600, "b": 1500, "c": 1400}, {"a": 2, "b": 2, "c": 1})
    near, far = 1 / (1 + 10**-0.25), 1 / (1 + 10**-0.5)
    assert changes["a"] == pytest.approx(32 * (0.5 - near) + 32 * (2 / 3 - far))
    assert changes["b"] == pytest.approx(32 * (near - 0.5) + 32 * (2 / 3 - near))
    assert changes["c"] == pytest.approx(32 * (far - 2 / 3) + 32 * (near - 2 / 3))


@given(MATCHES, st.floats(-1, 2))
def test_what_one_wins_others_lose(match, weight):
    """Ratings would inflate over the years if a match created points."""
    ratings, scores = split(match)
    changes = elo.pairwise_changes(ratings, scores, confidence_weight=weight)
    assert sum(changes.values()) == pytest.approx(0, abs=1e-9)
    assert all(abs(change) <= elo.K_FACTOR * (len(scores) - 1) for change in changes.values())


@given(MATCHES, st.randoms(use_true_random=False))
def test_order_does_not_matter(match, random):
    """The same debate recorded by two servers must give the same bits, or a verification would see a difference."""
    ratings, scores = split(match)
    names = list(scores)
    random.shuffle(names)
    changes = elo.pairwise_changes(ratings, scores)
    assert elo.pairwise_changes(ratings, {name: scores[name] for name in names}) == changes
    assert list(changes) == list(scores)


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_expected_scores_of_two_add_up_to_one(a, b):
    """Any ratings, however far apart, and no OverflowError in the middle of a tournament."""
    assert elo.expected_score(a, b) + elo.expected_score(b, a) == pytest.approx(1)


@given(RATINGS, RATINGS)
def test_the_higher_rating_is_expected_to_win(a, b):
    """With the sign turned around the best would lose points by winning."""
    assert (elo.expected_score(a, b) >= 0.5) == (a >= b) or math.isclose(a, b, abs_tol=1e-9)


@pytest.mark.parametrize("scores", [{"a": 0, "b": 0}, {"a": -1, "b": 0.5}])
def test_a_sum_that_is_not_positive_is_a_draw(scores):
    """Two agents who scored nothing would otherwise be divided by zero."""
    assert elo.pairwise_changes({"a": 1500, "b": 1500}, scores) == {"a": 0.0, "b": 0.0}


@pytest.mark.parametrize(("weight", "change"), [(1, 16.0), (0.5, 8.0), (0.1, 1.6), (0, 1.6), (-3, 1.6), (7, 16.0)])
def test_the_weight_stays_between_a_tenth_and_one(weight, change):
    """A confidence of zero must not make a match free, and one of seven must not make it count sevenfold."""
    changes = elo.pairwise_changes({"a": 1500, "b": 1500}, {"a": 1, "b": 0}, confidence_weight=weight)
    assert changes["a"] == pytest.approx(change)


def test_each_side_has_its_own_multiplier():
    """A badly calibrated agent moves more; its opponent does not pay for that."""
    changes = elo.pairwise_changes({"a": 1500, "b": 1500}, {"a": 1, "b": 0}, multipliers={"a": 1.4})
    assert changes == {"a": pytest.approx(22.4), "b": -16.0}


@pytest.mark.parametrize("scores", [{}, {"a": 3.0}])
def test_a_match_takes_two(scores):
    """A debate with one agent left is no reason to fail, and no reason to move a rating."""
    assert elo.pairwise_changes({"a": 1500}, scores) == {}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none_are_refused(bad):
    """One NaN among the scores would turn the ratings of everybody in the match into NaN."""
    ratings = {"a": 1500.0, "b": 1500.0}
    with pytest.raises(InvalidValue, match="score of b"):
        elo.pairwise_changes(ratings, {"a": 1.0, "b": bad})
    with pytest.raises(InvalidValue, match="rating of b"):
        elo.pairwise_changes({"a": 1500.0, "b": bad}, {"a": 1.0, "b": 1.0})
    with pytest.raises(InvalidValue, match="multiplier of a"):
        elo.pairwise_changes(ratings, {"a": 1.0, "b": 1.0}, multipliers={"a": bad})
    with pytest.raises(InvalidValue, match="confidence_weight"):
        elo.pairwise_changes(ratings, {"a": 1.0, "b": 1.0}, confidence_weight=bad)
    with pytest.raises(InvalidValue, match="score of b"):
        elo.winner({"a": 1.0, "b": bad})


def test_a_participant_without_a_rating_is_refused():
    """Taking 1500 for an agent whose row was not loaded would overwrite its real rating."""
    with pytest.raises(InvalidValue, match="b has a score but no rating"):
        elo.pairwise_changes({"a": 1500.0}, {"a": 1.0, "b": 1.0})


@given(st.floats(1e300, 1.7e308))
def test_large_scores_are_shared_like_small_ones(score):
    """The sum of two large doubles is infinite, and a share of infinity is nothing."""
    assert elo.pairwise_changes({"a": 1500, "b": 1500}, {"a": score, "b": score}) == {"a": 0.0, "b": 0.0}


@pytest.mark.parametrize(
    ("scores", "name"),
    [({"a": 2.0, "b": 1.0}, "a"), ({"a": 2.0, "b": 2.0, "c": 1.0}, None), ({"a": -1.0, "b": -2.0}, "a"), ({}, None)],
)
def test_the_winner_is_strictly_highest(scores, name):
    """A tie at the top is a draw; naming the first of the two would hand out a win that nobody earned."""
    assert elo.winner(scores) == name
