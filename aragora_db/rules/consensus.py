"""When two topics are the same, or alike."""

from __future__ import annotations

import hashlib
from typing import Final

__all__ = ["MAX_WORD", "topic_hash", "topic_words"]

MAX_WORD: Final = 128
"""Characters of a word that count for likeness."""


def topic_words(topic: str) -> list[str]:
    """The different words of a topic, in lower case and sorted (Aragora 2.8.0, memory/consensus.py:398)."""
    return sorted(set(topic.lower().split()))


def topic_hash(topic: str) -> str:
    """The first 16 hex digits of the SHA-256 of a topic's words (Aragora 2.8.0, memory/consensus.py:398).

    Topics of the same words in another order or number have the same hash.
    """
    return hashlib.sha256(" ".join(topic_words(topic)).encode()).hexdigest()[:16]
