"""When a changed mind is a contradiction. A mistake here calls consistent agents fickle."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aragora_db.models import FlipType
from aragora_db.rules.positions import Accuracy, Consistency, Flip, classify, flip_id, similarity, won

CLAIMS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
COUNTS = st.integers(0, 1000)


def test_flips_are_those_of_the_table():
    """The rules know no models; a type that the table does not take would fail at the first flip of its kind."""
    assert {str(each) for each in Flip} == {str(each) for each in FlipType}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        # The first two stand in Aragora's real file, with these numbers.
        (
            "Design a audit log for when timeout throughput is good",
            "Review a circuit breaker for because cache when is good",
            1 / 3,
        ),
        (
            "Refactor a vector index for proof must shard works",
            "Scale a schema migration for rollback shard auth is good",
            0.1875,
        ),
        ("Use a lock", "use a LOCK.", 1.0),
        ("a b", "c d", 0.0),
        ("", "", 1.0),
        ("!", "?", 0.0),
        ("!", "word", 0.0),
    ],
)
def test_similarity_by_hand(one: str, other: str, expected: float):
    """Shared words among all words."""
    assert similarity(one, other) == pytest.approx(expected)


@given(CLAIMS, CLAIMS)
def test_similarity_is_a_share(one: str, other: str):
    """It does not matter which claim came first, and every claim is like itself."""
    assert 0.0 <= similarity(one, other) == similarity(other, one) <= 1.0
    assert similarity(one, one) == 1.0


@pytest.mark.parametrize(
    ("original", "new", "expected"),
    [
        # opposites
        ("The cache is good", "The cache is bad", "contradiction"),
        ("I disagree with the cache plan", "I agree with the cache plan", "contradiction"),
        ("We support sharding", "We oppose sharding", "contradiction"),
        ("That is true, not false", "That is false, not true", "refinement"),  # both words in both
        # what letters instead of words would call a contradiction
        ("I disagree with the cache plan", "I disagree with the cache plan", "refinement"),
        ("The plan isn't safe this week", "The plan isn't safe this week", "refinement"),
        ("It must not fail", "It must not fail", "refinement"),
        # negation
        ("The plan is safe", "The plan is not safe", "contradiction"),
        ("The plan isn't safe", "The plan is safe", "contradiction"),
        ("We should shard", "We shouldn\u2019t shard", "contradiction"),
        ("We can shard", "We cannot shard", "contradiction"),
        ("We can't shard", "We can shard", "contradiction"),
        ("We will shard", "We won't shard", "contradiction"),
        ("We never shard", "We don't shard", "qualification"),  # negated both
        # withdrawal and limits
        ("Sharding by tenant scales", "I was wrong about sharding by tenant", "retraction"),
        ("Sharding by tenant scales", "I withdraw sharding by tenant", "retraction"),
        ("Sharding by tenant scales", "Let me reconsider", "retraction"),
        ("Sharding by tenant scales", "Sharding by tenant sometimes scales", "qualification"),
        ("Sharding by tenant scales", "Under certain loads sharding fails", "qualification"),
        # by similarity, on both sides of both thresholds
        ("a b c d e f g h", "a b c d e f g h i", "refinement"),
        ("a b c d e f g", "a b c d e f g h i j", "qualification"),  # 0.7
        ("a b c", "a b c d e f g h i j", "qualification"),  # 0.3
        ("a b", "a b c d e f g", "contradiction"),
    ],
)
def test_classify(original: str, new: str, expected: str):
    """One example for each step, and for each thing that was mended."""
    assert classify(original, new) == expected


@given(CLAIMS)
def test_saying_it_again_is_no_contradiction(claim: str):
    """The same claim may be called a refinement, or what its own words say; never a contradiction."""
    assert classify(claim, claim) != Flip.CONTRADICTION


def test_ids_and_winners():
    """Two new claims against one old claim are two flips; without a winner nobody won or lost."""
    assert (flip_id("a", "b"), flip_id("a", "c")) == ("flip-a-b", "flip-a-c")
    assert (won("a", "a"), won("a", "b"), won("a", None)) == (True, False, None)


def test_consistency_by_hand():
    """1 - (1 + 0.7 + 0.3 + 0.1) / 10; other flips weigh nothing; it ends at 0."""
    mixed = Consistency("a", 10, 1, 1, 1, 1, 5)
    assert mixed.score == pytest.approx(0.79)
    assert mixed.flips == 9
    assert Consistency("a", 0, 3).score == 1.0
    assert Consistency("a", 2, 3).score == 0.0


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_a_flip_never_helps(positions: int, c: int, r: int, q: int, f: int):
    """More flips, less consistency, within 0 to 1."""
    before = Consistency("a", positions, c, r, q, f).score
    assert 0.0 <= Consistency("a", positions, c + 1, r, q, f).score <= before <= 1.0


def test_accuracy_by_hand():
    """Over what is verified; nothing verified is not the same as never correct."""
    assert Accuracy("a", 9, 5, 4, 1).accuracy == 0.25
    assert Accuracy("a", 9, 5, 0, 0).accuracy is None
