"""What can be learned from debates: insights, summaries, performance, patterns and submitted wisdom."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from aragora_db.models.base import Base, Count, CreatedAt, Flag, SerialId, index, key, references
from aragora_db.types import Key
from aragora_db.types.ddl import keyword_index, newest_first

__all__ = [
    "AgentPerformance",
    "DebateSummary",
    "Insight",
    "InsightKeywords",
    "InsightUsage",
    "PatternCluster",
    "WisdomSubmission",
]


class PatternText(Key):
    """The text of a pattern, unique within its category: shares an index row with one `Key`."""

    cache_ok = True
    max_bytes = 1600


class Insight(Base):
    """One thing learned from a debate. Types: consensus, dissent, pattern, convergence, agent_perf, ..."""

    __tablename__ = "insights"

    id: Mapped[key] = mapped_column(primary_key=True)
    type: Mapped[key]
    title: Mapped[str]
    description: Mapped[str | None]
    confidence: Mapped[float] = mapped_column(default=0.5, server_default=sa.text("0.5"))
    debate_id: Mapped[key]
    agents_involved: Mapped[list[Any] | None]
    evidence: Mapped[list[Any] | None]
    created_at: Mapped[CreatedAt]
    metadata_: Mapped[dict[str, Any] | None] = mapped_column("metadata")


index(Insight, "debate", "insights of one debate", Insight.debate_id)
index(
    Insight,
    "type_confidence",
    "insights of one type, surest first",
    Insight.type,
    Insight.confidence.desc(),
    Insight.id,
)
index(Insight, "confidence", "insights, surest first", Insight.confidence.desc(), Insight.id)
index(Insight, "created_at", "recent insights", Insight.created_at.desc(), Insight.id)


class InsightKeywords(Base):
    """The words of an insight's title, description and agents, folded; `aragora_db.search.index` writes them."""

    __tablename__ = "insight_keywords"

    id: Mapped[SerialId]
    owner_id: Mapped[key] = references("insights.id", ondelete="CASCADE", unique=True)
    words: Mapped[str]


keyword_index(Base.metadata.tables["insight_keywords"])


class DebateSummary(Base):
    """A debate in one row: did it reach consensus, how long did it take (seconds), what to keep from it."""

    __tablename__ = "debate_summaries"

    debate_id: Mapped[key] = mapped_column(primary_key=True)
    task: Mapped[str | None]
    consensus_reached: Mapped[bool | None]
    duration_seconds: Mapped[float | None]
    total_insights: Mapped[int | None]
    key_takeaway: Mapped[str | None]
    agent_performances: Mapped[list[Any] | None]
    created_at: Mapped[CreatedAt]


index(DebateSummary, "created_at", "recent summaries", DebateSummary.created_at.desc(), DebateSummary.debate_id)


class AgentPerformance(Base):
    """What one agent contributed to one debate."""

    __tablename__ = "agent_performance_history"

    id: Mapped[SerialId]
    agent_name: Mapped[key]
    debate_id: Mapped[key] = references("debate_summaries.debate_id", ondelete="CASCADE")
    proposals_made: Mapped[Count]
    critiques_given: Mapped[Count]
    critiques_received: Mapped[Count]
    proposal_accepted: Mapped[Flag]
    vote_aligned: Mapped[Flag]
    avg_critique_severity: Mapped[float] = mapped_column(default=0.0, server_default=sa.text("0.0"))
    contribution_score: Mapped[float] = mapped_column(default=0.5, server_default=sa.text("0.5"))
    created_at: Mapped[CreatedAt]


index(
    AgentPerformance,
    "agent_debate",
    "ranking of agents; an agent's debates",
    AgentPerformance.agent_name,
    AgentPerformance.debate_id,
)
index(AgentPerformance, "debate", "performances in one debate", AgentPerformance.debate_id)


class PatternCluster(Base):
    """A pattern of one category that came up again and again."""

    __tablename__ = "pattern_clusters"

    id: Mapped[SerialId]
    category: Mapped[key]
    pattern_text: Mapped[str] = mapped_column(PatternText)
    occurrence_count: Mapped[int] = mapped_column(default=1, server_default=sa.text("1"))
    avg_severity: Mapped[float] = mapped_column(default=0.5, server_default=sa.text("0.5"))
    debate_ids: Mapped[list[Any] | None]
    first_seen: Mapped[datetime | None]
    last_seen: Mapped[datetime | None]

    __table_args__ = (sa.UniqueConstraint("category", "pattern_text"),)


index(
    PatternCluster,
    "occurrence",
    "patterns, most frequent first",
    PatternCluster.occurrence_count.desc(),
    PatternCluster.id,
)
index(
    PatternCluster,
    "category",
    "patterns of one category, most frequent first",
    PatternCluster.category,
    PatternCluster.occurrence_count.desc(),
    PatternCluster.id,
)
index(PatternCluster, "last_seen", "patterns seen last", newest_first(PatternCluster.last_seen), PatternCluster.id)


class WisdomSubmission(Base):
    """A piece of advice submitted to a loop, and whether it was used yet."""

    __tablename__ = "wisdom_submissions"

    id: Mapped[SerialId]
    loop_id: Mapped[key]
    text: Mapped[str]
    submitter_id: Mapped[key] = mapped_column(default="anonymous", server_default=sa.text("'anonymous'"))
    context_tags: Mapped[list[Any] | None]
    used: Mapped[Flag]
    created_at: Mapped[CreatedAt]


index(
    WisdomSubmission,
    "loop",
    "a loop's unused submissions, newest first",
    WisdomSubmission.loop_id,
    WisdomSubmission.used,
    WisdomSubmission.created_at.desc(),
    WisdomSubmission.id.desc(),
)


class InsightUsage(Base):
    """An insight that was applied to a debate, and whether that helped."""

    __tablename__ = "insight_usage"

    id: Mapped[SerialId]
    insight_id: Mapped[key] = references("insights.id", ondelete="CASCADE")
    debate_id: Mapped[key]
    was_successful: Mapped[Flag]
    created_at: Mapped[CreatedAt]

    __table_args__ = (sa.UniqueConstraint("insight_id", "debate_id"),)


index(InsightUsage, "debate", "insights used in one debate", InsightUsage.debate_id)
