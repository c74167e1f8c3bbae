"""The continuum as a whole: in order of time, what is protected, and in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from aragora_db.models import ContinuumMemory, Tier
from aragora_db.sql.memory_score import of_tenant
from aragora_db.stores import checks
from aragora_db.stores.continuum.base import FRESH, Part, first
from aragora_db.stores.paging import Keyset, Page
from aragora_db.types import Double

__all__ = ["Listing", "TierStats"]

_NEWEST = Keyset(ContinuumMemory.created_at.desc(), ContinuumMemory.id.desc())
_OLDEST = Keyset(ContinuumMemory.created_at, ContinuumMemory.id)
_PROTECTED = Keyset(ContinuumMemory.updated_at.desc(), ContinuumMemory.id)


@dataclass(frozen=True)
class TierStats:
    """A tier in numbers; averages are None when it is empty.

    Attributes:
        memories: how many.
        red_lined: of these.
        average_importance: 0 to 1.
        average_surprise: 0 to 1.
        average_consolidation: 0 to 1.
    """

    memories: int = 0
    red_lined: int = 0
    average_importance: float | None = None
    average_surprise: float | None = None
    average_consolidation: float | None = None


class Listing(Part):
    """The part of `ContinuumStore` that looks at all memories."""

    def timeline(
        self,
        *,
        since: datetime | None = None,
        before: datetime | None = None,
        tenant: str | None = None,
        oldest_first: bool = False,
        limit: int = 100,
        after: str | None = None,
    ) -> Page[ContinuumMemory]:
        """Memories in the order in which they were made, newest first; then by id.

        Args:
            since: only those made then or later.
            before: only those made earlier.
            tenant: only memories whose metadata have this ``tenant_id``.
            oldest_first: the other way round.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: an argument is out of range, or ``after`` is no token of this listing.
        """
        statement = sa.select(ContinuumMemory)
        if since is not None:
            statement = statement.where(ContinuumMemory.created_at >= checks.instant("since", since))
        if before is not None:
            statement = statement.where(ContinuumMemory.created_at < checks.instant("before", before))
        if tenant is not None:
            statement = statement.where(of_tenant(checks.key("tenant", tenant)))
        return (_OLDEST if oldest_first else _NEWEST).page(
            self._session,
            statement.execution_options(**FRESH),
            limit=limit,
            after=after,
            read=first,
            key=lambda memory: (memory.created_at, memory.id),
        )

    def red_lined(self, *, limit: int = 100, after: str | None = None) -> Page[ContinuumMemory]:
        """Protected memories, the last updated first.

        Args:
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or ``after`` is no token of this listing.
        """
        return _PROTECTED.page(
            self._session,
            sa.select(ContinuumMemory).where(ContinuumMemory.red_line).execution_options(**FRESH),
            limit=limit,
            after=after,
            read=first,
            key=lambda memory: (memory.updated_at, memory.id),
        )

    def stats(self, *, tenant: str | None = None) -> dict[Tier, TierStats]:
        """Every tier in numbers, in one statement that reads all memories.

        Args:
            tenant: only of this one.
        """
        memory = ContinuumMemory

        def average(column: Any) -> Any:
            return sa.func.avg(column, type_=Double())

        statement: Any = sa.select(
            memory.tier,
            sa.func.count(),
            sa.func.count(sa.case((memory.red_line, 1))),
            average(memory.importance),
            average(memory.surprise_score),
            average(memory.consolidation_score),
        ).group_by(memory.tier)
        if tenant is not None:
            statement = statement.where(of_tenant(checks.key("tenant", tenant)))
        found = {tier: TierStats(*numbers) for tier, *numbers in self._session.execute(statement)}
        return {tier: found.get(tier, TierStats()) for tier in Tier}
