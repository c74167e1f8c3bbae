"""The memories that matter most now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from aragora_db.models import ContinuumMemory, Tier
from aragora_db.sql.best_memories import Wanted, best, best_of_all
from aragora_db.stores import checks
from aragora_db.stores.continuum.base import Part, clock, tiers_of
from aragora_db.stores.paging import check_limit

__all__ = ["Retrieval", "Retrieved"]


class Retrieved(NamedTuple):
    """A memory, and the score that it was found with."""

    memory: ContinuumMemory
    score: float


class Retrieval(Part):
    """The part of `ContinuumStore` that finds by score and by keywords."""

    def retrieve(
        self,
        *,
        tiers: Iterable[Tier | str] | None = None,
        min_importance: float | None = None,
        tenant: str | None = None,
        keywords: Sequence[str] | None = None,
        limit: int = 10,
        now: datetime | None = None,
    ) -> list[Retrieved]:
        """The memories with the highest scores, best first, then by id.

        The score is `aragora_db.rules.retrieval.score`: importance and surprise, faded by age. It is the same, bit for
        bit, on both databases. Two statements, or three, however many memories there are; with keywords one, whose time
        grows with the number of matches.

        Args:
            tiers: only these.
            min_importance: only memories at least this important.
            tenant: only memories whose metadata have this ``tenant_id``.
            keywords: only memories that have any of these words, see `aragora_db.search.keywords.matches`; none at all
                match nothing.
            limit: how many.
            now: when; the clock's time by default.

        Raises:
            InvalidValue: an argument is out of range.
        """
        wanted = Wanted(
            tiers_of(tiers),
            None if min_importance is None else checks.finite("min_importance", min_importance),
            None if tenant is None else checks.key("tenant", tenant),
            check_limit(limit),
            clock(now),
        )
        rows = best(self._session, wanted) if keywords is None else best_of_all(self._session, wanted, keywords)
        return [Retrieved(*row) for row in rows]
