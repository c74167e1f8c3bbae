"""What is learned from a debate: kinds of insights, their ids, and which patterns they show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

__all__ = ["DEFAULT_CATEGORY", "DEFAULT_SEVERITY", "InsightType", "Occurrences", "gather", "insight_ids", "merged"]

DEFAULT_SEVERITY: Final = 0.5
"""How severe a pattern is when nobody said (Aragora 2.8.0, insights/store.py: ``avg_severity`` by default)."""

DEFAULT_CATEGORY: Final = "general"
"""The category of a pattern when nobody said."""


class InsightType(StrEnum):
    """What kind of thing was learned (Aragora 2.8.0, insights/)."""

    CONSENSUS = "consensus"
    DISSENT = "dissent"
    PATTERN = "pattern"
    CONVERGENCE = "convergence"
    AGENT_PERF = "agent_perf"
    FAILURE_MODE = "failure_mode"
    DECISION = "decision"


class Occurrences(NamedTuple):
    """How often a pattern came up, and how severe it was on average (0 to 1)."""

    times: int
    severity: float


def insight_ids(debate_id: str, types: Sequence[str]) -> list[str]:
    """Ids of a debate's insights, in order: the debate, the type, and a number within the type from 0.

    The same debate gives the same ids again. Source: the 1,059 ids of Aragora's real file.
    """
    numbers: Counter[str] = Counter()
    ids: list[str] = []
    for kind in types:
        ids.append(f"{debate_id}_{kind}_{numbers[kind]}")
        numbers[kind] += 1
    return ids


def merged(before: Occurrences, more: Occurrences) -> Occurrences:
    """A pattern after it came up more often: counts add up, the severity is the mean over all of them.

    With one more, ``(average * n + severity) / (n + 1)``. Source: Aragora 2.8.0, insights/store.py.
    """
    times = before.times + more.times
    severity = (before.severity * before.times + more.severity * more.times) / times
    return Occurrences(times, severity)


def gather(patterns: Iterable[tuple[str, str, float]]) -> dict[tuple[str, str], Occurrences]:
    """Each pattern of one debate once, in order of its key; a pattern that is named twice came up twice.

    Args:
        patterns: category, text and severity (0 to 1).

    Returns:
        Occurrences by category and text.
    """
    found: dict[tuple[str, str], Occurrences] = {}
    for category, text, severity in patterns:
        once, key = Occurrences(1, severity), (category, text)
        found[key] = merged(found[key], once) if key in found else once
    return dict(sorted(found.items()))
