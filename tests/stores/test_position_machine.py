"""Positions, flips and outcomes against a model in plain Python, compared after every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from aragora_db import Database
from aragora_db.errors import ConflictError, NotFoundError
from aragora_db.rules.positions import classify
from aragora_db.stores import PositionStore
from aragora_db.stores.positions import NewPosition, NewStatement

pytestmark = pytest.mark.slow

AGENTS, DEBATES = ["a", "b", "é"], ["d1", "d2", "d3"]
CLAIMS = ["The plan is safe", "The plan is not safe", "Use one lock", "I withdraw that", "Use one lock sometimes"]
OUTCOMES = ["correct", "incorrect", "unresolved"]
Told = tuple[str | None, str | None]
WEIGHTS = {"contradiction": 1.0, "retraction": 0.7, "qualification": 0.3, "refinement": 0.1}


class PositionMachine(RuleBasedStateMachine):
    """The store and what it should hold."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        # By id: agent, claim, debate. Then what became of them.
        self.positions: dict[str, tuple[str, str, str]] = {}
        self.resolved: dict[str, str] = {}
        self.reversals: dict[str, str] = {}
        self.flips: dict[tuple[str, str], str] = {}
        # By debate, agent, type, round: id and text.
        self.statements: dict[tuple[str, str, str, int], tuple[int, str]] = {}
        self.outcomes: dict[str, Told] = {}
        self.verified: dict[str, bool] = {}

    def run(self, work: Callable[[PositionStore], Any]) -> Any:
        """One verb in one transaction."""
        return self.database.transact(lambda session: work(PositionStore(session)))

    def expect(self, error: type[Exception], work: Callable[[PositionStore], Any]) -> None:
        """A verb that is refused."""
        with pytest.raises(error):
            self.run(work)

    @rule(
        new=st.lists(
            st.tuples(st.sampled_from(AGENTS), st.sampled_from(CLAIMS), st.sampled_from(DEBATES)),
            min_size=1,
            max_size=4,
        )
    )
    def record(self, new: list[tuple[str, str, str]]) -> None:
        """Record some claims."""
        recorded = self.run(lambda s: s.record_many(NewPosition(*each[:2], 0.5, each[2], 0) for each in new))
        self.positions |= {row.id: each for row, each in zip(recorded, new, strict=True)}

    @precondition(lambda self: self.positions)
    @rule(data=st.data(), outcome=st.sampled_from(OUTCOMES))
    def resolve(self, data: st.DataObject, outcome: str) -> None:
        """Say what became of a claim, perhaps for the second time."""
        id_ = data.draw(st.sampled_from(list(self.positions)))
        if self.resolved.setdefault(id_, outcome) == outcome:
            assert self.run(lambda s: s.resolve(id_, outcome)).outcome == outcome
        else:
            self.expect(ConflictError, lambda s: s.resolve(id_, outcome))

    @precondition(lambda self: self.positions)
    @rule(data=st.data(), debate=st.sampled_from(DEBATES))
    def reverse(self, data: st.DataObject, debate: str) -> None:
        """Take a claim back, perhaps for the second time."""
        id_ = data.draw(st.sampled_from(list(self.positions)))
        if self.reversals.setdefault(id_, debate) == debate:
            assert self.run(lambda s: s.reverse(id_, debate)).reversed is True
        else:
            self.expect(ConflictError, lambda s: s.reverse(id_, debate))

    @rule(agent=st.sampled_from(AGENTS))
    def detect(self, agent: str) -> None:
        """Find the flips of an agent."""
        before = len(self.flips)
        for old, debate in self.reversals.items():
            for new, (other, claim, said_in) in self.positions.items():
                if new != old and said_in == debate and other == agent == self.positions[old][0]:
                    self.flips[old, new] = str(classify(self.positions[old][1], claim))
        found = self.run(lambda s: s.detect_flips(agent))
        assert found.new == len(self.flips) - before
        own = {pair: kind for pair, kind in self.flips.items() if self.positions[pair[0]][0] == agent}
        assert {(f.original_position_id, f.new_position_id): f.flip_type for f in found.flips} == own

    @rule(
        debate=st.sampled_from(DEBATES),
        agent=st.sampled_from(AGENTS),
        kind=st.sampled_from(["vote", "critique"]),
        round_num=st.integers(0, 1),
        text=st.sampled_from(["x", "y"]),
    )
    def state(self, debate: str, agent: str, kind: str, round_num: int, text: str) -> None:
        """Record a statement, or replace one."""
        row = self.run(lambda s: s.record_statement(NewStatement(debate, agent, kind, text, round_num)))
        before = self.statements.setdefault((debate, agent, kind, round_num), (row.id, text))
        assert before[0] == row.id
        self.statements[debate, agent, kind, round_num] = row.id, text

    @rule(
        debate=st.sampled_from(DEBATES),
        winner=st.none() | st.sampled_from([*AGENTS, "nobody there"]),
        text=st.none() | st.just("t"),
    )
    def finalize(self, debate: str, winner: str | None, text: str | None) -> None:
        """Decide a debate, perhaps for the second time."""
        if self.outcomes.setdefault(debate, (winner, text)) == (winner, text):
            assert self.run(lambda s: s.finalize_debate(debate, winner, winning_position=text)).winning_agent == winner
        else:
            self.expect(ConflictError, lambda s: s.finalize_debate(debate, winner, winning_position=text))

    @rule(debate=st.sampled_from(DEBATES), result=st.booleans())
    def verify(self, debate: str, result: bool) -> None:
        """Verify a debate, decided or not."""
        if debate not in self.outcomes:
            self.expect(NotFoundError, lambda s: s.verify_debate(debate, verification_result=result))
        elif self.verified.setdefault(debate, result) == result:
            assert self.run(lambda s: s.verify_debate(debate, verification_result=result)).verification_result is result
        else:
            self.expect(ConflictError, lambda s: s.verify_debate(debate, verification_result=result))

    def known(self, debate: str, agent: str) -> tuple[bool | None, bool | None]:
        """Whether the model's statements of an agent in a debate won, and were correct."""
        winner = self.outcomes.get(debate, (None, None))[0]
        won = None if winner is None else agent == winner
        return won, self.verified[debate] and won is True if debate in self.verified else None

    @invariant()
    def everything_is_the_same(self) -> None:
        """Compare everything in one unit of work."""
        checks = (self.positions_are_the_same, self.consistencies_are_the_same, self.statements_are_the_same)
        self.run(lambda s: [check(s) for check in checks])

    def positions_are_the_same(self, s: PositionStore) -> None:
        """Every position, and what became of it."""
        pages = [s.of_agent(agent).items for agent in AGENTS]
        found = {row.id: row for page in pages for row in page}
        assert {id_: (row.agent_name, row.claim, row.debate_id) for id_, row in found.items()} == self.positions
        outcomes = {id_: str(row.outcome) for id_, row in found.items() if row.outcome != "pending"}
        assert outcomes == self.resolved
        assert {id_ for id_, row in found.items() if row.resolved_at is not None} == set(self.resolved)
        assert {id_: row.reversal_debate_id for id_, row in found.items() if row.reversed} == self.reversals

    def consistencies_are_the_same(self, s: PositionStore) -> None:
        """Scores, and who is first."""
        expected: dict[str, tuple[float, int]] = {}
        for agent in AGENTS:
            total = sum(each[0] == agent for each in self.positions.values())
            weighed = sum(WEIGHTS[kind] for pair, kind in self.flips.items() if self.positions[pair[0]][0] == agent)
            if total:
                expected[agent] = max(0.0, 1 - weighed / total), total
        ranking = s.consistency_ranking()
        found = {each.agent_name: (each.score, each.positions) for each in ranking}
        assert found.keys() == expected.keys()
        for agent, numbers in found.items():
            assert numbers == pytest.approx(expected[agent])
        assert list(ranking) == sorted(ranking, key=lambda each: (-each.score, -each.positions, each.agent_name))

    def statements_are_the_same(self, s: PositionStore) -> None:
        """Ids, texts, who won, who was right, and accuracies."""
        pages = [s.statements_of_debate(debate).items for debate in DEBATES]
        accuracies = [s.accuracy(agent) for agent in AGENTS]
        rows = [row for page in pages for row in page]
        assert {
            (r.debate_id, r.agent_name, r.position_type, r.round_num): (r.id, r.position_text) for r in rows
        } == self.statements
        for row in rows:
            assert (row.was_winning_position, row.verified_correct) == self.known(row.debate_id, row.agent_name)
        for mine in accuracies:
            own = [self.known(debate, agent) for debate, agent, _, _ in self.statements if agent == mine.agent_name]
            assert (mine.statements, mine.winning) == (len(own), sum(won is True for won, _ in own))
            verified = [correct for _, correct in own if correct is not None]
            assert (mine.verified, mine.correct) == (len(verified), sum(verified))


def test_position_machine(play: Callable[..., None]):
    """Any sequence of verbs: a difference is a reputation that rests on nothing."""
    play(PositionMachine, examples=10, steps=20)
