"""What is learned from debates. A mistake here counts a lesson twice, or loses it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.errors import ConflictError, InvalidValue
from aragora_db.models import AgentPerformance, Insight, InsightKeywords, PatternCluster
from aragora_db.search import index
from aragora_db.stores import InsightStore
from aragora_db.stores.insights import NewInsight, NewPattern, NewPerformance, NewSummary
from aragora_db.testing.engines import EngineDatabase

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

SUMMARY = NewSummary("d1", "Harden a cache", consensus_reached=True, duration_seconds=12.5, key_takeaway="Use a lock")
INSIGHTS = (
    NewInsight("consensus", "They agree", "on locks", 0.9, ["claude", "grok"], ["proof", {"n": 1.0}]),
    NewInsight("pattern", "races", metadata={"category": "security", "avg_severity": 0.2}),
    NewInsight("pattern", "retries", metadata={"category": "security", "avg_severity": 0.75}),
)
PERFORMANCES = (
    NewPerformance("grok", 1, 2, 3, proposal_accepted=False, contribution_score=0.25),
    NewPerformance("claude", 4, proposal_accepted=True, vote_aligned=True, contribution_score=1.0),
)


def store(work: Callable[[InsightStore], Any]) -> Callable[[Session], Any]:
    """A unit of work over a store."""
    return lambda session: work(InsightStore(session))


def counts(session: Session) -> list[int]:
    """How many rows there are."""
    return [session.scalar(sa.select(sa.func.count()).select_from(m)) for m in (Insight, AgentPerformance)]


def test_a_debate_is_recorded_whole(database: EngineDatabase):
    """Every row of a debate, as Aragora would have written it."""
    database.run(store(lambda s: s.record_debate(SUMMARY, INSIGHTS, PERFORMANCES, created_at=NOON)))
    summary = database.run(store(lambda s: s.summary("d1")))
    assert (summary.task, summary.consensus_reached, summary.duration_seconds) == ("Harden a cache", True, 12.5)
    assert (summary.total_insights, summary.created_at) == (3, NOON)
    assert summary.agent_performances[1] == {"agent": "claude", "proposals": 4, "accepted": True, "score": 1.0}
    insights = database.run(store(lambda s: s.of_debate("d1"))).items
    assert [insight.id for insight in insights] == ["d1_consensus_0", "d1_pattern_0", "d1_pattern_1"]
    assert (insights[0].agents_involved, insights[0].evidence) == (["claude", "grok"], ["proof", {"n": 1.0}])
    assert (insights[0].confidence, insights[1].confidence, insights[0].metadata_) == (0.9, 0.5, {})
    assert database.run(store(lambda s: s.get("d1_pattern_1"))).title == "retries"
    words = sa.select(InsightKeywords.words).where(InsightKeywords.owner_id == "d1_consensus_0")
    assert "locks" in str(database.run(lambda session: session.scalar(words)))
    patterns = database.run(store(lambda s: s.patterns())).items
    assert {(p.category, p.pattern_text, p.avg_severity, p.occurrence_count) for p in patterns} == {
        ("security", "races", 0.2, 1),
        ("security", "retries", 0.75, 1),
    }
    assert {(tuple(p.debate_ids), p.first_seen, p.last_seen) for p in patterns} == {(("d1",), NOON, NOON)}


def test_the_same_debate_again(database: EngineDatabase):
    """Aragora counts performances and patterns twice when a call is repeated; here nothing changes."""
    for day in range(2):
        summary = database.run(
            store(lambda s: s.record_debate(SUMMARY, INSIGHTS, PERFORMANCES, created_at=NOON + timedelta(days=day)))  # noqa: B023
        )
        assert summary.created_at == NOON
    assert database.run(counts) == [3, 2]
    assert {p.occurrence_count for p in database.run(store(lambda s: s.patterns())).items} == {1}
    turned = (INSIGHTS, PERFORMANCES[::-1])
    with pytest.raises(ConflictError, match="summary"):  # the summary lists agents in order
        database.run(store(lambda s: s.record_debate(SUMMARY, *turned)))


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ((NewSummary("d1"), INSIGHTS, PERFORMANCES), "summary"),
        ((SUMMARY, INSIGHTS[:2], PERFORMANCES), "summary"),
        ((SUMMARY, (*INSIGHTS[:2], NewInsight("pattern", "other")), PERFORMANCES), "insights"),
        ((SUMMARY, (*INSIGHTS[:2], NewInsight("pattern", "retries", metadata={"x": True})), PERFORMANCES), "insights"),
        ((SUMMARY, INSIGHTS, ()), "summary"),
        ((SUMMARY, INSIGHTS, (NewPerformance("grok", 1, 2, 9, contribution_score=0.25), PERFORMANCES[1])), "perform"),
    ],
)
def test_another_story_of_the_same_debate(database: EngineDatabase, arguments: Any, what: str):
    """Two accounts of one debate: somebody has to look, nothing is overwritten."""
    database.run(store(lambda s: s.record_debate(SUMMARY, INSIGHTS, PERFORMANCES)))
    with pytest.raises(ConflictError, match=what):
        database.run(store(lambda s: s.record_debate(*arguments)))
    assert database.run(counts) == [3, 2]


def test_an_insight_of_another_debate(database: EngineDatabase):
    """Aragora replaces it: the other debate would lose a lesson."""
    database.run(store(lambda s: s.record_debate(NewSummary("d1"), [NewInsight("decision", "a", id="x")])))
    with pytest.raises(ConflictError, match="insight x"):
        database.run(store(lambda s: s.record_debate(NewSummary("d2"), [NewInsight("decision", "a", id="x")])))
    assert database.run(store(lambda s: s.summary("d2"))) is None
    assert database.run(store(lambda s: s.record_debate(NewSummary("d3")))).total_insights == 0


@pytest.mark.parametrize(
    "wrong",
    [
        (NewSummary(" "),),
        (NewSummary("x" * 1025),),
        (NewSummary("d", duration_seconds=float("inf")),),
        (NewSummary("d", consensus_reached=1),),  # type: ignore[arg-type]
        (NewSummary("d"), [NewInsight("opinion", "t")]),
        (NewSummary("d"), [NewInsight("decision", "")]),
        (NewSummary("d"), [NewInsight("decision", "t", confidence=1.1)]),
        (NewSummary("d"), [NewInsight("decision", "t", evidence=[float("nan")])]),
        (NewSummary("d"), [NewInsight("decision", "t", id="x"), NewInsight("decision", "t", id="x")]),
        (NewSummary("d"), [NewInsight("pattern", "t", metadata={"category": 1})]),
        (NewSummary("d"), [NewInsight("pattern", "t", metadata={"avg_severity": 2})]),
        (NewSummary("d"), [], [NewPerformance("a"), NewPerformance("a")]),
        (NewSummary("d"), [], [NewPerformance("a", proposals_made=-1)]),
        (NewSummary("d"), [], [NewPerformance("a", contribution_score=2)]),
        (NewSummary("d"), [], [], [NewPattern("x" * 1601)]),
    ],
)
def test_what_is_refused_is_refused_before_anything_is_written(database: EngineDatabase, wrong: Any):
    """A caller that catches the error and commits must not leave half a debate."""

    def work(session: Session) -> list[int]:
        with pytest.raises(InvalidValue):
            InsightStore(session).record_debate(*wrong)
        return [len(InsightStore(session).summaries().items), *counts(session)]

    assert database.run(work) == [0, 0, 0]


def test_patterns_add_up(database: EngineDatabase):
    """A pattern's weight is how often it came up; the average counts each time once, the debate is listed once."""
    shown = {
        "d1": [NewPattern("p", "c", 0.2), NewPattern("p", "c", 0.4)],
        "d2": [NewPattern("p", "c", 0.9), NewPattern("q", "c"), NewPattern("p", "b")],
    }
    for debate, patterns in shown.items():
        database.run(store(lambda s: s.record_debate(NewSummary(debate), patterns=patterns, created_at=NOON)))  # noqa: B023
    first, *others = database.run(store(lambda s: s.patterns())).items
    assert (first.category, first.pattern_text, first.occurrence_count) == ("c", "p", 3)
    assert first.avg_severity == pytest.approx(0.5)
    assert first.debate_ids == ["d1", "d2"]
    assert [(p.category, p.pattern_text, p.avg_severity) for p in others] == [("b", "p", 0.5), ("c", "q", 0.5)]
    assert [p.pattern_text for p in database.run(store(lambda s: s.patterns(category="c"))).items] == ["p", "q"]
    assert len(database.run(store(lambda s: s.patterns(min_occurrences=2))).items) == 1
    page = database.run(store(lambda s: s.patterns(limit=1)))
    assert database.run(store(lambda s: s.patterns(after=page.next))).items[0].category == "b"


