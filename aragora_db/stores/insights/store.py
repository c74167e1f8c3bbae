"""`InsightStore`: what was learned from debates, recorded exactly once, listed, searched and counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from aragora_db.engine.dialects import insert
from aragora_db.errors import ConflictError, NotFoundError
from aragora_db.models import (
    AgentPerformance,
    DebateSummary,
    Insight,
    InsightKeywords,
    InsightUsage,
    PatternCluster,
    WisdomSubmission,
)
from aragora_db.models.base import Base
from aragora_db.search.index import follow
from aragora_db.search.keywords import with_words
from aragora_db.sql import json_array
from aragora_db.sql.monotonic import later_of
from aragora_db.stores import checks
from aragora_db.stores.base import Store
from aragora_db.stores.insights.inputs import (
    DebateRows,
    NewInsight,
    NewPattern,
    NewPerformance,
    NewSummary,
    debate_rows,
)
from aragora_db.stores.paging import DEFAULT_LIMIT, Keyset, Page
from aragora_db.stores.rows import check_rows, spelled
from aragora_db.types import Double

__all__ = ["AgentStats", "InsightStore", "UsageStats"]

_NEWEST = Keyset(Insight.created_at.desc(), Insight.id)
_MOST_CONFIDENT = Keyset(Insight.confidence.desc(), Insight.id)
_BY_ID = Keyset(Insight.id)
_NEWEST_SUMMARIES = Keyset(DebateSummary.created_at.desc(), DebateSummary.debate_id)
_MOST_FREQUENT = Keyset(PatternCluster.occurrence_count.desc(), PatternCluster.id)
_NEWEST_WISDOM = Keyset(WisdomSubmission.created_at.desc(), WisdomSubmission.id.desc())

_FRESH = {"populate_existing": True}
_UPDATED = {"populate_existing": True, "synchronize_session": False}
_NOT_COMPARED: Final = {"created_at"}


@dataclass(frozen=True)
class AgentStats:
    """What an agent contributed over all its debates.

    Attributes:
        agent_name: the agent.
        debates: the number of debates.
        acceptance_rate: share of them in which a proposal of it was accepted, 0 to 1.
        alignment_rate: share of them in which it voted for what was decided, 0 to 1.
        average_contribution: mean contribution score, 0 to 1.
        proposals_made: proposals in all of them.
        critiques_given: critiques it gave in all of them.
        critiques_received: critiques it received in all of them.
    """

    agent_name: str
    debates: int
    acceptance_rate: float
    alignment_rate: float
    average_contribution: float
    proposals_made: int
    critiques_given: int
    critiques_received: int


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


class InsightStore(Store):
    """Store what can be learned from debates; see `Store` for its arguments.

    Every listing raises InvalidValue for a limit out of range and for an ``after`` that is not a token of this listing.
    """

    # Recording a debate

    def record_debate(
        self,
        summary: NewSummary,
        insights: Sequence[NewInsight] = (),
        performances: Sequence[NewPerformance] = (),
        patterns: Sequence[NewPattern] | None = None,
        *,
        created_at: datetime | None = None,
    ) -> DebateSummary:
        """Record what was learned from a debate, exactly once: a statement per table, all or nothing.

        The debate's id decides. A repeated call with the same content writes nothing; Aragora's adds the performances
        and counts the patterns once more. Content is the summary, the insights and the performances, without their
        times. Patterns are not compared: they are merged with those of other debates.

        Args:
            summary: the debate.
            insights: what was learned.
            performances: the contribution of each agent; an agent once.
            patterns: patterns that came up; one that is named twice counts twice. None takes them from the insights of
                type pattern: the title, and ``category`` and ``avg_severity`` of the metadata.
            created_at: the time of every row; None means now.

        Returns:
            The stored summary.

        Raises:
            InvalidValue: an argument is out of range; nothing is written.
            ConflictError: the debate is recorded with other content, or an insight's id belongs to another debate.
        """
        rows = debate_rows(summary, insights, performances, patterns, self._now(created_at, "created_at"))
        for model, values in (
            (DebateSummary, [rows.summary]),
            (Insight, rows.insights),
            (AgentPerformance, rows.performances),
            (PatternCluster, rows.patterns),
        ):
            check_rows(self.session, model, values)
        added = self.session.scalars(
            insert(self.session, DebateSummary).values(**rows.summary).on_conflict_do_nothing().returning(DebateSummary)
        ).one_or_none()
        if added is None:
            return self._recorded(rows)
        self._add_insights(rows.insights)
        if rows.performances:
            self.session.execute(sa.insert(AgentPerformance), rows.performances)
        if rows.patterns:
            self._merge_patterns(added, rows.patterns)
        return added

    def _recorded(self, rows: DebateRows) -> DebateSummary:
        """Return the summary of a debate that was recorded before.

        Raises:
            ConflictError: it was recorded with other content.
        """
        debate_id = rows.summary["debate_id"]
        stored = self.session.scalars(
            sa.select(DebateSummary).where(DebateSummary.debate_id == debate_id), execution_options=_FRESH
        ).one()
        insights = self.session.scalars(sa.select(Insight).where(Insight.debate_id == debate_id))
        performances = self.session.scalars(sa.select(AgentPerformance).where(AgentPerformance.debate_id == debate_id))
        for what, given, found in (
            ("summary", [rows.summary], [stored]),
            ("insights", rows.insights, insights.all()),
            ("performances", rows.performances, performances.all()),
        ):
            if _content(given) != _content([_values(row, given) for row in found]):
                raise ConflictError(
                    f"debate {debate_id} is recorded with other {what}; a debate is recorded once, read it with"
                    " summary(debate_id)"
                )
        return stored

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

    def _merge_patterns(self, debate: DebateSummary, rows: list[dict[str, Any]]) -> None:
        """Add a debate's patterns to the clusters, in key order, so that two transactions cannot deadlock."""
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
                    "debate_ids": json_array.appended_once(before.debate_ids, debate.debate_id),
                    "last_seen": later_of(before.last_seen, debate.created_at),
                    # Imported rows can have NULL here.
                    "first_seen": sa.func.coalesce(before.first_seen, more.first_seen),
                },
            ),
            rows,
        )

    # Insights, summaries and patterns

    def get(self, insight_id: str) -> Insight | None:
        """Return an insight, or None."""
        return self._get(Insight, insight_id)

    def get_many(self, insight_ids: Iterable[str]) -> dict[str, Insight]:
        """Return several insights by id, in the order asked for; those that do not exist are left out.

        Raises:
            InvalidValue: more than 10,000 ids, or one text instead of ids.
        """
        return self._get_many(Insight, "insight_ids", insight_ids)

    def summary(self, debate_id: str) -> DebateSummary | None:
        """Return a debate's summary, or None."""
        return self._get(DebateSummary, debate_id)

    def of_debate(self, debate_id: str, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[Insight]:
        """Return the insights of one debate, by id.

        Args:
            debate_id: the debate.
            limit: rows per page.
            after: ``next`` of the page before.
        """
        statement = sa.select(Insight).where(Insight.debate_id == debate_id)
        return self._page(_BY_ID, statement, limit=limit, after=after)

    def most_confident(
        self,
        *,
        type: str | None = None,  # noqa: A002 -- the column's name
        limit: int = DEFAULT_LIMIT,
        after: str | None = None,
    ) -> Page[Insight]:
        """Return insights by confidence, highest first, then by id.

        Args:
            type: only this type; any text, because imported rows can have types outside `InsightType`. None means all.
            limit: rows per page.
            after: ``next`` of the page before.
        """
        statement = sa.select(Insight)
        if type is not None:
            statement = statement.where(Insight.type == type)
        return self._page(_MOST_CONFIDENT, statement, limit=limit, after=after)

    def recent(self, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[Insight]:
        """Return insights, newest first, then by id.

        Args:
            limit: rows per page.
            after: ``next`` of the page before.
        """
        return self._page(_NEWEST, sa.select(Insight), limit=limit, after=after)

    def search(self, text: str, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[Insight]:
        """Return insights with all of these words in title, description or the names of agents, newest first.

        Case does not count in any script; ``rat*`` as the last word finds words that begin so. Aragora looked for the
        text inside words too, in every row; see ``docs/decisions/0017-keyword-search.md``.

        Args:
            text: the words.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the text is blank.
        """
        words = [checks.name("text", text)]
        statement = with_words(self.session, sa.select(Insight), Insight.id, InsightKeywords, words)
        return self._page(_NEWEST, statement, limit=limit, after=after)

    def summaries(self, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[DebateSummary]:
        """Return summaries of debates, newest first, then by id.

        Args:
            limit: rows per page.
            after: ``next`` of the page before.
        """
        return self._page(_NEWEST_SUMMARIES, sa.select(DebateSummary), limit=limit, after=after)

    def patterns(
        self,
        *,
        category: str | None = None,
        min_occurrences: int = 1,
        limit: int = DEFAULT_LIMIT,
        after: str | None = None,
    ) -> Page[PatternCluster]:
        """Return patterns, most frequent first, then the oldest row first.

        Args:
            category: only this category; None means all.
            min_occurrences: only patterns that came up at least this often.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: ``min_occurrences`` is negative.
        """
        least = checks.count("min_occurrences", min_occurrences)
        statement = sa.select(PatternCluster).where(PatternCluster.occurrence_count >= least)
        if category is not None:
            statement = statement.where(PatternCluster.category == category)
        # An upsert changes them without the knowledge of the session's objects.
        return self._page(_MOST_FREQUENT, statement.execution_options(**_FRESH), limit=limit, after=after)

    # Agents

    def agent_stats(self, agent_name: str) -> AgentStats | None:
        """Return an agent's figures over all its debates, or None if no debate of it is recorded."""
        row = self.session.execute(_agent_stats().where(AgentPerformance.agent_name == agent_name)).one_or_none()
        return None if row is None else AgentStats(*row)

    def ranking(
        self, *, min_debates: int = 1, limit: int = DEFAULT_LIMIT, after: str | None = None
    ) -> Page[AgentStats]:
        """Return agents by average contribution, highest first; then by number of debates, then by name.

        No index serves this: each page reads every performance.

        Args:
            min_debates: leave out agents with fewer debates.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: ``min_debates`` is negative.
        """
        least = checks.count("min_debates", min_debates)
        stats = _agent_stats().having(sa.func.count() >= least).subquery()
        return self._page(
            Keyset(stats.c.average_contribution.desc(), stats.c.debates.desc(), stats.c.agent_name),
            sa.select(stats),
            limit=limit,
            after=after,
            read=lambda row: AgentStats(*row),
            key=lambda each: (each.average_contribution, each.debates, each.agent_name),
        )

    # Uses of insights

    def record_usage(
        self, insight_id: str, debate_id: str, *, was_successful: bool, created_at: datetime | None = None
    ) -> InsightUsage:
        """Record that an insight was used in a debate, and whether it helped; once per insight and debate.

        Args:
            insight_id: the insight.
            debate_id: the debate it was used in.
            was_successful: whether it helped.
            created_at: the time of the use; None means now.

        Returns:
            The stored row; a repeated call with the same outcome writes nothing.

        Raises:
            InvalidValue: an argument is out of range; nothing is written.
            NotFoundError: there is no such insight.
            ConflictError: it is recorded with the other outcome.
        """
        row: dict[str, Any] = {
            "debate_id": checks.name("debate_id", debate_id),
            "was_successful": checks.flag("was_successful", was_successful),
            "created_at": self._now(created_at, "created_at"),
        }
        check_rows(self.session, InsightUsage, [row])
        if self.session.scalars(sa.select(Insight.id).where(Insight.id == insight_id)).first() is None:
            raise NotFoundError(f"there is no insight {insight_id!r}; record its debate with record_debate first")
        added = self.session.scalars(
            insert(self.session, InsightUsage)
            .values(insight_id=insight_id, **row)
            .on_conflict_do_nothing()
            .returning(InsightUsage)
        ).one_or_none()
        if added is not None:
            return added
        stored = self.session.scalars(
            sa.select(InsightUsage).where(InsightUsage.insight_id == insight_id, InsightUsage.debate_id == debate_id),
            execution_options=_FRESH,
        ).one()
        if stored.was_successful != was_successful:
            raise ConflictError(
                f"the use of insight {insight_id} in debate {debate_id} is recorded with the other outcome; it is"
                " recorded once, when it is known"
            )
        return stored

    def usage(self, insight_id: str) -> UsageStats:
        """Return how often an insight was used and helped; zeros if it never was."""
        helped = sa.func.coalesce(sa.func.sum(sa.case((InsightUsage.was_successful, 1), else_=0)), 0)
        statement = sa.select(sa.func.count(), helped).where(InsightUsage.insight_id == insight_id)
        uses, successes = self.session.execute(statement).one()
        return UsageStats(uses, successes)

    # Wisdom: advice that people submit to a loop; each piece is used once

    def submit_wisdom(
        self,
        loop_id: str,
        text: str,
        *,
        submitter_id: str = "anonymous",
        context_tags: Iterable[str] = (),
        created_at: datetime | None = None,
    ) -> WisdomSubmission:
        """Submit advice to a loop. Every call adds a piece.

        Args:
            loop_id: the loop.
            text: the advice.
            submitter_id: the person who gives it.
            context_tags: the subjects of the advice.
            created_at: the time of the submission; None means now.

        Raises:
            InvalidValue: an argument is blank, or a tag is there twice.
        """
        submission = WisdomSubmission(
            loop_id=checks.name("loop_id", loop_id),
            text=checks.name("text", text),
            submitter_id=checks.name("submitter_id", submitter_id),
            context_tags=checks.names("context_tags", context_tags),
            used=False,
            created_at=self._now(created_at, "created_at"),
        )
        self.session.add(submission)
        self.session.flush()
        return submission

    def unused_wisdom(
        self, loop_id: str, *, limit: int = DEFAULT_LIMIT, after: str | None = None
    ) -> Page[WisdomSubmission]:
        """Return a loop's unused advice, newest first.

        Args:
            loop_id: the loop.
            limit: rows per page.
            after: ``next`` of the page before.
        """
        statement = _unused(sa.select(WisdomSubmission), loop_id).execution_options(**_FRESH)
        return self._page(_NEWEST_WISDOM, statement, limit=limit, after=after)

    def take_wisdom(self, loop_id: str) -> WisdomSubmission | None:
        """Take a loop's newest unused advice and mark it used; None if there is none.

        No other caller takes the same piece. On PostgreSQL a piece that another transaction is taking is skipped, so
        callers do not wait for each other; if that transaction rolls back, the next call can take the piece.
        """
        newest = (
            _unused(sa.select(WisdomSubmission.id), loop_id)
            .order_by(WisdomSubmission.created_at.desc(), WisdomSubmission.id.desc())
            .limit(1)
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        statement = sa.update(WisdomSubmission).where(WisdomSubmission.id == newest).values(used=True)
        return self.session.execute(
            statement.returning(WisdomSubmission), execution_options=_UPDATED
        ).scalar_one_or_none()

    def mark_wisdom_used(self, wisdom_id: int) -> bool:
        """Mark a piece of advice used.

        Returns:
            True for the one call that marked it; False if it was used before.

        Raises:
            NotFoundError: there is no such piece.
        """
        statement = (
            sa.update(WisdomSubmission)
            .where(WisdomSubmission.id == wisdom_id, WisdomSubmission.used.is_(False))
            .values(used=True)
            .returning(WisdomSubmission)
        )
        if self.session.execute(statement, execution_options=_UPDATED).scalar_one_or_none() is not None:
            return True
        if self._get(WisdomSubmission, wisdom_id) is None:
            raise NotFoundError(f"there is no wisdom {wisdom_id!r}; submit it with submit_wisdom first")
        return False


def _unused(statement: sa.Select[Any], loop_id: str) -> sa.Select[Any]:
    return statement.where(WisdomSubmission.loop_id == loop_id, WisdomSubmission.used.is_(False))


def _agent_stats() -> Any:
    """Select the attributes of `AgentStats`, a row per agent."""
    rows: Any = AgentPerformance
    statement: Any = sa.select(
        rows.agent_name,
        sa.func.count().label("debates"),
        _rate(rows.proposal_accepted).label("acceptance_rate"),
        _rate(rows.vote_aligned).label("alignment_rate"),
        sa.func.avg(rows.contribution_score, type_=Double()).label("average_contribution"),
        # The sum of bigints is a numeric on PostgreSQL.
        *(
            sa.cast(sa.func.sum(column), sa.BigInteger()).label(column.key)
            for column in (rows.proposals_made, rows.critiques_given, rows.critiques_received)
        ),
    )
    return statement.group_by(rows.agent_name)


def _rate(flag: Any) -> Any:
    return sa.func.avg(sa.case((flag, 1.0), else_=0.0).cast(Double()), type_=Double())


def _values(row: Base, like: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in (like[0] if like else ())}


def _content(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return what is compared of rows that are recorded once, in an order that does not depend on the database."""
    return sorted(spelled({name: row[name] for name in row if name not in _NOT_COMPARED}) for row in rows)
