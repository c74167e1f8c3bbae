"""What `InsightStore.record_debate` takes, and the checked rows that it makes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aragora_db.rules.insights import DEFAULT_CATEGORY, DEFAULT_SEVERITY, InsightType, gather, insight_ids
from aragora_db.stores import checks

__all__ = ["DebateRows", "NewInsight", "NewPattern", "NewPerformance", "NewSummary", "debate_rows"]


@dataclass(frozen=True)
class NewSummary:
    """A debate in one row.

    Attributes:
        debate_id: the debate.
        task: what it was about.
        consensus_reached: whether it ended in a consensus; None when nobody can tell.
        duration_seconds: how long it took.
        key_takeaway: what to keep from it.
    """

    debate_id: str
    task: str | None = None
    consensus_reached: bool | None = None
    duration_seconds: float | None = None
    key_takeaway: str | None = None


@dataclass(frozen=True)
class NewInsight:
    """One thing learned.

    Attributes:
        type: its kind, an `InsightType` or the text of one.
        title: in a few words.
        description: in more words.
        confidence: 0 to 1.
        agents_involved: their names.
        evidence: JSON values that support it.
        metadata: JSON values that tell more; for patterns ``category`` and ``avg_severity``.
        id: None makes one of debate, type and place, as Aragora does.
    """

    type: str
    title: str
    description: str | None = None
    confidence: float = 0.5
    agents_involved: Sequence[str] = ()
    evidence: Sequence[Any] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    id: str | None = None


@dataclass(frozen=True)
class NewPerformance:
    """What one agent contributed.

    Attributes:
        agent_name: the agent.
        proposals_made: how many proposals it made.
        critiques_given: how many critiques it gave.
        critiques_received: how many it received.
        proposal_accepted: whether a proposal of it was accepted.
        vote_aligned: whether it voted for what was decided.
        avg_critique_severity: of the critiques it received, 0 to 1.
        contribution_score: 0 to 1.
    """

    agent_name: str
    proposals_made: int = 0
    critiques_given: int = 0
    critiques_received: int = 0
    proposal_accepted: bool = False
    vote_aligned: bool = False
    avg_critique_severity: float = 0.0
    contribution_score: float = 0.5


@dataclass(frozen=True)
class NewPattern:
    """A pattern that came up once.

    Attributes:
        text: the pattern.
        category: what it belongs to.
        severity: 0 to 1.
    """

    text: str
    category: str = DEFAULT_CATEGORY
    severity: float = DEFAULT_SEVERITY


@dataclass(frozen=True)
class DebateRows:
    """The checked rows of one debate, as values by attribute.

    Attributes:
        summary: the row of `DebateSummary`.
        insights: rows of `Insight`, by id.
        performances: rows of `AgentPerformance`.
        patterns: rows of `PatternCluster`, by category and text.
    """

    summary: dict[str, Any]
    insights: list[dict[str, Any]]
    performances: list[dict[str, Any]]
    patterns: list[dict[str, Any]]


def debate_rows(
    summary: NewSummary,
    insights: Sequence[NewInsight],
    performances: Sequence[NewPerformance],
    patterns: Sequence[NewPattern] | None,
    created_at: datetime,
) -> DebateRows:
    """Check what was learned from a debate and return its rows.

    Args:
        summary: the debate.
        insights: what was learned.
        performances: the contribution of each agent.
        patterns: the patterns that came up; None takes them from the insights of type pattern, as Aragora does.
        created_at: the time of every row.

    Raises:
        InvalidValue: an argument is out of range.
    """
    debate_id = checks.name("debate_id", summary.debate_id)
    seconds = summary.duration_seconds
    checks.names("performances", [performance.agent_name for performance in performances])
    insight_rows = _insights(debate_id, insights, created_at)
    return DebateRows(
        summary={
            "debate_id": debate_id,
            "task": summary.task,
            "consensus_reached": summary.consensus_reached,
            "duration_seconds": None if seconds is None else checks.finite("duration_seconds", seconds),
            "total_insights": len(insight_rows),
            "key_takeaway": summary.key_takeaway,
            "agent_performances": [_in_summary(performance) for performance in performances],
            "created_at": created_at,
        },
        insights=insight_rows,
        performances=[_performance(each, debate_id, created_at) for each in performances],
        patterns=_patterns(
            debate_id,
            _shown(insights) if patterns is None else [_occurrence(pattern) for pattern in patterns],
            created_at,
        ),
    )


def _insights(debate_id: str, insights: Sequence[NewInsight], created_at: datetime) -> list[dict[str, Any]]:
    types = [checks.member("type", InsightType, insight.type) for insight in insights]
    ids = [
        made if insight.id is None else insight.id
        for insight, made in zip(insights, insight_ids(debate_id, types), strict=True)
    ]
    rows: list[dict[str, Any]] = [
        {
            "id": id_,
            "type": str(type_),
            "title": checks.name("title", insight.title),
            "description": insight.description,
            "confidence": checks.share("confidence", insight.confidence),
            "debate_id": debate_id,
            "agents_involved": checks.names("agents_involved", insight.agents_involved),
            "evidence": list(insight.evidence),
            "created_at": created_at,
            "metadata_": dict(insight.metadata),
        }
        for insight, type_, id_ in zip(insights, types, checks.names("insights", ids), strict=True)
    ]
    return sorted(rows, key=lambda row: str(row["id"]))


def _performance(performance: NewPerformance, debate_id: str, created_at: datetime) -> dict[str, Any]:
    counters = ("proposals_made", "critiques_given", "critiques_received")
    return {
        "agent_name": performance.agent_name,
        "debate_id": debate_id,
        **{name: checks.count(name, getattr(performance, name)) for name in counters},
        "proposal_accepted": performance.proposal_accepted,
        "vote_aligned": performance.vote_aligned,
        "avg_critique_severity": checks.share("avg_critique_severity", performance.avg_critique_severity),
        "contribution_score": checks.share("contribution_score", performance.contribution_score),
        "created_at": created_at,
    }


def _in_summary(performance: NewPerformance) -> dict[str, Any]:
    """Return a performance as Aragora writes it into the summary."""
    return {
        "agent": performance.agent_name,
        "proposals": performance.proposals_made,
        "accepted": performance.proposal_accepted,
        "score": performance.contribution_score,
    }


def _occurrence(pattern: NewPattern) -> tuple[str, str, float]:
    return (
        checks.name("category", pattern.category),
        checks.name("text", pattern.text),
        checks.share("severity", pattern.severity),
    )


def _shown(insights: Sequence[NewInsight]) -> list[tuple[str, str, float]]:
    """Return category, text and severity of the patterns that the insights of type pattern tell of."""
    return [
        (
            checks.name("metadata['category']", insight.metadata.get("category", DEFAULT_CATEGORY)),
            insight.title,
            checks.share("metadata['avg_severity']", insight.metadata.get("avg_severity", DEFAULT_SEVERITY)),
        )
        for insight in insights
        if insight.type == InsightType.PATTERN
    ]


def _patterns(debate_id: str, shown: Iterable[tuple[str, str, float]], created_at: datetime) -> list[dict[str, Any]]:
    return [
        {
            "category": category,
            "pattern_text": text,
            "occurrence_count": times,
            "avg_severity": severity,
            "debate_ids": [debate_id],
            "first_seen": created_at,
            "last_seen": created_at,
        }
        for (category, text), (times, severity) in gather(shown).items()
    ]
