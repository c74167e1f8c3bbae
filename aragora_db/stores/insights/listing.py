"""Insights, summaries and patterns, found and listed."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.models import DebateSummary, Insight, PatternCluster
from aragora_db.stores import checks
from aragora_db.stores.paging import Keyset, Page

__all__ = ["NEWEST", "Listing"]

NEWEST = Keyset(Insight.created_at.desc(), Insight.id)
_SUREST = Keyset(Insight.confidence.desc(), Insight.id)
_BY_ID = Keyset(Insight.id)
_SUMMARIES = Keyset(DebateSummary.created_at.desc(), DebateSummary.debate_id)
_OFTENEST = Keyset(PatternCluster.occurrence_count.desc(), PatternCluster.id)


class Listing:
    """The part of `InsightStore` that lists. Every listing raises InvalidValue for a limit or token it cannot use."""

    session: Session

    def insight(self, insight_id: str) -> Insight | None:
        """An insight by its id, or None."""
        return self.session.get(Insight, insight_id, populate_existing=True)

    def summary(self, debate_id: str) -> DebateSummary | None:
        """A debate's summary, or None."""
        return self.session.get(DebateSummary, debate_id, populate_existing=True)

    def of_debate(self, debate_id: str, *, limit: int = 100, after: str | None = None) -> Page[Insight]:
        """The insights of one debate, by id.

        Args:
            debate_id: the debate.
            limit: rows per page.
            after: ``next`` of the page before.
        """
        statement = sa.select(Insight).where(Insight.debate_id == debate_id)
        return _BY_ID.page(self.session, statement, limit=limit, after=after)

    def surest(self, type: str | None = None, *, limit: int = 100, after: str | None = None) -> Page[Insight]:  # noqa: A002 -- the column's name
        """Insights, surest first, then by id.

        Args:
            type: only these. Any text: old rows can have types that nobody writes any more.
            limit: rows per page.
            after: ``next`` of the page before.
        """
        statement = sa.select(Insight)
        if type is not None:
            statement = statement.where(Insight.type == type)
        return _SUREST.page(
            self.session,
            statement,
            limit=limit,
            after=after,
        )

    def recent(self, *, limit: int = 100, after: str | None = None) -> Page[Insight]:
        """Insights, newest first, then by id.

        Args:
            limit: rows per page.
            after: ``next`` of the page before.
        """
        return NEWEST.page(self.session, sa.select(Insight), limit=limit, after=after)

    def summaries(self, *, limit: int = 100, after: str | None = None) -> Page[DebateSummary]:
        """Summaries of debates, newest first, then by id.

        Args:
            limit: rows per page.
            after: ``next`` of the page before.
        """
        return _SUMMARIES.page(
            self.session,
            sa.select(DebateSummary),
            limit=limit,
            after=after,
        )

    def patterns(
        self,
        category: str | None = None,
        *,
        min_occurrences: int = 1,
        limit: int = 100,
        after: str | None = None,
    ) -> Page[PatternCluster]:
        """Patterns, most frequent first, then oldest row first.

        Args:
            category: only these.
            min_occurrences: only patterns that came up at least this often.
            limit: rows per page.
            after: ``next`` of the page before.
        """
        least = checks.count("min_occurrences", min_occurrences)
        statement = sa.select(PatternCluster).where(PatternCluster.occurrence_count >= least)
        if category is not None:
            statement = statement.where(PatternCluster.category == category)
        return _OFTENEST.page(
            self.session,
            # They are changed by an upsert, which does not know the session's objects.
            statement.execution_options(populate_existing=True),
            limit=limit,
            after=after,
        )
