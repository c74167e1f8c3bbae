"""What counts as a word: decided once, for both databases and every script."""

from __future__ import annotations

import unicodedata

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


# Without the iota below Greek vowels: folding makes a letter of it, so it matters on which side of an accent it stands.
WITHOUT_IOTA = st.characters(exclude_categories=["Cs"], exclude_characters="\u0345")


@given(st.text(WITHOUT_IOTA, max_size=20), st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_the_normal_form_does_not_count(text, form):
    """Keyboards and macOS write "é" as two characters; nobody sees the difference, so no search may."""
    assert words(unicodedata.normalize(form, text)) == words(text)


@given(st.text(min_size=1, max_size=8), st.integers(8, 100))
def test_long_words_are_cut_the_same_way_twice(piece, times):
    """A cut between a letter and its mark must give the same beginning when the word is searched for."""
    found = words(piece * times)
    assert words(" ".join(found)) == found
    for word in found:
        assert len(word) <= MAX_WORD
        assert [term.word for term in terms(word)] == [word]


@pytest.mark.parametrize("length", [MAX_WORD - 1, MAX_WORD, MAX_WORD + 1])
def test_marks_at_the_cut(length):
    """Q with a dot has no character of its own, so the mark may be what is cut off."""
    word = "x" * (length - 1) + "q\u0323"
    assert words(word) == [word[:MAX_WORD]]
    assert words(word.upper()) == words(word)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ẞ", "ss"),
        ("ﬃ", "FFI"),
        ("\u212a", "k"),
        ("Å", "\u212b"),
        ("Ⅳ", "iv"),
        ("①", "1"),
        ("\uff26\uff35\uff2c\uff2c", "full"),
        ("ｶﾞ", "ガ"),
        ("한", "\u1112\u1161\u11ab"),
        ("Ǆ", "ǆ"),
        ("Ά", "\u03b1\u0301"),
        ("\u1e9b\u0323", "\u1e69"),
    ],
)
def test_what_is_one_word(one, other):
    """Each pair looks or reads alike; somebody types the one and has stored the other."""
    assert words(one) == words(other)


@pytest.mark.parametrize(
    ("one", "other"), [("cafe", "café"), ("İ", "i"), ("\u0131", "i"), ("が", "か"), ("\u03b1", "a"), ("日本", "日本語")]
)
def test_what_is_another_word(one, other):
    """Letters with and without marks are different words in many languages."""
    assert words(one) != words(other)


def test_the_byte_limit_counts_bytes():
    """Three bytes a character, and a space between words: what is kept fits, and one more word would not."""
    text = " ".join(chr(0x4E00 + number // 5000) + chr(0x4E00 + number % 5000) * 20 for number in range(20_000))
    kept = words(text)
    size = len(" ".join(kept).encode()) + 1
    assert MAX_BYTES - 64 <= size <= MAX_BYTES


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
