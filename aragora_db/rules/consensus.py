"""When two topics are the same or alike, and how a consensus names the one before it and the one after it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final, cast

__all__ = [
    "DEFAULT_DOMAIN",
    "KEEP_DAYS",
    "MAX_CRUXES",
    "MAX_WORD",
    "SIMILAR_ABOVE",
    "consensus_content",
    "dissent_content",
    "indexed_words",
    "linked",
    "predecessor",
    "similarity",
    "successor",
    "topic_hash",
    "topic_words",
]

MAX_WORD: Final = 128
"""Characters of a word that count for likeness."""

SIMILAR_ABOVE: Final = 0.1
"""Topics are alike when their similarity is more than this (Aragora 2.8.0, memory/consensus.py:860)."""

MAX_CRUXES: Final = 5
"""The most belief cruxes of a consensus (Aragora 2.8.0, memory/consensus.py)."""

KEEP_DAYS: Final = 90
"""After how many days clean-up archives a consensus (Aragora 2.8.0, memory/consensus.py)."""

DEFAULT_DOMAIN: Final = "general"
"""The domain of a consensus that names none (Aragora 2.8.0, memory/consensus.py)."""

# Other verbs write these later, and times differ between two tries of the same call.
_WRITTEN_LATER = {"timestamp", "dissent_ids", "supersedes", "superseded_by"}
_ANSWERS = {"timestamp", "acknowledged", "rebuttal"}


def topic_words(topic: str) -> list[str]:
    """The different words of a topic, in lower case and sorted (Aragora 2.8.0, memory/consensus.py:398)."""
    return sorted(set(topic.lower().split()))


def indexed_words(topic: str) -> list[str]:
    """The words of a topic as the index has them: cut to `MAX_WORD`, each once, sorted."""
    return sorted({word[:MAX_WORD] for word in topic_words(topic)})


def topic_hash(topic: str) -> str:
    """The first 16 hex digits of the SHA-256 of a topic's words (Aragora 2.8.0, memory/consensus.py:398).

    Topics of the same words in another order or number have the same hash.
    """
    return hashlib.sha256(" ".join(topic_words(topic)).encode()).hexdigest()[:16]


def similarity(one: str, other: str) -> float:
    """How alike two topics are, 0 to 1: the words they share among all they have (Jaccard).

    Topics of the same words, which have the same hash, have 1. Source: Aragora 2.8.0, memory/consensus.py:860.
    """
    ours, theirs = set(indexed_words(one)), set(indexed_words(other))
    together = ours | theirs
    return len(ours & theirs) / len(together) if together else 1.0


def predecessor(data: Mapping[str, Any]) -> str | None:
    """The id of the consensus that this one supersedes.

    Aragora leaves ``supersedes`` null and writes ``metadata.supersedes`` (2.8.0, memory/consensus.py:1025); both are
    read, only the first is written.
    """
    return _id(data.get("supersedes")) or _id(_metadata(data).get("supersedes"))


def successor(data: Mapping[str, Any]) -> str | None:
    """The id of the consensus that supersedes this one."""
    return _id(data.get("superseded_by"))


def linked(data: Mapping[str, Any], *, before: str | None, after: str | None) -> dict[str, Any]:
    """The record with these neighbours in its chain, and no others."""
    metadata = {name: value for name, value in _metadata(data).items() if name != "supersedes"}
    return {**data, "supersedes": before, "superseded_by": after, "metadata": metadata}


def consensus_content(data: Mapping[str, Any]) -> dict[str, Any]:
    """What two accounts of one consensus have to agree about: everything but times, dissents and the chain."""
    told = linked(data, before=None, after=None)
    return {name: value for name, value in told.items() if name not in _WRITTEN_LATER}


def dissent_content(data: Mapping[str, Any]) -> dict[str, Any]:
    """What two accounts of one dissent have to agree about: everything but times and answers."""
    return {name: value for name, value in data.items() if name not in _ANSWERS}


def _metadata(data: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata: Any = data.get("metadata")
    return cast("Mapping[str, Any]", metadata) if isinstance(metadata, dict) else {}


def _id(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
