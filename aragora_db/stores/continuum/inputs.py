"""What `ContinuumStore` takes: new memories, tiers and vectors, checked before anything is written."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aragora_db.errors import InvalidValue
from aragora_db.models import Tier
from aragora_db.search.nearest_vectors import norm
from aragora_db.stores import checks
from aragora_db.types.vector import MAX_DIMENSIONS, Floats

__all__ = ["NewMemory", "checked_tiers", "checked_vector"]

_SHORTEST, _LONGEST = 1e-15, 1e15  # beyond these norms float32 cannot hold the squares, and pgvector would fail


@dataclass(frozen=True)
class NewMemory:
    """A memory to add.

    Attributes:
        id: its key.
        content: its text.
        tier: where it begins.
        importance: 0 to 1.
        metadata: JSON values by name; searches filter by its ``tenant_id``.
        surprise_score: 0 to 1; None is 0 for a new memory, and keeps the score of one that exists.
        expires_at: when it expires at the latest, whatever its tier says; None leaves that to the tier.
    """

    id: str
    content: str
    tier: Tier | str = Tier.SLOW
    importance: float = 0.5
    metadata: Mapping[str, Any] | None = field(default=None, repr=False)
    surprise_score: float | None = None
    expires_at: datetime | None = None

    def row(self, now: datetime) -> dict[str, Any]:
        """Return the checked values by attribute of `ContinuumMemory`.

        Raises:
            InvalidValue: a value is out of range.
        """
        return {
            "id": checks.key("id", self.id),
            "content": checks.name("content", self.content),
            "tier": checks.member("tier", Tier, self.tier),
            "importance": checks.share("importance", self.importance),
            "surprise_score": checks.share(
                "surprise_score", 0.0 if self.surprise_score is None else self.surprise_score
            ),
            "metadata_": dict(self.metadata or {}),
            "expires_at": None if self.expires_at is None else checks.instant("expires_at", self.expires_at),
            "update_count": 1,
            "created_at": now,
            "updated_at": now,
        }


def checked_tiers(tiers: Iterable[Tier | str] | None) -> tuple[Tier, ...]:
    """Return the tiers given, each once, fastest first; all of them for None.

    Raises:
        InvalidValue: there is no such tier, or the list is empty.
    """
    if tiers is None:
        return tuple(Tier)
    given = [tiers] if isinstance(tiers, str) else list(tiers)
    wanted = {checks.member("tiers", Tier, each) for each in given}
    if not wanted:
        raise InvalidValue("tiers is empty; leave it out for all of them")
    return tuple(tier for tier in Tier if tier in wanted)


def checked_vector(embedding: Iterable[float]) -> Floats:
    """Return a vector, rounded to float32.

    Raises:
        InvalidValue: it has no direction, too many numbers, or one that float32 cannot hold.
    """
    try:
        vector = array("f", iter(embedding))
    except (TypeError, ValueError, OverflowError):
        raise InvalidValue("embedding must be a sequence of numbers that float32 can hold") from None
    if not 1 <= len(vector) <= MAX_DIMENSIONS or not all(map(math.isfinite, vector)):
        raise InvalidValue(f"embedding has {len(vector)} numbers; it must be 1 to {MAX_DIMENSIONS} finite ones")
    if not _SHORTEST <= norm(vector) <= _LONGEST:
        raise InvalidValue("embedding is all zeros, or nearly so, or far too long; scale it to a length about 1")
    return vector
