"""What `ContinuumStore` returns beside rows of its tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from aragora_db.models import ContinuumMemory

__all__ = ["RetrievedMemory", "TierStats"]


class RetrievedMemory(NamedTuple):
    """A memory, and the score that ranked it: of `retrieve`, `similar` (a cosine) or `hybrid` (fused ranks)."""

    memory: ContinuumMemory
    score: float


@dataclass(frozen=True)
class TierStats:
    """Counts and averages of one tier; the averages are None if it is empty.

    Attributes:
        memories: how many.
        red_lined: how many of them are red-lined.
        average_importance: 0 to 1.
        average_surprise: 0 to 1.
        average_consolidation: 0 to 1.
    """

    memories: int = 0
    red_lined: int = 0
    average_importance: float | None = None
    average_surprise: float | None = None
    average_consolidation: float | None = None
