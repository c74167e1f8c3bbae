"""Personas against a model in plain Python, compared after every step."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aragora_db import Database
from aragora_db.rules.personas import Record, inferred_traits
from aragora_db.stores import PersonaStore

pytestmark = pytest.mark.slow

START = datetime(2026, 1, 1, tzinfo=UTC)
AGENTS, DOMAINS = ["a", "b", "é"], ["law", 'q"', "x.y"]
SHARES = st.sampled_from([0.0, 0.25, 0.5, 1.0])


class PersonaMachine(RuleBasedStateMachine):
    """The store and what it should hold."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.personas: dict[str, dict[str, Any]] = {}
        # In order of recording: agent, domain, success, time.
        self.actions: list[tuple[str, str, bool, datetime]] = []

    def run(self, work: Callable[[PersonaStore], Any]) -> Any:
        """One verb in one transaction."""
        return self.database.transact(lambda session: work(PersonaStore(session)))

    def persona(self, agent: str) -> dict[str, Any]:
        """The model's persona, created when there is none."""
        return self.personas.setdefault(agent, {"description": "", "traits": [], "expertise": {}})

    @rule(
        agent=st.sampled_from(AGENTS),
        given=st.fixed_dictionaries(
            {},
            optional={
                "description": st.sampled_from(["", "d"]),
                "traits": st.lists(st.sampled_from(["t", "u", "own"]), unique=True),
                "expertise": st.dictionaries(st.sampled_from(DOMAINS), SHARES),
            },
        ),
    )
    def upsert(self, agent: str, given: dict[str, Any]) -> None:
        """Create a persona, or change some of its fields."""
        self.run(lambda s: s.upsert(agent, **given))
        self.persona(agent).update(given)

    @rule(
        agent=st.sampled_from(AGENTS),
        domain=st.sampled_from(DOMAINS),
        results=st.lists(st.booleans(), min_size=1, max_size=30),
        hour=st.integers(0, 2),
    )
    def perform(self, agent: str, domain: str, results: list[bool], hour: int) -> None:
        """Record actions, possibly older than those that are there; more than a window in a few steps."""
        at = START + timedelta(hours=hour)
        found = self.run(
            lambda s: [s.record_performance(agent, domain, success=result, created_at=at) for result in results]
        )
        expertise = self.persona(agent)["expertise"]
        for result, got in zip(results, found, strict=True):
            self.actions.append((agent, domain, result, at))
            own = [each for each in self.actions if each[:2] == (agent, domain)]
            # Python's sort keeps the order of recording among equal times.
            window = sorted(own, key=lambda each: each[3])[::-1][:50]
            total = hits = 0.0
            for place, (_, _, success, _) in enumerate(window):
                total += 0.95**place
                hits += 0.95**place * success
            expertise[domain] = 0.7 * hits / total + 0.3 * expertise.get(domain, 0.5)
            assert got == pytest.approx(expertise[domain])

    @invariant()
    def everything_is_the_same(self) -> None:
        """Compare everything in one unit of work."""
        checks = (self.personas_are_the_same, self.rankings_are_the_same, self.records_are_the_same)
        self.run(lambda s: [check(s) for check in checks])

    def personas_are_the_same(self, s: PersonaStore) -> None:
        """Every field of every persona, and their order."""
        page = s.list().items
        assert [persona.agent_name for persona in page] == sorted(self.personas)
        for persona in page:
            expected = self.personas[persona.agent_name]
            assert (persona.description, persona.traits) == (expected["description"], expected["traits"])
            assert persona.expertise == pytest.approx(expected["expertise"])

    def rankings_are_the_same(self, s: PersonaStore) -> None:
        """Who is best in what. Values that differ by rounding only may come in either order."""
        rankings = [s.ranking(domain) for domain in DOMAINS]
        for domain, ranked in zip(DOMAINS, rankings, strict=True):
            values = {
                agent: each["expertise"][domain] for agent, each in self.personas.items() if domain in each["expertise"]
            }
            assert {each.agent_name: each.expertise for each in ranked} == pytest.approx(values)
            assert list(ranked) == sorted(ranked, key=lambda each: (-each.expertise, each.agent_name))

    def records_are_the_same(self, s: PersonaStore) -> None:
        """Counts and traits."""
        found = [(s.domain_records(agent), s.infer_traits(agent)) for agent in AGENTS]
        for agent, (records, traits) in zip(AGENTS, found, strict=True):
            own = [(domain, success) for name, domain, success, _ in self.actions if name == agent]
            counts = {
                domain: (sum(each[0] == domain for each in own), sum(each == (domain, True) for each in own))
                for domain, _ in own
            }
            assert {each.domain: (each.actions, each.successes) for each in records} == counts
            assert list(records) == sorted(records, key=lambda each: (-each.actions, each.domain))
            record = Record(len(own), len(own), sum(success for _, success in own), len(counts))
            assert traits == tuple(inferred_traits(record))


def test_persona_machine(play: Callable[..., None]):
    """Any sequence of verbs: a difference is an expertise that nobody can explain."""
    play(PersonaMachine, examples=10, steps=10)
