"""Any sequence of creations, results and cancellations against a model in plain Python, compared after every step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aragora_db import Database
from aragora_db.errors import ConflictError, InvalidValue, NotFoundError
from aragora_db.stores import TournamentStore

IDS = st.sampled_from(["t1", "t2", "t3"])
SCORES = st.sampled_from([0.0, 0.5, 1.0])
ROUND_ROBIN, ELIMINATION = "round_robin", "single_elimination"


@dataclass
class Held:
    """A tournament as a person would keep it on paper.

    Attributes:
        agents: in their order.
        kind: round robin or single elimination.
        status: how far it has come.
        results: scores by pair, as they were played.
        waiting: elimination: who goes through, in the order of the bracket; the open pairs are taken from it.
        rounds: rounds that are over.
        events: what happened.
    """

    agents: list[str]
    kind: str
    status: str = "pending"
    results: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    waiting: list[tuple[str, ...]] = field(default_factory=list)
    rounds: int = 0
    events: list[str] = field(default_factory=lambda: ["created"])

    def __post_init__(self) -> None:
        if self.kind == ELIMINATION:
            size = 1
            while size < len(self.agents):
                size *= 2
            byes = size - len(self.agents)
            playing = self.agents[: len(self.agents) - byes]
            self.waiting = list(zip(playing[::2], playing[1::2], strict=True))
            self.waiting += [(agent,) for agent in self.agents[len(playing) :]]

    def pairs(self) -> set[tuple[str, str]]:
        """All pairs of whom there is a match."""
        if self.kind == ROUND_ROBIN:
            return set(combinations(self.agents, 2))
        return set(self.results) | {(slot[0], slot[1]) for slot in self.waiting if len(slot) > 1}

    def play(self, pair: tuple[str, str], scores: tuple[float, float]) -> None:
        """Write a result down, and what follows from it."""
        self.results[pair] = scores
        self.events.append("match_completed")
        self.status = "in_progress"
        if self.kind == ROUND_ROBIN:
            if set(self.results) == self.pairs():
                self.status = "completed"
                self.events.append("completed")
            return
        winner = pair[0] if scores[0] > scores[1] else pair[1]
        self.waiting = [(winner,) if slot == pair else slot for slot in self.waiting]
        if any(len(slot) > 1 for slot in self.waiting):
            return
        self.rounds += 1
        through = [slot[0] for slot in self.waiting]
        if len(through) == 1:
            self.status = "completed"
            self.events.append("completed")
        else:
            self.waiting = list(zip(through[::2], through[1::2], strict=True))
            self.events.append("round_advanced")

    def points(self) -> dict[str, tuple[float, float]]:
        """Points and scores by agent."""
        found = dict.fromkeys(self.agents, (0.0, 0.0))
        for pair, scores in self.results.items():
            for agent, own, other in zip(pair, scores, reversed(scores), strict=True):
                points, total = found[agent]
                found[agent] = points + (1.0 if own > other else 0.5 if own == other else 0.0), total + own
        return found


class TournamentMachine(RuleBasedStateMachine):
    """The store and what it should hold."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.held: dict[str, Held] = {}

    def run(self, work: Callable[[TournamentStore], Any]) -> Any:
        """One verb in one transaction."""
        return self.database.transact(lambda session: work(TournamentStore(session)))

    @rule(id_=IDS, count=st.integers(2, 6), kind=st.sampled_from([ROUND_ROBIN, ELIMINATION]))
    def create(self, id_: str, count: int, kind: str) -> None:
        """Create, repeat or contradict."""
        agents = list("eacdbf"[:count])
        known = self.held.get(id_)
        if known is not None and (known.agents, known.kind) != (agents, kind):
            with pytest.raises(ConflictError):
                self.run(lambda s: s.create("Cup", agents, kind, id_))
            return
        self.run(lambda s: s.create("Cup", agents, kind, id_))
        self.held.setdefault(id_, Held(agents, kind))

    @rule(id_=IDS, which=st.integers(0, 20), score1=SCORES, score2=SCORES, fresh=st.booleans())
    def play(self, id_: str, which: int, score1: float, score2: float, fresh: bool) -> None:
        """Record a result, mostly of a match that is open."""
        known = self.held.get(id_)
        matches = self.run(lambda s: s.matches(id_, completed=False if fresh else None)).items
        if known is None or not matches:
            return
        match = matches[which % len(matches)]
        pair, scores = (match.agent1, match.agent2), (score1, score2)
        expected: type[Exception] | None = None
        if pair in known.results:
            expected = None if known.results[pair] == scores else ConflictError
        elif known.status == "cancelled":
            expected = ConflictError
        elif known.kind == ELIMINATION and score1 == score2:
            expected = InvalidValue
        if expected is not None:
            with pytest.raises(expected):
                self.run(lambda s: s.record_result(match.match_id, score1, score2))
            return
        self.run(lambda s: s.record_result(match.match_id, score1, score2))
        if pair not in known.results:
            known.play(pair, scores)

    @rule(id_=IDS, sure=st.integers(0, 3))
    def cancel(self, id_: str, sure: int) -> None:
        """Call one off, now and then."""
        known = self.held.get(id_)
        if sure:
            return
        if known is None or known.status == "completed":
            with pytest.raises(NotFoundError if known is None else ConflictError):
                self.run(lambda s: s.cancel(id_))
            return
        assert self.run(lambda s: s.cancel(id_)) is (known.status != "cancelled")
        if known.status != "cancelled":
            known.status = "cancelled"
            known.events.append("cancelled")

    @invariant()
    def everything_is_the_same(self) -> None:
        """Each tournament, its matches, its standings, and what happened."""
        listed = {}
        for row, matches, table, events in self.run(everything):
            known = listed[row.tournament_id] = self.held[row.tournament_id]
            assert (row.participants, row.status.value) == (known.agents, known.status)
            assert [event.event_type for event in events] == known.events
            assert sorted((match.agent1, match.agent2) for match in matches) == sorted(known.pairs())
            played = {(m.agent1, m.agent2): (m.score1, m.score2) for m in matches if m.completed_at is not None}
            assert played == known.results
            over = {match.round_num for match in matches} - {m.round_num for m in matches if m.completed_at is None}
            assert row.rounds_completed == len(over)
            assert known.kind == ROUND_ROBIN or len(over) == known.rounds
            assert known.status != "completed" or len(over) == row.total_rounds
            assert {own.agent_name: (own.points, own.total_score) for own in table} == known.points()
            assert [own.points for own in table] == sorted((own.points for own in table), reverse=True)
        assert listed == self.held


def everything(store: TournamentStore) -> list[tuple[Any, ...]]:
    """All that the store holds, in one transaction."""
    return [
        (
            row,
            store.matches(row.tournament_id).items,
            store.standings(row.tournament_id),
            store.events(row.tournament_id).items,
        )
        for row in store.list().items
    ]


def test_tournament_machine(play: Callable[..., None]):
    """Any sequence of verbs: a difference is a match that is played twice, or a tournament that never ends."""
    play(TournamentMachine, examples=15, steps=20)
