"""Insights, patterns, usage and wisdom against a model in plain Python, compared after every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aragora_db import Database
from aragora_db.errors import ConflictError, NotFoundError
from aragora_db.rules.insights import insight_ids
from aragora_db.stores import InsightStore
from aragora_db.stores.insights import InsightType, NewInsight, NewPattern, NewPerformance, NewSummary

pytestmark = pytest.mark.slow

DEBATES = st.sampled_from(["d1", "d2", "d3"])
SHARES = st.sampled_from([0.0, 0.25, 0.5, 1.0])
INSIGHTS = st.lists(st.builds(NewInsight, st.sampled_from(InsightType), st.sampled_from(["s", "t"]), confidence=SHARES))
PERFORMANCES = st.lists(
    st.builds(NewPerformance, st.sampled_from("abc"), proposal_accepted=st.booleans(), contribution_score=SHARES),
    max_size=3,
    unique_by=lambda performance: performance.agent_name,
)
PATTERNS = st.lists(st.builds(NewPattern, st.sampled_from("xy"), st.sampled_from("cd"), SHARES), max_size=4)

Told = tuple[NewSummary, list[NewInsight], list[NewPerformance]]


def content(told: Told) -> tuple[Any, ...]:
    """What counts: insights by their ids, whichever way they were listed."""
    summary, insights, performances = told
    ids = insight_ids(summary.debate_id, [insight.type for insight in insights])
    return summary, dict(zip(ids, insights, strict=True)), performances


class InsightMachine(RuleBasedStateMachine):
    """The store and what it should hold."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.debates: dict[str, Told] = {}
        self.patterns: dict[tuple[str, str], tuple[list[float], list[str]]] = {}
        self.uses: dict[tuple[str, str], bool] = {}
        self.wisdom: dict[int, tuple[str, bool]] = {}

    def run(self, work: Callable[[InsightStore], Any]) -> Any:
        """One verb in one transaction."""
        return self.database.transact(lambda session: work(InsightStore(session)))

    @rule(id_=DEBATES, task=st.none() | st.just("t"), news=INSIGHTS, performed=PERFORMANCES, shown=PATTERNS)
    def record(
        self,
        id_: str,
        task: str | None,
        news: list[NewInsight],
        performed: list[NewPerformance],
        shown: list[NewPattern],
    ) -> None:
        """Record a debate, or find it recorded."""
        told = (NewSummary(id_, task), news, performed)
        if content(self.debates.get(id_, told)) != content(told):
            with pytest.raises(ConflictError):
                self.run(lambda s: s.record_debate(*told, shown))
            return
        assert self.run(lambda s: s.record_debate(*told, shown)).total_insights == len(news)
        if id_ in self.debates:
            return
        self.debates[id_] = told
        for pattern in shown:
            severities, debates = self.patterns.setdefault((pattern.category, pattern.text), ([], []))
            severities.append(pattern.severity)
            if id_ not in debates:
                debates.append(id_)

    @rule(id_=DEBATES)
    def repeat(self, id_: str) -> None:
        """Record a debate once more, whatever patterns are named then."""
        if id_ in self.debates:
            self.run(lambda s: s.record_debate(*self.debates[id_], [NewPattern("x", "c")]))

    @rule(id_=DEBATES, used_in=DEBATES, helped=st.booleans())
    def use(self, id_: str, used_in: str, helped: bool) -> None:
        """Record the use of an insight."""
        insight = f"{id_}_decision_0"
        known = self.run(lambda s: s.get(insight)) is not None
        expected: type[Exception] | None = None
        if not known:
            expected = NotFoundError
        elif self.uses.get((insight, used_in), helped) != helped:
            expected = ConflictError
        if expected is not None:
            with pytest.raises(expected):
                self.run(lambda s: s.record_usage(insight, used_in, was_successful=helped))
            return
        self.run(lambda s: s.record_usage(insight, used_in, was_successful=helped))
        self.uses[insight, used_in] = helped

    @rule(loop=st.sampled_from("lm"))
    def submit(self, loop: str) -> None:
        """Submit advice."""
        self.wisdom[self.run(lambda s: s.submit_wisdom(loop, "text")).id] = (loop, False)

    @rule(loop=st.sampled_from("lm"))
    def take(self, loop: str) -> None:
        """Take the newest advice of a loop."""
        taken = self.run(lambda s: s.take_wisdom(loop))
        unused = self.unused(loop)
        assert (None if taken is None else taken.id) == (unused[0] if unused else None)
        if taken is not None:
            self.wisdom[taken.id] = (loop, True)

    def unused(self, loop: str) -> list[int]:
        """What the model has left for a loop, newest first."""
        return sorted((id_ for id_, state in self.wisdom.items() if state == (loop, False)), reverse=True)

    @invariant()
    def everything_is_the_same(self) -> None:
        """Compare everything in one unit of work."""
        checks = (
            self.insights_are_the_same,
            self.patterns_are_the_same,
            self.agents_are_the_same,
            self.uses_and_wisdom_are_the_same,
        )
        self.run(lambda s: [check(s) for check in checks])

    def insights_are_the_same(self, s: InsightStore) -> None:
        """Every insight once, in the orders that are promised."""
        told = [(id_, insight.type, insight.confidence) for id_, each in self.debates.items() for insight in each[1]]
        recent = s.recent(limit=1000).items
        assert sorted((i.debate_id, i.type, i.confidence) for i in recent) == sorted(told)
        surest = s.most_confident(limit=1000).items
        assert list(surest) == sorted(surest, key=lambda insight: (-insight.confidence, insight.id))
        titled = sum(insight.title == "s" for each in self.debates.values() for insight in each[1])
        assert len(s.search("S").items) == min(titled, 50)

    def patterns_are_the_same(self, s: InsightStore) -> None:
        """Counts, averages and debates of every pattern."""
        rows = {(p.category, p.pattern_text): p for p in s.patterns().items}
        assert rows.keys() == self.patterns.keys()
        for key, (severities, debates) in self.patterns.items():
            assert (rows[key].occurrence_count, rows[key].debate_ids) == (len(severities), debates)
            assert rows[key].avg_severity == pytest.approx(sum(severities) / len(severities))

    def agents_are_the_same(self, s: InsightStore) -> None:
        """Rankings and rates."""
        scores: dict[str, list[tuple[float, bool]]] = {}
        for each in self.debates.values():
            for performance in each[2]:
                scores.setdefault(performance.agent_name, []).append(
                    (performance.contribution_score, performance.proposal_accepted)
                )
        # Quarters: their means are exact, and so is their order.
        expected = {
            agent: (sum(score for score, _ in own) / len(own), len(own), sum(won for _, won in own) / len(own))
            for agent, own in scores.items()
        }
        ranked = sorted(expected, key=lambda agent: (-expected[agent][0], -expected[agent][1], agent))
        rankings = s.ranking()
        assert [stats.agent_name for stats in rankings] == ranked
        for stats in rankings:
            assert (stats.average_contribution, stats.debates) == pytest.approx(expected[stats.agent_name][:2])
            assert stats.acceptance_rate == pytest.approx(expected[stats.agent_name][2])

    def uses_and_wisdom_are_the_same(self, s: InsightStore) -> None:
        """Successes of every insight, and what each loop has left."""
        for insight in {insight for insight, _ in self.uses}:
            own = [helped for (used, _), helped in self.uses.items() if used == insight]
            stats = s.usage(insight)
            assert (stats.uses, stats.successes) == (len(own), sum(own))
        for loop in "lm":
            page = s.unused_wisdom(loop)
            assert [row.id for row in page.items] == self.unused(loop)


def test_insight_machine(play: Callable[..., None]):
    """Any sequence of verbs: a difference is a lesson that is lost, doubled or weighed wrongly."""
    play(InsightMachine, examples=20, steps=20)
