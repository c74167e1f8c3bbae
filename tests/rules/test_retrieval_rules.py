"""What comes first. A mistake here hides what matters behind what is merely new, or the other way round."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aragora_db.models import Tier
from aragora_db.rules import retrieval

TIERS = st.sampled_from(list(Tier))
AGES = st.integers(0, 400 * retrieval.DAY)


@pytest.mark.parametrize(
    ("tier", "days", "expected"),
    [("fast", 1, 0.03), ("medium", 2, 0.25), ("slow", 10, 0.3125), ("glacial", 100, 0.1875)],
)
def test_scores_by_hand(tier, days, expected):
    """The documented pace of each tier, for a weight of 0.75."""
    weight = retrieval.weight(0.5, 0.5)
    assert retrieval.score(weight, tier, days * retrieval.DAY) == pytest.approx(expected)


def test_the_future_is_now():
    """A host whose clock is ahead must not make scores negative or infinite, as time zones do in Aragora."""
    assert retrieval.score(0.5, "fast", -retrieval.DAY) == 0.5


def test_next_to_nothing_is_nothing():
    """PostgreSQL refuses to divide a number so small that a double cannot hold the result."""
    assert retrieval.score(5e-324, "fast", retrieval.DAY) == 0.0
    assert retrieval.score(-1e-301, "fast", 0) == 0.0


@given(st.floats(0.001, 2), TIERS, AGES)
def test_age_never_helps(weight, tier, age):
    """Otherwise the bound of what has to be looked at would leave out some of the best."""
    assert retrieval.score(weight, tier, age + retrieval.DAY) < retrieval.score(weight, tier, age) <= weight


@given(st.floats(0.001, 2), st.floats(0.001, 1), TIERS)
def test_the_oldest_age_is_the_limit(heaviest, share, tier):
    """A memory older than that cannot score so much, and one of that age does."""
    least = heaviest * share
    days = retrieval.oldest_age(heaviest, tier, least)
    assert retrieval.score(heaviest, tier, round(days * retrieval.DAY)) == pytest.approx(least)


def test_no_age_is_too_old_for_a_score_of_nearly_nothing():
    """A bound that overflows would be an error instead of no bound."""
    assert retrieval.oldest_age(1e300, "glacial", 1e-100) == float("inf")


def test_fused_ranks_by_hand():
    """What both searches find comes before what only one puts first; ties go by key."""
    fused = retrieval.fuse([(0.6, ["a", "b"]), (0.4, ["b", "c"])])
    assert fused == pytest.approx({"b": 0.6 / 62 + 0.4 / 61, "a": 0.6 / 61, "c": 0.4 / 62})
    assert list(fused) == ["b", "a", "c"]
    assert list(retrieval.fuse([(0.5, ["z"]), (0.5, ["a"])])) == ["a", "z"]


def test_every_tier_fades():
    """A tier without a pace would be a KeyError in production."""
    assert list(retrieval.FADING_PER_DAY) == list(Tier)
