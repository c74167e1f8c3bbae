"""How expertise follows from actions. A mistake here makes agents look better or worse than they are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aragora_db.rules.personas import (
    INITIAL_EXPERTISE,
    WINDOW,
    DomainRecord,
    Record,
    blended,
    inferred_traits,
    numbers,
    ranked,
    recent_score,
)

ACTIONS = st.lists(st.booleans(), max_size=2 * WINDOW)
SHARES = st.floats(0, 1)


@pytest.mark.parametrize(
    ("successes", "expected"),
    [
        ([], 0.5),
        ([True], 1.0),
        ([False], 0.0),
        ([True, False], 1 / 1.95),
        ([False, True], 0.95 / 1.95),
        ([True, False, True], 1.9025 / 2.8525),
    ],
)
def test_recent_score_by_hand(successes: list[bool], expected: float):
    """The newest action weighs most; without any, nothing is known."""
    assert recent_score(successes) == pytest.approx(expected, abs=1e-15)


@given(ACTIONS)
def test_only_the_window_counts(successes: list[bool]):
    """The fifty-first action must not matter, and no score leaves 0 to 1."""
    assert recent_score(successes) == recent_score(successes[:WINDOW])
    assert 0.0 <= recent_score(successes) <= 1.0


@given(st.lists(st.booleans(), max_size=WINDOW - 1))
def test_success_helps(before: list[bool]):
    """One more success never scores below one more failure."""
    assert recent_score([True, *before]) > recent_score([False, *before])


def test_blended_by_hand():
    """0.7 of the news: after one success in a new domain, 0.85; then one failure."""
    assert blended(1.0, INITIAL_EXPERTISE) == pytest.approx(0.85)
    assert blended(recent_score([False, True]), 0.85) == pytest.approx(0.7 * 0.95 / 1.95 + 0.3 * 0.85)


@given(SHARES, SHARES)
def test_blended_stays_within(score: float, before: float):
    """An expertise of 1.0000000000000002 would be refused when it is saved again."""
    assert min(score, before) - 1e-12 <= blended(score, before) <= max(score, before) + 1e-12
    assert 0.0 <= blended(score, before) <= 1.0
    assert blended(1.0, 1.0) == 1.0
    assert 0.0 <= blended(score, 7.0) <= 1.0  # old rows hold anything


@pytest.mark.parametrize("stored", [None, [], "x", 7, [["a", 1]]])
def test_what_is_no_expertise(stored: Any):
    """An old row that holds something else must not stop a ranking."""
    assert numbers(stored) == {}


def test_numbers_and_ranked():
    """Only numbers rank, best first; equal ones by name, so that every database agrees."""
    stored = {"b": 0.5, "a": 0.5, "c": 1, "d": True, "e": "0.9", "f": None, "g": float("nan")}
    assert numbers(stored) == {"b": 0.5, "a": 0.5, "c": 1.0}
    assert ranked(stored) == [("c", 1.0), ("a", 0.5), ("b", 0.5)]


@pytest.mark.parametrize(
    ("record", "traits"),
    [
        (Record(0, 0, 0, 0), []),
        (Record(5, 5, 0, 5), ["thorough"]),
        (Record(4, 4, 0, 4), []),
        (Record(10, 10, 7, 3), []),
        (Record(11, 11, 8, 3), ["pragmatic"]),
        (Record(9, 9, 0, 1), []),
        (Record(10, 10, 0, 2), ["conservative"]),
        (Record(10, 10, 0, 3), []),
        (Record(50, 50, 50, 2), ["pragmatic", "conservative"]),
        (Record(50, 50, 50, 6), ["thorough", "pragmatic"]),
        (Record(10, 4, 3, 3), ["pragmatic"]),  # six that nobody judged are no failures
        (Record(10, 0, 0, 1), ["conservative"]),
    ],
)
def test_inferred_traits(record: Record, traits: list[str]):
    """Each threshold, from both sides."""
    assert inferred_traits(record) == traits


def test_rate_of_a_domain():
    """Unjudged actions do not count, and without judged ones there is no rate."""
    assert DomainRecord("d", 4, 2, 1).rate == 0.5
    assert DomainRecord("d", 4, 0, 0).rate is None
