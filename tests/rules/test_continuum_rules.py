"""How memories change. A mistake here forgets what mattered, or keeps everything fresh for ever."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aragora_db.models import Tier
from aragora_db.rules import continuum

COUNTS = st.integers(0, 10_000)


def test_first_outcome_by_hand():
    """Aragora's formula: nothing is known, so one half was expected."""
    scores = continuum.after_outcome(0.5, 0, 0, succeeded=True, prediction_error=0.4, normalised=False)
    assert scores.surprise == pytest.approx(0.7 * 0.5 + 0.3 * (0.3 * 0.5 + 0.2 * 0.4))
    assert scores.consolidation == pytest.approx(math.log(2) / math.log(100))


def test_first_normalised_outcome_by_hand():
    """What was observed counts in full: 0.5 alone, or weighed with a prediction error."""
    alone = continuum.after_outcome(0.5, 0, 0, succeeded=True)
    assert alone.surprise == pytest.approx(0.7 * 0.5 + 0.3 * 0.5)
    both = continuum.after_outcome(0.5, 0, 0, succeeded=True, prediction_error=0.4)
    assert both.surprise == pytest.approx(0.7 * 0.5 + 0.3 * (0.3 * 0.5 + 0.2 * 0.4) / 0.5)


@pytest.mark.parametrize(("normalised", "expected"), [(True, Tier.MEDIUM), (False, Tier.GLACIAL)])
def test_a_lesson_that_fails_three_times_is_promoted(normalised, expected):
    """By Aragora's formula nothing is ever surprising enough, and the lesson goes on sinking."""
    surprise = 0.0
    for failures in range(3):
        surprise, _ = continuum.after_outcome(surprise, 100, failures, succeeded=False, normalised=normalised)
    assert continuum.next_tier(Tier.SLOW, surprise, 103) == expected


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1))))
def test_aragoras_formula_never_promotes(outcomes):
    """The reason for the other one: whatever happens, surprise stays below one half."""
    surprise, uses = 0.0, [0, 0]
    for succeeded, error in outcomes:
        surprise, _ = continuum.after_outcome(
            surprise, *uses, succeeded=succeeded, prediction_error=error, normalised=False
        )
        uses[not succeeded] += 1
    assert surprise < min(continuum.PROMOTE_ABOVE_SURPRISE.values())


@given(st.floats(0.8, 1), st.floats(0, 0.2), st.integers(10, 1000))
def test_what_the_glacial_scheduler_moves(consolidation, surprise, updates):
    """Aragora's second rule needs no second look: the first moves the same memories, and more."""
    del consolidation
    assert continuum.next_tier(Tier.SLOW, surprise, updates) == Tier.GLACIAL


@given(st.sampled_from(list(Tier)), st.floats(-1, 2))
def test_no_memory_is_both_surprising_and_stable(tier, surprise):
    """A pass must not have to choose between two moves."""
    rises = tier != Tier.FAST and surprise > continuum.PROMOTE_ABOVE_SURPRISE[tier]
    sinks = tier != Tier.GLACIAL and 1 - surprise > continuum.DEMOTE_ABOVE_STABILITY[tier]
    assert not (rises and sinks)


def test_learning_slows_down():
    """Rates by hand: a glacial memory learns thirty times slower than a fast one, and both less each time."""
    assert continuum.learning_rate(Tier.FAST, 0) == 0.3
    assert continuum.learning_rate(Tier.FAST, 2) == pytest.approx(0.3 * 0.95 * 0.95)
    assert continuum.learning_rate(Tier.GLACIAL, 1) == pytest.approx(0.01 * 0.9999)


@given(st.floats(0, 1), COUNTS, COUNTS, st.booleans(), st.none() | st.floats(0, 1))
def test_scores_stay_between_0_and_1(surprise, successes, failures, succeeded, error):
    """A score beyond its range would win every comparison with a tier's threshold."""
    scores = continuum.after_outcome(surprise, successes, failures, succeeded=succeeded, prediction_error=error)
    assert 0 <= scores.surprise <= 1
    assert 0 < scores.consolidation <= 1


def test_what_never_surprises_settles():
    """A lesson that always holds has to become calm and consolidated, or it would be looked at again for ever."""
    scores = continuum.Scores(1.0, 0.0)
    for successes in range(100):
        scores = continuum.after_outcome(scores.surprise, successes, 0, succeeded=True)
    assert scores.surprise < 0.01
    assert scores.consolidation == 1.0


@pytest.mark.parametrize(
    ("tier", "surprise", "updates", "expected"),
    [
        (Tier.SLOW, 0.61, 1, Tier.MEDIUM),
        (Tier.SLOW, 0.6, 1, Tier.SLOW),
        (Tier.FAST, 1.0, 1, Tier.FAST),
        (Tier.FAST, 0.3, 9, Tier.FAST),
        (Tier.FAST, 0.3, 10, Tier.MEDIUM),
        (Tier.GLACIAL, 0.0, 99, Tier.GLACIAL),
        (Tier.GLACIAL, 0.51, 99, Tier.SLOW),
    ],
)
def test_next_tier(tier, surprise, updates, expected):
    """Thresholds are exceeded, not met; nothing moves beyond the first or the last tier."""
    assert continuum.next_tier(tier, surprise, updates) == expected


def test_every_tier_has_its_numbers():
    """A tier added to the model without numbers would be a KeyError in production."""
    tables = (
        continuum.HALF_LIFE_HOURS,
        continuum.TTL_HOURS,
        continuum.MAX_ENTRIES,
        continuum.LEARNING_RATE,
        continuum.LEARNING_RATE_DECAY,
        continuum.PROMOTE_ABOVE_SURPRISE,
        continuum.DEMOTE_ABOVE_STABILITY,
    )
    for numbers in tables:
        assert list(numbers) == list(Tier)
    assert list(continuum.TTL_HOURS.values()) == [2, 48, 336, 1440]