def test_a_pattern_of_an_old_file(database: EngineDatabase):
    """Imported clusters can have NULL for times and debates, and a clock that was ahead."""

    def fill(session: Session) -> None:
        later = NOON + timedelta(days=1)
        session.add(PatternCluster(category="c", pattern_text="p", occurrence_count=1, avg_severity=1.0))
        session.add(PatternCluster(category="c", pattern_text="q", first_seen=NOON, last_seen=later, debate_ids=["d"]))
        session.flush()
        patterns = [NewPattern("p", "c", 0.0), NewPattern("q", "c")]
        InsightStore(session).record_debate(NewSummary("d"), patterns=patterns, created_at=NOON)

    database.run(fill)
    p, q = sorted(database.run(store(lambda s: s.patterns())).items, key=lambda row: row.pattern_text)
    assert (p.debate_ids, p.first_seen, p.last_seen, p.avg_severity) == (["d"], NOON, NOON, 0.5)
    assert (q.debate_ids, q.last_seen, q.occurrence_count) == (["d"], NOON + timedelta(days=1), 2)


def test_listings(database: EngineDatabase):
    """The surest, the newest, and what matters to a reader, page by page the same."""
    for number, confidence in enumerate((0.5, 0.9, 0.5)):
        insights = [NewInsight("decision", "t", confidence=confidence), NewInsight("dissent", "t", confidence=0.7)]
        at = NOON + timedelta(days=number)
        database.run(store(lambda s: s.record_debate(NewSummary(f"d{number}"), insights, created_at=at)))  # noqa: B023

    def all_of(name: str, *arguments: Any, **filters: Any) -> list[str]:
        found: list[str] = []
        after = None
        while True:
            page = database.run(store(lambda s: getattr(s, name)(*arguments, **filters, limit=2, after=after)))  # noqa: B023
            found.extend(insight.id for insight in page.items)
            after = page.next
            if after is None:
                return found

    assert all_of("most_confident", type="decision") == ["d1_decision_0", "d0_decision_0", "d2_decision_0"]
    assert all_of("most_confident")[:2] == ["d1_decision_0", "d0_dissent_0"]
    assert all_of("recent")[:3] == ["d2_decision_0", "d2_dissent_0", "d1_decision_0"]
    assert all_of("search", "T") == all_of("recent")
    assert len(all_of("recent")) == 6
    assert [row.debate_id for row in database.run(store(lambda s: s.summaries(limit=2))).items] == ["d2", "d1"]


