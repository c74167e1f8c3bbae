"""When topics are alike, and who comes before whom. A mistake here merges two debates, or tears a chain apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aragora_db.rules import consensus as rules

TOPICS = st.text(st.sampled_from("aAbBß İ\u3000漢\n"), max_size=12)
RECORDS = st.fixed_dictionaries(
    {"topic": st.just("t"), "metadata": st.dictionaries(st.sampled_from(["supersedes", "n"]), st.text(max_size=2))},
    optional={"supersedes": st.none() | st.text(max_size=2), "superseded_by": st.none() | st.text(max_size=2)},
)


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("Harden a snapshot for token evidence should", "3149a5d7c16b1cc6"),
        ("Review a vector index for cost cannot must 🙂🚀", "b0e9b4b521951a4b"),
    ],
)
def test_hashes_of_real_topics(topic, expected):
    """Two rows of Aragora's real file: with another hash an imported topic is not found again."""
    assert rules.topic_hash(topic) == expected
    assert rules.topic_hash(" ".join(reversed(topic.upper().split())) + "  A a") == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a b c", "C a B b", 1.0),
        ("a b c d", "c d e f", 2 / 6),
        ("a", "b", 0.0),
        ("a b", "a", 0.5),
        ("x" * 128 + "y", "x" * 128 + "z", 1.0),
        ("", "a", 0.0),
        ("", "", 1.0),
    ],
)
def test_similarity(one, other, expected):
    """Counted by hand."""
    assert rules.similarity(one, other) == pytest.approx(expected)


@given(TOPICS, TOPICS)
def test_the_same_hash_means_similarity_1(one, other):
    """So that the exact match needs no case of its own."""
    similarity = rules.similarity(one, other)
    assert 0.0 <= similarity == rules.similarity(other, one) <= 1.0
    assert (similarity == 1.0) == (rules.topic_hash(one) == rules.topic_hash(other))
    assert rules.indexed_words(one) == rules.topic_words(one)


def test_neighbours_as_aragora_writes_them():
    """Aragora leaves `supersedes` null and notes the older one in the metadata."""
    assert rules.predecessor({"supersedes": None, "metadata": {"supersedes": "old"}}) == "old"
    assert rules.predecessor({"supersedes": "older", "metadata": {"supersedes": "old"}}) == "older"
    for broken in ({}, {"metadata": None}, {"metadata": "x"}, {"supersedes": "", "metadata": {"supersedes": 1}}):
        assert rules.predecessor(broken) is None
        assert rules.successor(broken) is None
    assert rules.successor({"superseded_by": "new"}) == "new"


@given(RECORDS, st.none() | st.just("p"), st.none() | st.just("s"))
def test_linking(data, before, after):
    """A link replaces every older note of it, and changes nothing that was told about the debate."""
    changed = rules.linked(data, before=before, after=after)
    assert (rules.predecessor(changed), rules.successor(changed)) == (before, after)
    assert rules.consensus_content(changed) == rules.consensus_content(data)
    assert {name: changed[name] for name in ("topic",)} == {"topic": "t"}
    assert changed["metadata"].get("n") == data["metadata"].get("n")


def test_what_counts_as_content():
    """Times and answers differ between two tries of one call; words do not."""
    told = {"content": "no", "timestamp": "1", "acknowledged": False, "rebuttal": ""}
    assert rules.dissent_content(told) == rules.dissent_content({**told, "timestamp": "2", "rebuttal": "yes"})
    assert rules.dissent_content(told) != rules.dissent_content({**told, "content": "yes"})
    record = {"topic": "t", "timestamp": "1", "dissent_ids": []}
    assert rules.consensus_content(record) == rules.consensus_content({**record, "dissent_ids": ["d"]})
    assert rules.consensus_content(record) != rules.consensus_content({**record, "topic": "u"})
