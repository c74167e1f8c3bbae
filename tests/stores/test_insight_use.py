"""Agents' rankings, the use of insights, and wisdom. A mistake here praises the wrong agent, or repeats advice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from aragora_db.errors import ConflictError, InvalidValue, NotFoundError
from aragora_db.stores import InsightStore
from aragora_db.stores.insights import AgentStats, NewInsight, NewPerformance, NewSummary
from aragora_db.testing.engines import EngineDatabase

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def store(work: Callable[[InsightStore], Any]) -> Callable[[Session], Any]:
    """A unit of work over a store."""
    return lambda session: work(InsightStore(session))


def test_rankings(database: EngineDatabase):
    """Best contribution first; ties go to the more experienced, then by name: the same list every time."""
    debates = {
        "d1": [NewPerformance("a", 1, 2, 3, proposal_accepted=True, contribution_score=1.0), NewPerformance("c")],
        "d2": [NewPerformance("a", 1, vote_aligned=True, contribution_score=0.5), NewPerformance("b")],
        "d3": [NewPerformance("c"), NewPerformance("d", contribution_score=0.0)],
    }
    for debate, performances in debates.items():
        database.run(store(lambda s: s.record_debate(NewSummary(debate), (), performances)))  # noqa: B023
    rankings = database.run(store(lambda s: s.ranking())).items
    first = database.run(store(lambda s: s.ranking(limit=1)))
    rest = database.run(store(lambda s: s.ranking(after=first.next)))
    assert rankings[0] == AgentStats("a", 2, 0.5, 0.5, 0.75, 2, 2, 3)
    assert [stats.agent_name for stats in rankings] == ["a", "c", "b", "d"]
    assert [stats.agent_name for stats in database.run(store(lambda s: s.ranking(min_debates=2)))] == ["a", "c"]
    assert (*first, *rest) == rankings
    assert database.run(store(lambda s: s.agent_stats("a"))) == rankings[0]
    assert all(type(value) in {str, int, float} for value in vars(rankings[0]).values())
    assert database.run(store(lambda s: s.agent_stats("nobody"))) is None
    for wrong in ({"limit": 0}, {"min_debates": -1}):
        with pytest.raises(InvalidValue):
            database.run(store(lambda s: s.ranking(**wrong)))  # noqa: B023


def test_usage(database: EngineDatabase):
    """An insight that helped once must not look as if it helped twice, because a call was repeated."""
    database.run(store(lambda s: s.record_debate(NewSummary("d"), [NewInsight("decision", "t", id="x")])))
    assert database.run(store(lambda s: s.usage("x"))).success_rate is None
    for debate, helped in (("d1", True), ("d2", False), ("d1", True), ("d3", True)):
        row = database.run(store(lambda s: s.record_usage("x", debate, was_successful=helped)))  # noqa: B023
        assert (row.insight_id, row.debate_id, row.was_successful) == ("x", debate, helped)
    stats = database.run(store(lambda s: s.usage("x")))
    assert (stats.uses, stats.successes) == (3, 2)
    assert stats.success_rate == pytest.approx(2 / 3)
    with pytest.raises(ConflictError, match="other outcome"):
        database.run(store(lambda s: s.record_usage("x", "d1", was_successful=False)))
    with pytest.raises(NotFoundError, match="'y'"):
        database.run(store(lambda s: s.record_usage("y", "d1", was_successful=True)))
    for debate, helped in ((" ", True), ("d4", 1), ("x" * 1025, True)):
        with pytest.raises(InvalidValue):
            database.run(store(lambda s: s.record_usage("x", debate, was_successful=helped)))  # noqa: B023


def test_wisdom(database: EngineDatabase):
    """Each piece is used once, the newest first, and each loop has its own."""
    for number, loop in enumerate("aaab"):
        text, at = f"advice {number}", NOON + timedelta(minutes=number // 2)
        database.run(store(lambda s: s.submit_wisdom(loop, text, context_tags=["x"], created_at=at)))  # noqa: B023
    page = database.run(store(lambda s: s.unused_wisdom("a", limit=2)))
    rest = database.run(store(lambda s: s.unused_wisdom("a", after=page.next)))
    first, second, third = page.items + rest.items
    assert [row.text for row in (first, second, third)] == ["advice 2", "advice 1", "advice 0"]
    assert (first.submitter_id, first.context_tags, first.used) == ("anonymous", ["x"], False)
    assert database.run(store(lambda s: s.mark_wisdom_used(second.id)))
    assert not database.run(store(lambda s: s.mark_wisdom_used(second.id)))
    taken = database.run(store(lambda s: s.take_wisdom("a")))
    assert (taken.id, taken.used) == (first.id, True)
    assert database.run(store(lambda s: s.take_wisdom("a"))).id == third.id
    assert database.run(store(lambda s: s.take_wisdom("a"))) is None
    assert len(database.run(store(lambda s: s.unused_wisdom("b"))).items) == 1
    with pytest.raises(NotFoundError):
        database.run(store(lambda s: s.mark_wisdom_used(10**6)))


def test_reads_in_the_same_session_are_fresh(database: EngineDatabase):
    """A unit of work that takes a piece it has listed must see it used."""

    def work(session: Session) -> list[Any]:
        insights = InsightStore(session)
        submission = insights.submit_wisdom("a", "text")
        insights.take_wisdom("a")
        taken = submission.used
        return [taken, insights.unused_wisdom("a").items, insights.mark_wisdom_used(submission.id)]

    assert database.run(work) == [True, (), False]


@pytest.mark.parametrize(
    "wrong", [("", "t", {}), ("a", " ", {}), ("a", "t", {"submitter_id": ""}), ("a", "t", {"context_tags": "xy"})]
)
def test_what_wisdom_cannot_be(database: EngineDatabase, wrong: Any):
    """A piece without a loop or a text would be taken by nobody, or tell nothing."""
    loop, text, more = wrong
    with pytest.raises(InvalidValue):
        database.run(store(lambda s: s.submit_wisdom(loop, text, **more)))
