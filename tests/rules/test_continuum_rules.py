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


@given(st.floats(0, 1), COUNTS, COUNTS, st.booleans(), st.floats(0, 1))
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
    for numbers in (continuum.HALF_LIFE_HOURS, continuum.PROMOTE_ABOVE_SURPRISE, continuum.DEMOTE_ABOVE_STABILITY):
        assert list(numbers) == list(Tier)
