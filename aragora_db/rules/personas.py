"""How an agent's expertise follows from what it did, and which traits that shows. An expertise lies between 0 and 1."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

__all__ = [
    "CONSERVATIVE_DOMAINS",
    "CONSERVATIVE_RECORDS",
    "DECAY",
    "INITIAL_EXPERTISE",
    "NEWS_SHARE",
    "PRAGMATIC_RATE",
    "THOROUGH_DOMAINS",
    "WINDOW",
    "DomainRecord",
    "Record",
    "blended",
    "inferred_traits",
    "numbers",
    "ranked",
    "recent_score",
]

# Aragora 2.8.0, agents/personas/core.py:287-329.
WINDOW: Final = 50
"""How many of the newest actions in a domain count."""

DECAY: Final = 0.95
"""What an action weighs against the next newer one."""

NEWS_SHARE: Final = 0.7
"""How much of an expertise is the recent score; the rest is the expertise before."""

INITIAL_EXPERTISE: Final = 0.5
"""The expertise in a domain in which nothing was done yet."""

# Aragora 2.8.0, agents/personas/core.py (infer_traits).
THOROUGH_DOMAINS: Final = 5
PRAGMATIC_RATE: Final = 0.7
CONSERVATIVE_DOMAINS: Final = 2
CONSERVATIVE_RECORDS: Final = 10


class Record(NamedTuple):
    """What an agent did so far.

    Attributes:
        actions: how many actions are recorded.
        judged: how many of them are known to have succeeded or failed.
        successes: how many succeeded.
        domains: in how many different domains.
    """

    actions: int
    judged: int
    successes: int
    domains: int


@dataclass(frozen=True)
class DomainRecord:
    """What an agent did in one domain.

    Attributes:
        domain: the domain.
        actions: how many actions are recorded.
        judged: how many of them are known to have succeeded or failed.
        successes: how many succeeded.
    """

    domain: str
    actions: int
    judged: int
    successes: int

    @property
    def rate(self) -> float | None:
        """Share of the judged actions that succeeded, 0 to 1; None when none was judged."""
        return self.successes / self.judged if self.judged else None


def recent_score(successes: Sequence[bool]) -> float:
    """The share of successes, where each action weighs 0.95 of the next newer one: 0 to 1.

    ``sum(0.95 ** i * success) / sum(0.95 ** i)`` over the newest 50. Source: Aragora 2.8.0,
    agents/personas/core.py:287-329.

    Args:
        successes: newest first; those beyond the fiftieth do not count.

    Returns:
        The score; `INITIAL_EXPERTISE` when nothing was done.
    """
    weights = [DECAY**place for place in range(min(WINDOW, len(successes)))]
    if not weights:
        return INITIAL_EXPERTISE
    return sum(weight for weight, success in zip(weights, successes, strict=False) if success) / sum(weights)


def blended(score: float, before: float) -> float:
    """The expertise after an action: ``0.7 * score + 0.3 * before``, within 0 and 1.

    Source: Aragora 2.8.0, agents/personas/core.py:287-329.

    Args:
        score: the `recent_score`.
        before: the expertise so far; `INITIAL_EXPERTISE` for a new domain.
    """
    return min(1.0, max(0.0, NEWS_SHARE * score + (1.0 - NEWS_SHARE) * before))


def numbers(expertise: Any) -> dict[str, float]:
    """The expertise by domain, of whatever JSON value an old row holds: what is no finite number is left out."""
    if not isinstance(expertise, Mapping):
        return {}
    found = cast("Mapping[str, Any]", expertise)
    return {
        domain: float(value)
        for domain, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def ranked(expertise: Any) -> list[tuple[str, float]]:
    """Domains and expertise, best first, then by domain."""
    return sorted(numbers(expertise).items(), key=lambda each: (-each[1], each[0]))


def inferred_traits(record: Record) -> list[str]:
    """The traits that an agent's record shows, in the order thorough, pragmatic, conservative.

    Five domains or more: thorough. More than 0.7 of the actions succeeded: pragmatic. At most two domains with ten
    actions or more: conservative.

    Source: Aragora 2.8.0, agents/personas/core.py (infer_traits). One thing is mended: it counts an action that nobody
    judged as a failure; here the rate is over judged actions.
    """
    traits: list[str] = []
    if record.domains >= THOROUGH_DOMAINS:
        traits.append("thorough")
    if record.judged and record.successes / record.judged > PRAGMATIC_RATE:
        traits.append("pragmatic")
    if record.domains <= CONSERVATIVE_DOMAINS and record.actions >= CONSERVATIVE_RECORDS:
        traits.append("conservative")
    return traits
