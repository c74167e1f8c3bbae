"""What counts as a word: decided once, for both databases and every script."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aragora_db.rules.words import MAX_BYTES, MAX_WORD, terms, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("!? ... --", []),
        ("Rate limits, rate LIMITS", ["rate", "limits"]),
        ("STRASSE Straße", ["strasse"]),
        ("ﬁne ﬁﬂ", ["fine", "fifl"]),
        ("co-op gpt-4o snake_case", ["co", "op", "gpt", "4o", "snake_case"]),
        ("naïve NAÏVE nai\u0308ve", ["naïve"]),
        ("İstanbul", ["i\u0307stanbul"]),
        ("ΣΊΣΥΦΟΣ σίσυφος", ["σίσυφοσ"]),
        ("हिन्दी", ["हिन्दी"]),
        ("日本語テスト", ["日本語テスト"]),
        ("½ ²", ["1", "2"]),
        ("x" * 100, ["x" * MAX_WORD]),
    ],
)
def test_by_hand(text, expected):
    """A word that is folded in one way when stored and in another when searched is never found."""
    assert words(text) == expected


@given(st.text())
def test_folding_is_stable(text):
    """The words of words are themselves: an index built from an index is the same index."""
    found = words(text)
    assert words(" ".join(found)) == found
    assert words(text.upper()) == words(text.upper().casefold().upper())


@given(st.text())
def test_words_hold_no_quotes_and_no_spaces(text):
    """Queries are put together from words; a quote in one would end it early."""
    for word in words(text):
        assert not set(word) & set("\"' \\()&|!:*\t\n")
        assert 0 < len(word) <= MAX_WORD


def test_very_long_texts_keep_their_first_words():
    """PostgreSQL refuses a tsvector of a megabyte, and with it the whole memory."""
    found = words(" ".join(f"word{number}é" for number in range(100_000)))
    assert found[0] == "word0é"
    assert MAX_BYTES - 100 < sum(len(word.encode()) + 1 for word in found) <= MAX_BYTES


@pytest.mark.parametrize(
    ("keyword", "expected", "prefix"),
    [
        ("GPT-4", ["gpt", "4"], False),
        ("rat*", ["rat"], True),
        ("gpt-4* ", ["gpt", "4"], True),
        ("* *", [], False),
        ("a*b", ["a", "b"], False),
    ],
)
def test_keywords(keyword, expected, prefix):
    """Only a star at the end asks for beginnings, and only of the last word."""
    found = terms(keyword)
    assert [term.word for term in found] == expected
    assert [term.prefix for term in found] == [prefix and term is found[-1] for term in found]
