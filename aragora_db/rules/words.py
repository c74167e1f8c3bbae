"""What counts as a word, and which keywords match a text: decided here, so that both databases agree."""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NamedTuple

__all__ = ["MAX_BYTES", "MAX_WORD", "Term", "terms", "words"]

MAX_WORD: Final = 64
"""Characters of a word that count; PostgreSQL takes lexemes up to 2,046 bytes."""

MAX_BYTES: Final = 512 * 1024
"""UTF-8 bytes of one text's words that are indexed; a tsvector holds less than 1 MiB."""


_ASCII_RUN = re.compile(r"\w+", re.ASCII)

_MOST_BYTES = 64
"""More than a character can become by folding, in UTF-8: U+FDFA becomes 18 characters of two bytes."""


class Term(NamedTuple):
    """A word to look for; with `prefix`, any word that begins with it."""

    word: str
    prefix: bool


def words(text: str) -> list[str]:
    """The different words of a text, in the order in which they first appear.

    A word is a run of letters, digits, underscores and the marks that combine with letters (Hindi's vowel signs).
    Case and compatibility forms are folded away (Unicode's ``NFKC_Casefold``, but default-ignorable characters stay,
    https://www.unicode.org/reports/tr44/#NFKC_Casefold): "STRASSE" and "Straße" are one word; accents stay. Words
    beyond `MAX_BYTES` are left out.
    """
    if text.isascii():  # nothing to compose, and no marks: a third of the time
        runs = _ASCII_RUN.findall(text.lower())
    else:
        folded = _fold(text)
        marks = "".join(sorted(character for character in set(folded) if unicodedata.category(character)[0] == "M"))
        runs = re.findall(rf"[\w{re.escape(marks)}]+", folded)
    found = dict.fromkeys(runs)
    if max(map(len, found), default=0) > MAX_WORD:
        found = dict.fromkeys(run[:MAX_WORD] for run in runs)
    if len(text) * _MOST_BYTES < MAX_BYTES:
        return list(found)
    kept: list[str] = []
    size = 0
    for word in found:
        size += len(word.encode()) + 1
        if size > MAX_BYTES:
            break
        kept.append(word)
    return kept


def terms(keyword: str) -> list[Term]:
    """The words of a keyword, all of which a text must have: ``gpt-4`` is two. ``rat*`` also finds "rating".

    Nothing when there is no letter or digit in it.
    """
    found = words(keyword)
    prefix = keyword.rstrip().endswith("*")
    return [Term(word, prefix and word == found[-1]) for word in found]


def _fold(text: str) -> str:
    # Folding can leave a compatibility form behind and composing a capital, so each is done again.
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text.casefold()).casefold())
