"""Which insights were used again, and whether that helped."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.engine.dialects import insert
from aragora_db.errors import ConflictError, NotFoundError
from aragora_db.models import Insight, InsightUsage
from aragora_db.models.base import utcnow
from aragora_db.stores import checks
from aragora_db.stores.rows import check_rows

__all__ = ["Usage", "UsageStats"]


@dataclass(frozen=True)
class UsageStats:
    """How often an insight was used.

    Attributes:
        uses: in how many debates.
        successes: in how many of them it helped.
    """

    uses: int
    successes: int

    @property
    def success_rate(self) -> float | None:
        """Share of the uses that helped, 0 to 1; None before the first use."""
        return self.successes / self.uses if self.uses else None


class Usage:
    """The part of `InsightStore` about uses of insights."""

    session: Session

    def record_usage(
        self, insight_id: str, debate_id: str, *, was_successful: bool, now: datetime | None = None
    ) -> InsightUsage:
        """Record that an insight was used in a debate, and whether it helped; once per insight and debate.

        Args:
            insight_id: the insight.
            debate_id: the debate it was used in.
            was_successful: whether it helped.
            now: when; the clock's time by default.

        Returns:
            The stored row; a repeated call with the same outcome writes nothing.

        Raises:
            NotFoundError: there is no such insight.
            ConflictError: it is recorded with the other outcome.
        """
        checks.name("debate_id", debate_id)
        check_rows(self.session, InsightUsage, [{"debate_id": debate_id, "was_successful": was_successful}])
        if self.session.scalars(sa.select(Insight.id).where(Insight.id == insight_id)).first() is None:
            raise NotFoundError(f"there is no insight {insight_id!r}; record its debate with record_debate first")
        added = self.session.scalars(
            insert(self.session, InsightUsage)
            .values(
                insight_id=insight_id,
                debate_id=debate_id,
                was_successful=was_successful,
                created_at=now or utcnow(),
            )
            .on_conflict_do_nothing()
            .returning(InsightUsage)
        ).one_or_none()
        if added is not None:
            return added
        stored = self.session.scalars(
            sa.select(InsightUsage)
            .where(InsightUsage.insight_id == insight_id, InsightUsage.debate_id == debate_id)
            .execution_options(populate_existing=True)
        ).one()
        if stored.was_successful != was_successful:
            raise ConflictError(
                f"the use of insight {insight_id} in debate {debate_id} is recorded with the other outcome; it is"
                " recorded once, when it is known"
            )
        return stored

    def usage(self, insight_id: str) -> UsageStats:
        """How often an insight was used and helped; zeros for one that never was."""
        helped = sa.func.coalesce(sa.func.sum(sa.case((InsightUsage.was_successful, 1), else_=0)), 0)
        statement = sa.select(sa.func.count(), helped).where(InsightUsage.insight_id == insight_id)
        uses, successes = self.session.execute(statement).one()
        return UsageStats(uses, successes)