def test_old_types_are_read(database: EngineDatabase):
    """A type that nobody writes any more must not make old rows unreadable."""
    database.run(lambda session: session.add(Insight(id="x", type="hunch", title="t", debate_id="d")))
    assert [i.type for i in database.run(store(lambda s: s.most_confident(type="hunch"))).items] == ["hunch"]


def test_search(database: EngineDatabase):
    """The same hits on both databases, in any case and script, whoever wrote the row."""
    insights = [
        NewInsight("decision", "Use LOCKS", id="a"),
        NewInsight(
            "decision",
            "x",
            "100%_sure \N{LATIN CAPITAL LETTER E WITH ACUTE}t\N{LATIN SMALL LETTER E WITH ACUTE}",
            id="b",
        ),
        NewInsight("decision", "x", agents_involved=['Cla"ude', "gpt-4"], id="c"),
    ]
    database.run(store(lambda s: s.record_debate(NewSummary("d"), insights)))
    old = {"id": "e", "type": "t", "title": "x", "debate_id": "d", "agents_involved": {"gpt": 1, "as": ["locks"]}}
    database.run(lambda session: session.execute(sa.insert(Insight), [old]))

    def hits(text: str) -> list[str]:
        return [insight.id for insight in database.run(store(lambda s: s.search(text))).items]

    assert hits("locks") == ["a"]
    database.run(index.rebuild)
    assert sorted(hits("locks")) == ["a", "e"]
    assert hits("use lock*") == ["a"]
    assert hits("_sure") == ["b"]
    assert hits("\N{LATIN SMALL LETTER E WITH ACUTE}T*") == ["b"]
    assert hits("GPT-4") == ["c"]
    assert hits("%") == []
    with pytest.raises(InvalidValue):
        hits(" ")
