"""PersonaStore: what an agent is, and what it has shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aragora_db.errors import InvalidValue
from aragora_db.models import Persona, PersonaPerformance
from aragora_db.stores import PersonaStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_upsert_changes_what_is_given(database):
    """Aragora set everything that was not given to empty."""
    first = database.run(
        lambda session: PersonaStore(session).upsert("ada", description="d", traits=["direct"], expertise={"x": 0.5})
    )
    assert (first.description, first.traits, first.expertise) == ("d", ["direct"], {"x": 0.5})
    second = database.run(lambda session: PersonaStore(session).upsert("ada", traits=["thorough"]))
    assert (second.description, second.traits, second.expertise) == ("d", ["thorough"], {"x": 0.5})
    blank = database.run(lambda session: PersonaStore(session).upsert("bob"))
    assert (blank.traits, blank.expertise) == ([], {})
    found = database.run(lambda session: list(PersonaStore(session).get_many(["bob", "nobody", "ada"])))
    assert found == ["bob", "ada"]


@pytest.mark.parametrize(
    "bad",
    [
        {"traits": "direct"},
        {"traits": ["a", "a"]},
        {"expertise": {"x": 1.5}},
        {"expertise": {" ": 0.5}},
        {"agent_name": ""},
    ],
    ids=str,
)
def test_bad_input_is_refused(database, bad):
    """Aragora drops what it does not know, without a word."""
    arguments = {"agent_name": "ada", **bad}
    with pytest.raises(InvalidValue):
        database.run(lambda session: PersonaStore(session).upsert(**arguments))
    assert database.run(lambda session: session.scalar(sa.select(sa.func.count()).select_from(Persona))) == 0


def test_performance_by_hand(database):
    """0.7 times the decayed score of the window, 0.3 times what was known; a half at first."""
    assert database.run(
        lambda session: PersonaStore(session).record_performance("ada", "x", success=True)
    ) == pytest.approx(0.7 * 1 + 0.3 * 0.5)
    second = database.run(lambda session: PersonaStore(session).record_performance("ada", "x", success=False))
    assert second == pytest.approx(0.7 * (0.95 / 1.95) + 0.3 * 0.85)
    persona = database.run(lambda session: PersonaStore(session).get("ada"))
    assert (persona.traits, persona.expertise) == ([], {"x": pytest.approx(second)})
    for bad in ({"success": None}, {"domain": ""}, {"agent_name": "a" * 2000}, {"now": datetime(2026, 1, 1)}):  # noqa: DTZ001
        arguments = {"agent_name": "ada", "domain": "x", "success": True, **bad}
        with pytest.raises(InvalidValue):
            database.run(lambda session, arguments=arguments: PersonaStore(session).record_performance(**arguments))
    rows = database.run(lambda session: session.scalar(sa.select(sa.func.count()).select_from(PersonaPerformance)))
    assert rows == 2


def test_the_window_is_fifty_in_its_own_domain(database):
    """Old failures and those in other fields do not count for ever."""

    def work(session):
        store = PersonaStore(session)
        for number in range(60):
            store.record_performance("ada", "x", success=number >= 10, now=NOW + timedelta(minutes=number))
            store.record_performance("ada", "y", success=False, now=NOW + timedelta(minutes=number))
        before = store.get("ada").expertise["x"]
        return before, store.record_performance("ada", "x", success=True, now=NOW + timedelta(hours=2))

    before, after = database.run(work)
    assert after == pytest.approx(0.7 + 0.3 * before)


def test_ranking_traits_and_records(database):
    """Best first, equal ones by name; only those who know the field."""

    def work(session):
        store = PersonaStore(session)
        for name, value in (("b", 0.5), ("a", 0.5), ("c", 0.9)):
            store.upsert(name, expertise={"x": value})
        store.upsert("d", expertise={"y": 1.0})
        for number in range(6):
            store.record_performance("e", f"field-{number}", success=True)
        return (
            [(each.agent_name, each.expertise) for each in store.ranking("x")],
            store.infer_traits("e"),
            [each.domain for each in store.domain_records("e")],
            [each.agent_name for each in store.list(limit=2).items],
        )

    ranking, traits, domains, listed = database.run(work)
    assert ranking == [("c", 0.9), ("a", 0.5), ("b", 0.5)]
    assert {"thorough", "pragmatic"} <= set(traits)
    assert domains == [f"field-{number}" for number in range(6)]
    assert listed == ["a", "b"]


def test_nothing_is_lost_between_processes(race, plain_database):
    """Aragora reads and writes the expertise without a lock."""
    works = [
        lambda session, domain=f"field-{number % 4}": PersonaStore(session).record_performance(
            "ada", domain, success=True
        )
        for number in range(12)
    ]
    race(works)
    persona = plain_database.transact(lambda session: PersonaStore(session).get("ada"))
    assert set(persona.expertise) == {f"field-{number}" for number in range(4)}
    alone = 0.5
    for _ in range(3):
        alone = 0.7 + 0.3 * alone
    assert list(persona.expertise.values()) == pytest.approx([alone] * 4)


class PersonaMachine(RuleBasedStateMachine):
    """The model: expertise by agent, and every action in order."""

    def __init__(self, database):
        super().__init__()
        self.database = database

    @initialize()
    def begin(self):
        """Nobody is known."""
        self.personas, self.actions = {}, []

    @rule(
        agent=st.sampled_from("ab"),
        expertise=st.none() | st.dictionaries(st.sampled_from("xy"), st.sampled_from([0.0, 0.25, 1.0])),
    )
    def upsert(self, agent, expertise):
        """Create or change."""
        self.database.transact(lambda session: PersonaStore(session).upsert(agent, expertise=expertise))
        if expertise is not None or agent not in self.personas:
            self.personas[agent] = dict(expertise or {})

    @rule(agent=st.sampled_from("ab"), domain=st.sampled_from("xy"), success=st.booleans())
    def perform(self, agent, domain, success):
        """Succeed or fail."""
        got = self.database.transact(lambda session: PersonaStore(session).record_performance(agent, domain, success))
        self.actions.append((agent, domain, success))
        window = [done for who, where, done in reversed(self.actions) if (who, where) == (agent, domain)][:50]
        weights = [0.95**age for age in range(len(window))]
        score = sum(weight * done for weight, done in zip(weights, window, strict=True)) / sum(weights)
        known = self.personas.setdefault(agent, {})
        known[domain] = 0.7 * score + 0.3 * known.get(domain, 0.5)
        assert got == pytest.approx(known[domain])

    @invariant()
    def agrees(self):
        """Personas, rankings and history."""
        stored = self.database.transact(lambda session: PersonaStore(session).get_many(["a", "b"]))
        assert {name: persona.expertise for name, persona in stored.items()} == {
            name: pytest.approx(expertise) for name, expertise in self.personas.items()
        }
        ranked = self.database.transact(
            lambda session: [each.agent_name for each in PersonaStore(session).ranking("x")]
        )
        assert sorted(ranked) == sorted(name for name, known in self.personas.items() if "x" in known)
        history = self.database.transact(lambda session: PersonaStore(session).history("a").items)
        assert [each.success for each in history] == [done for who, _, done in reversed(self.actions) if who == "a"]


def test_any_sequence(play):
    """A difference here is an action that some order of calls forgets or counts twice."""
    play(PersonaMachine)
