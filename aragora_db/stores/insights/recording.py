"""A debate's insights, recorded exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.engine.dialects import insert
from aragora_db.errors import ConflictError
from aragora_db.models import AgentPerformance, DebateSummary, Insight, PatternCluster
from aragora_db.models.base import Base, utcnow
from aragora_db.search.index import follow
from aragora_db.sql import json_array
from aragora_db.stores.insights.news import NewInsight, NewPattern, NewPerformance, News, NewSummary
from aragora_db.stores.rows import check_rows, spelled
from aragora_db.types import Double

__all__ = ["Recording"]

_NO_CONTENT: Final = {"created_at"}


class Recording:
    """The part of `InsightStore` that records debates."""

    session: Session

    def record_debate(
        self,
        summary: NewSummary,
        insights: Sequence[NewInsight] = (),
        performances: Sequence[NewPerformance] = (),
        patterns: Sequence[NewPattern] | None = None,
        *,
        now: datetime | None = None,
    ) -> DebateSummary:
        """Record what was learned from a debate, exactly once: a statement per table, all or nothing.

        The debate's id decides. A repeated call with the same content writes nothing; Aragora's adds the performances
        and counts the patterns once more. Content is the summary, the insights and the performances, without their
        times. Patterns are not compared: they are merged with those of other debates.

        Args:
            summary: the debate.
            insights: what was learned.
            performances: who contributed what; an agent once.
            patterns: patterns that came up; one that is named twice counts twice. None takes them from the insights of
                type pattern: the title, and ``category`` and ``avg_severity`` of the metadata.
            now: the time of every row; the clock's by default.

        Returns:
            The stored summary.

        Raises:
            InvalidValue: an argument is out of range; nothing is written.
            ConflictError: the debate is recorded with other content, or an insight's id belongs to another debate.
        """
        news = News(summary, insights, performances, patterns, now or utcnow())
        for model, rows in (
            (DebateSummary, [news.summary]),
            (Insight, news.insights),
            (AgentPerformance, news.performances),
            (PatternCluster, news.patterns),
        ):
            check_rows(self.session, model, rows)
        added = self.session.scalars(
            insert(self.session, DebateSummary).values(**news.summary).on_conflict_do_nothing().returning(DebateSummary)
        ).one_or_none()
        if added is None:
            return self._stored(news)
        self._add_insights(news.insights)
        if news.performances:
            self.session.execute(sa.insert(AgentPerformance), news.performances)
        if news.patterns:
            self._merge_patterns(summary.debate_id, news.patterns)
        return added

    def _add_insights(self, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        statement = insert(self.session, Insight).on_conflict_do_nothing().returning(Insight.id)
        added = set(self.session.scalars(statement, rows))
        taken = sorted({row["id"] for row in rows} - added)
        if taken:
            raise ConflictError(f"insight {taken[0]} is recorded for another debate; give this one an id of its own")
        texts = {row["id"]: (row["title"], row["description"], row["agents_involved"]) for row in rows}
        follow(self.session, Insight, texts, new=True)

    def _merge_patterns(self, debate_id: str, rows: list[dict[str, Any]]) -> None:
        """Add to the clusters what is new, in order of their keys: two transactions do not wait for each other."""
        statement = insert(self.session, PatternCluster)
        more, before = statement.excluded, PatternCluster
        count = before.occurrence_count + more.occurrence_count
        weighed = before.avg_severity * sa.cast(before.occurrence_count, Double())
        added = more.avg_severity * sa.cast(more.occurrence_count, Double())
        self.session.execute(
            statement.on_conflict_do_update(
                index_elements=[before.category, before.pattern_text],
                set_={
                    "occurrence_count": count,
                    "avg_severity": (weighed + added) / sa.cast(count, Double()),
                    "debate_ids": json_array.appended_once(before.debate_ids, debate_id),
                    # Clocks differ; a NULL, which old rows have, is no time.
                    "last_seen": _later(before.last_seen, more.last_seen),
                    "first_seen": sa.func.coalesce(before.first_seen, more.first_seen),
                },
            ),
            rows,
        )

    def _stored(self, news: News) -> DebateSummary:
        debate_id = news.summary["debate_id"]
        stored = self.session.scalars(
            sa.select(DebateSummary)
            .where(DebateSummary.debate_id == debate_id)
            .execution_options(populate_existing=True)
        ).one()
        insights = self.session.scalars(sa.select(Insight).where(Insight.debate_id == debate_id))
        performances = self.session.scalars(sa.select(AgentPerformance).where(AgentPerformance.debate_id == debate_id))
        for what, rows, found in (
            ("summary", [news.summary], [stored]),
            ("insights", news.insights, insights.all()),
            ("performances", news.performances, performances.all()),
        ):
            if _content(rows) != _content([_values(row, rows) for row in found]):
                raise ConflictError(
                    f"debate {debate_id} is recorded with other {what}; a debate is recorded once, read it with"
                    " summary(debate_id)"
                )
        return stored


def _later(one: Any, other: Any) -> Any:
    return sa.case((one > other, one), else_=other)


def _values(row: Base, like: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in (like[0] if like else ())}


def _content(rows: Sequence[dict[str, Any]]) -> list[str]:
    return sorted(spelled({name: row[name] for name in row if name not in _NO_CONTENT}) for row in rows)
