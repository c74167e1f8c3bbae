"""Predictions, outcomes and what they add up to, against a model in plain Python, compared after every step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aragora_db import Database
from aragora_db.errors import ConflictError
from aragora_db.stores import CalibrationStore

pytestmark = pytest.mark.slow

AGENTS = ("ada", "Bob", "эва")
TOURNAMENTS = st.sampled_from(["t1", "t2", "t3"])
WINNERS = st.sampled_from("xy")
CONFIDENCES = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
DOMAINS = st.sampled_from(["law", "art"])
BUCKETS = {0.0: "0.0-0.1", 0.25: "0.2-0.3", 0.5: "0.5-0.6", 0.75: "0.7-0.8", 1.0: "1.0-1.0"}

# Confidence and whether it came true.
Scored = tuple[float, bool]


def tally(scored: list[Scored]) -> tuple[int, int, float]:
    """What they add up to; quarters are exact in any order."""
    return len(scored), sum(right for _, right in scored), sum((sure - right) ** 2 for sure, right in scored)


class CalibrationMachine(RuleBasedStateMachine):
    """The store and what it should hold."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.predictions: dict[str, dict[str, tuple[str, float]]] = defaultdict(dict)
        self.winners: dict[str, str] = {}
        self.overall: dict[str, list[Scored]] = defaultdict(list)
        self.by_domain: dict[str, dict[str, list[Scored]]] = defaultdict(lambda: defaultdict(list))

    def run(self, work: Callable[[CalibrationStore], Any]) -> Any:
        """One verb in one transaction."""
        return self.database.transact(lambda session: work(CalibrationStore(session)))

    def count(self, agent: str, domain: str | None, scored: Scored) -> None:
        """Add a prediction to what the model holds."""
        self.overall[agent].append(scored)
        if domain is not None:
            self.by_domain[agent][domain].append(scored)

    @rule(tournament=TOURNAMENTS, agent=st.sampled_from(AGENTS), winner=WINNERS, sure=CONFIDENCES)
    def predict(self, tournament: str, agent: str, winner: str, sure: float) -> None:
        """Predict, change a prediction, repeat it, or come too late."""
        known = self.predictions[tournament].get(agent)
        if tournament in self.winners and known != (winner, sure):
            with pytest.raises(ConflictError):
                self.run(lambda s: s.predict(tournament, agent, winner, sure))
            return
        row = self.run(lambda s: s.predict(tournament, agent, winner, sure))
        assert (row.predicted_winner, row.confidence) == (winner, sure)
        self.predictions[tournament][agent] = (winner, sure)

    @rule(tournament=TOURNAMENTS, winner=WINNERS, domain=st.none() | DOMAINS)
    def resolve(self, tournament: str, winner: str, domain: str | None) -> None:
        """Resolve, resolve again, or contradict."""
        if self.winners.get(tournament, winner) != winner:
            with pytest.raises(ConflictError):
                self.run(lambda s: s.resolve_predictions(tournament, winner, domain=domain))
            return
        made = self.predictions[tournament]
        scores = self.run(lambda s: s.resolve_predictions(tournament, winner, domain=domain))
        assert scores == {agent: (sure - (guess == winner)) ** 2 for agent, (guess, sure) in made.items()}
        assert list(scores) == sorted(scores)
        if made and tournament not in self.winners:
            self.winners[tournament] = winner
            for agent, (guess, sure) in made.items():
                self.count(agent, domain, (sure, guess == winner))

    @rule(agent=st.sampled_from(AGENTS), domain=DOMAINS, sure=CONFIDENCES, right=st.booleans(), times=st.integers(1, 6))
    def record(self, agent: str, domain: str, sure: float, right: bool, times: int) -> None:
        """Predictions whose outcome is known; each call counts."""
        for _ in range(times):
            self.run(lambda s: s.record_domain_prediction(agent, domain, sure, correct=right))
            self.count(agent, domain, (sure, right))

    @invariant()
    def everything_is_the_same(self) -> None:
        """Compare everything in one unit of work."""
        checks = (self.predictions_are_the_same, self.sums_are_the_same, self.judgements_are_the_same)
        self.run(lambda s: [check(s) for check in checks])

    def predictions_are_the_same(self, s: CalibrationStore) -> None:
        """Each once, with its outcome."""
        for tournament, made in self.predictions.items():
            rows = s.tournament_predictions(tournament).items
            winner = self.winners.get(tournament)
            assert [(row.predictor_agent, row.predicted_winner, row.confidence) for row in rows] == [
                (agent, *made[agent]) for agent in sorted(made)
            ]
            assert {row.actual_winner for row in rows} <= {winner}
            assert all((row.resolved_at is None) == (winner is None) for row in rows)

    def sums_are_the_same(self, s: CalibrationStore) -> None:
        """Overall, by domain, by bucket."""
        for agent in AGENTS:
            found = s.calibration(agent)
            assert (found.predictions, found.correct, found.brier_sum) == tally(self.overall[agent])
            domains = {each.domain: each for each in s.domains(agent)}
            assert {name: tuple(each.tally) for name, each in domains.items()} == {
                name: tally(scored) for name, scored in self.by_domain[agent].items()
            }
            buckets: dict[str, list[Scored]] = defaultdict(list)
            for scored in self.by_domain[agent].values():
                for each in scored:
                    buckets[BUCKETS[each[0]]].append(each)
            curve = s.curve(agent)
            assert [(bucket.key, *bucket.tally) for bucket in curve] == [
                (key, *tally(buckets[key])) for key in sorted(buckets)
            ]

    def judgements_are_the_same(self, s: CalibrationStore) -> None:
        """The leaderboard, and the factors that follow."""
        sums = {agent: tally(scored) for agent, scored in self.overall.items() if len(scored) >= 10}
        ranked = sorted(sums, key=lambda agent: (-(1.0 - sums[agent][2] / sums[agent][0]), agent))
        page = s.leaderboard()
        assert [line.agent_name for line in page.items] == ranked
        factors = s.k_multipliers(AGENTS)
        assert factors == {agent: self.factor(agent) for agent in AGENTS}

    def factor(self, agent: str) -> float:
        """The factor on an agent's changes, from single predictions."""
        scored = [each for own in self.by_domain[agent].values() for each in own]
        if len(scored) >= 10:
            error = 0.0
            for sure, key in BUCKETS.items():
                own = [right for each, right in scored if each == sure]
                low, high = map(float, key.split("-"))
                error += abs(sum(own) - len(own) * (low + high) / 2) / len(scored)
            composite = 0.4 * error + 0.6 * tally(scored)[2] / len(scored)
        elif len(self.overall[agent]) >= 10:
            composite = tally(self.overall[agent])[2] / len(self.overall[agent])
        else:
            return 1.0
        return next((factor for limit, factor in ((0.1, 1.0), (0.2, 1.1), (0.3, 1.25)) if composite < limit), 1.4)


def test_calibration_machine(play: Callable[..., None]):
    """Any sequence of verbs: a difference is a prediction that was lost, counted twice or judged wrongly."""
    play(CalibrationMachine, examples=20, steps=20)
