"""Which words of a topic are common, for `aragora_db.search.similar_topics`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy.orm import Session

from aragora_db.search.similar_topics import topics_per_word

__all__ = ["common_words"]

_COMMON: Final = 5_000  # topics; a word of fewer costs at most a millisecond to count whole
_COUNTED: Final = 32  # words of a topic, the shortest ones, that are counted


def common_words(session: Session, words: Sequence[str]) -> list[str]:
    """Return the common words among those of a topic: a third of them at most, so that rare ones are left.

    One statement, or none for fewer than three words. Counts stop at the number that makes a word common. Only the
    shortest words are counted: in all languages the most frequent words are short.
    """
    if len(words) < 3:  # noqa: PLR2004 -- a third of them is none
        return []
    shortest = sorted(words, key=lambda word: (len(word), word))[:_COUNTED]
    counts: Any = session.execute(topics_per_word(shortest, _COMMON)).one()
    common = [word for word, count in zip(shortest, counts, strict=True) if count == _COMMON]
    return common[: len(words) // 3]
