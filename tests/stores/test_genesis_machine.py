"""Genomes, populations and the ledger against a model in plain Python, compared after every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aragora_db import Database
from aragora_db.errors import ConflictError, NotFoundError
from aragora_db.rules import genesis
from aragora_db.stores import GenesisStore, NewGenome

pytestmark = pytest.mark.slow

IDS = st.sampled_from("abc")
POPULATIONS = st.sampled_from("pq")
WEIGHTS = st.dictionaries(st.sampled_from(["x", "yy", "z"]), st.sampled_from([0, 0.1, 0.5, 1.0]), max_size=3)
EVENTS = st.sampled_from(["e1", "e2", "e3"])
DATA = st.sampled_from([{}, {"n": 1}, {"n": True}, {"n": [1e20, None]}])


class GenesisMachine(RuleBasedStateMachine):
    """The store and what it should hold."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.genomes: dict[str, dict[str, Any]] = {}
        self.populations: dict[str, tuple[list[str], list[str]]] = {}
        self.active: str | None = None
        self.events: dict[str, tuple[str, str, str | None]] = {}
        self.newest: str | None = None

    def run(self, work: Callable[[GenesisStore], Any]) -> Any:
        """One verb in one transaction."""
        return self.database.transact(lambda session: work(GenesisStore(session)))

    @rule(id_=IDS, traits=WEIGHTS, parents=st.lists(IDS, unique=True), score=st.none() | st.sampled_from([0.0, 0.7]))
    def save(self, id_: str, traits: dict[str, float], parents: list[str], score: float | None) -> None:
        """Save a genome; without a fitness it keeps its own."""
        self.run(
            lambda s: s.save(NewGenome("n", genome_id=id_, traits=traits, parent_genomes=parents, fitness_score=score))
        )
        genome = self.genomes.setdefault(id_, {"fitness": 0.5, "counters": (0, 0, 0, 0)})
        genome |= {"traits": traits, "parents": parents}
        if score is not None:
            genome["fitness"] = score

    @rule(id_=IDS, came=st.tuples(st.booleans(), st.booleans(), st.booleans()))
    def outcome(self, id_: str, came: tuple[bool, bool, bool]) -> None:
        """Count a debate."""

        def record(store: GenesisStore) -> Any:
            return store.record_outcome(id_, consensus=came[0], critique_accepted=came[1], prediction_correct=came[2])

        if id_ not in self.genomes:
            with pytest.raises(NotFoundError):
                self.run(record)
            return
        self.run(record)
        genome = self.genomes[id_]
        genome["counters"] = tuple(map(sum, zip(genome["counters"], (*came, True), strict=True)))
        genome["fitness"] = genesis.fitness(*genome["counters"])

    @rule(id_=IDS)
    def delete(self, id_: str) -> None:
        """Delete a genome that no population has."""
        expected = None
        if id_ not in self.genomes:
            expected = NotFoundError
        elif any(id_ in members for members, _ in self.populations.values()):
            expected = ConflictError
        if expected is not None:
            with pytest.raises(expected):
                self.run(lambda s: s.delete(id_))
            return
        self.run(lambda s: s.delete(id_))
        del self.genomes[id_]

    @rule(id_=POPULATIONS, members=st.lists(IDS, unique=True))
    def populate(self, id_: str, members: list[str]) -> None:
        """Save a population of genomes that are there."""
        if not self.genomes.keys() >= set(members):
            with pytest.raises(NotFoundError):
                self.run(lambda s: s.save_population(id_, members))
            return
        self.run(lambda s: s.save_population(id_, members))
        self.populations[id_] = (members, self.populations.get(id_, ([], []))[1])

    @rule(id_=POPULATIONS, debate=st.sampled_from(["d1", "d2"]))
    def debate(self, id_: str, debate: str) -> None:
        """Add a debate to a history, once."""
        if id_ not in self.populations:
            with pytest.raises(NotFoundError):
                self.run(lambda s: s.append_debate(id_, debate))
            return
        self.run(lambda s: s.append_debate(id_, debate))
        history = self.populations[id_][1]
        if debate not in history:
            history.append(debate)

    @rule(id_=st.none() | POPULATIONS)
    def activate(self, id_: str | None) -> None:
        """Make a population the active one."""
        if id_ is not None and id_ not in self.populations:
            with pytest.raises(NotFoundError):
                self.run(lambda s: s.set_active_population(id_))
            return
        self.run(lambda s: s.set_active_population(id_))
        self.active = id_

    @rule(id_=EVENTS, kind=st.sampled_from(["birth", "death"]), data=DATA, parent=st.none() | EVENTS)
    def append(self, id_: str, kind: str, data: dict[str, Any], parent: str | None) -> None:
        """Add an event, or find it there."""

        def work(store: GenesisStore) -> Any:
            return store.append_event(kind, data, event_id=id_, parent_event_id=parent)

        stored = self.events.get(id_)
        if stored is not None:
            if stored[:2] == (kind, repr(data)) and parent in {None, stored[2]}:
                assert self.run(work).parent_event_id == stored[2]
            else:
                with pytest.raises(ConflictError):
                    self.run(work)
        elif parent is not None and parent not in self.events:
            with pytest.raises(NotFoundError):
                self.run(work)
        else:
            assert self.run(work).parent_event_id == (parent or self.newest)
            self.events[id_] = (kind, repr(data), parent or self.newest)
            self.newest = id_

    @invariant()
    def the_same(self) -> None:
        """Everything reads as the model says, and the ledger is intact."""

        def read(store: GenesisStore) -> tuple[Any, ...]:
            genomes = {
                genome.genome_id: {
                    "fitness": genome.fitness_score,
                    "counters": (
                        genome.consensus_contributions,
                        genome.critiques_accepted,
                        genome.predictions_correct,
                        genome.debates_participated,
                    ),
                    "traits": genome.traits,
                    "parents": genome.parent_genomes,
                }
                for genome in store.fittest().items
            }
            populations = {row.population_id: (row.genome_ids, row.debate_history) for row in store.populations().items}
            active = store.active_population()
            report = store.verify_ledger()
            return genomes, populations, active and active.population.population_id, report.events, report.intact

        expected = (self.genomes, self.populations, self.active, len(self.events), True)
        found = self.run(read)
        assert found == expected
        assert list(found[0]) == sorted(self.genomes, key=lambda id_: (-self.genomes[id_]["fitness"], id_))


def test_genesis_machine(play: Callable[..., None]):
    """Any sequence of verbs: a difference is a genome, a population or an event that a program would get wrong."""
    play(GenesisMachine, examples=20, steps=25)
