"""Genomes and populations. A mistake here loses what agents were bred for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from aragora_db.errors import ConflictError, InvalidValue, NotFoundError
from aragora_db.models import Genome, Population
from aragora_db.stores import GenesisStore, NewGenome
from aragora_db.testing.engines import EngineDatabase

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def store(work: Callable[[GenesisStore], Any]) -> Callable[[Session], Any]:
    """A unit of work over a store."""
    return lambda session: work(GenesisStore(session))


def save(*ids: str, **fields: Any) -> Callable[[Session], None]:
    """Saves genomes that are named like their ids."""

    def work(session: Session) -> None:
        for genome_id in ids:
            GenesisStore(session).save(NewGenome(genome_id, genome_id=genome_id, **fields))

    return work


def test_every_field_is_saved_and_saved_again(database: EngineDatabase):
    """Aragora's upsert forgets new traits: an agent that mutated would wake up as it was before."""
    first = {
        "traits": {"thorough": 1.0, "direct": 0.25},
        "expertise": {"security": 0.8},
        "model_preference": "claude",
        "parent_genomes": ["a", "b"],
        "generation": 3,
        "birth_debate_id": "d1",
        "fitness_score": 0.75,
        "consensus_contributions": 1,
        "critiques_accepted": 2,
        "predictions_correct": 3,
        "debates_participated": 5,
    }
    second = {
        "traits": {},
        "expertise": {"testing": 0.1},
        "model_preference": None,
        "parent_genomes": [],
        "generation": 4,
        "birth_debate_id": None,
        "fitness_score": 0.0,
        "consensus_contributions": 0,
        "critiques_accepted": 0,
        "predictions_correct": 0,
        "debates_participated": 0,
    }
    for name, fields in (("one", first), ("two", second)):
        saved = database.run(store(lambda s: s.save(NewGenome(name, genome_id="g", **fields), updated_at=NOON)))  # noqa: B023
        read = database.run(store(lambda s: s.get("g")))
        for genome in (saved, read):
            assert {field: getattr(genome, field) for field in fields} == fields
            assert (genome.name, genome.created_at, genome.updated_at) == (name, NOON, NOON)


def test_saving_traits_keeps_what_others_count(database: EngineDatabase):
    """A process that mutates a genome must not take back the debates that others counted meanwhile."""
    born = database.run(store(lambda s: s.save(NewGenome("a", genome_id="g", created_at=NOON))))
    assert (born.fitness_score, born.debates_participated, born.created_at) == (0.5, 0, NOON)
    database.run(store(lambda s: s.record_outcome("g", consensus=True)))
    later = NOON + timedelta(days=1)
    genome = database.run(
        store(lambda s: s.save(NewGenome("b", genome_id="g", traits={"direct": 1}), updated_at=later))
    )
    assert (genome.name, genome.traits) == ("b", {"direct": 1})
    assert (genome.fitness_score, genome.debates_participated) == (0.4, 1)
    assert (genome.created_at, genome.updated_at) == (NOON, later)


def test_an_id_is_made_and_makes_a_new_genome(database: EngineDatabase):
    """Two siblings of equal genes are two agents; one id would merge them."""
    one = database.run(store(lambda s: s.save(NewGenome("a"), updated_at=NOON)))
    two = database.run(store(lambda s: s.save(NewGenome("a"), updated_at=NOON + timedelta(seconds=1))))
    assert one.genome_id != two.genome_id
    assert len(one.genome_id) == 12
    assert database.run(store(lambda s: s.save(NewGenome("a"), updated_at=NOON))).genome_id == one.genome_id


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": " "},
        {"traits": {"direct": 1.01}},
        {"traits": {"direct": float("nan")}},
        {"expertise": {"": 0.5}},
        {"parent_genomes": "abc"},
        {"parent_genomes": ["a", "a"]},
        {"generation": -1},
        {"fitness_score": 1.5},
        {"debates_participated": -1},
        {"genome_id": ""},
        {"genome_id": "x" * 1025},
        {"created_at": datetime(2026, 1, 1)},  # noqa: DTZ001 -- naive on purpose
    ],
)
def test_what_a_genome_cannot_be(database: EngineDatabase, wrong: dict[str, Any]):
    """A weight of 1.01 or a nameless genome would be bred from for generations."""
    with pytest.raises(InvalidValue):
        database.run(store(lambda s: s.save(NewGenome(**({"name": "a", "genome_id": "g"} | wrong)))))
    assert database.run(store(lambda s: s.fittest())).items == ()


def test_outcomes_make_the_fitness(database: EngineDatabase):
    """The rows of Aragora's real file: 1, 2 and 3 of 5 make 0.38."""
    database.run(save("g"))
    for number in range(5):
        genome = database.run(
            store(
                lambda s: s.record_outcome(
                    "g",
                    consensus=number < 1,  # noqa: B023
                    critique_accepted=number < 2,  # noqa: B023
                    prediction_correct=number < 3,  # noqa: B023
                    updated_at=NOON,
                )
            )
        )
    assert genome.fitness_score == pytest.approx(0.38)
    assert database.run(store(lambda s: s.get("g"))).updated_at == NOON
    with pytest.raises(NotFoundError):
        database.run(store(lambda s: s.record_outcome("nobody")))


def test_a_fitness_of_zero_stays_zero(database: EngineDatabase):
    """Aragora reads 0.0 back as 0.5: the worst genome would look average."""
    database.run(save("g"))
    database.run(store(lambda s: s.record_outcome("g")))
    assert database.run(store(lambda s: s.get("g"))).fitness_score == 0.0


def test_the_fittest_and_the_named(database: EngineDatabase):
    """Selection takes the best; without a total order two runs would breed from different parents."""

    def fill(session: Session) -> None:
        for genome_id, score, generation in (("c", 0.5, 1), ("a", 0.5, 0), ("b", 0.9, 1), ("d", 0.1, 2)):
            GenesisStore(session).save(
                NewGenome("same", genome_id=genome_id, fitness_score=score, generation=generation)
            )

    database.run(fill)
    assert pages(database, lambda s, after: s.fittest(limit=2, after=after)) == ["b", "a", "c", "d"]
    assert pages(database, lambda s, after: s.fittest(generation=1, limit=1, after=after)) == ["b", "c"]
    assert pages(database, lambda s, after: s.named("same", limit=3, after=after)) == ["d", "b", "c", "a"]
    assert database.run(store(lambda s: s.named("other"))).items == ()
    assert list(database.run(store(lambda s: s.get_many(["d", "x", "a", "d"])))) == ["d", "a"]


def pages(database: EngineDatabase, listing: Callable[[GenesisStore, str | None], Any]) -> list[str]:
    """All pages of a listing."""
    found: list[str] = []
    after = None
    while True:
        page = database.run(store(lambda s: listing(s, after)))  # noqa: B023
        found.extend(genome.genome_id for genome in page.items)
        after = page.next
        if after is None:
            return found


def test_too_many_ids(database: EngineDatabase):
    """A statement of a million parameters would be refused by the server, in words nobody understands."""
    with pytest.raises(InvalidValue, match="10000"):
        database.run(store(lambda s: s.get_many(map(str, range(10_001)))))


def test_lineage(database: EngineDatabase):
    """An ancestor is found once, in its nearest generation; circles of hand-written rows end."""

    def fill(session: Session) -> None:
        for child, parents in {"a": ["b", "c"], "b": ["d", "c"], "c": ["e", "gone"], "d": ["a"], "e": []}.items():
            GenesisStore(session).save(NewGenome(child, genome_id=child, parent_genomes=parents))

    database.run(fill)
    lineage = database.run(store(lambda s: s.lineage("a")))
    assert [[genome.genome_id for genome in generation] for generation in lineage.generations] == [
        ["b", "c"],
        ["d", "e"],
    ]
    assert lineage.missing == ("gone",)
    assert database.run(store(lambda s: s.lineage("e"))).generations == ()
    with pytest.raises(NotFoundError):
        database.run(store(lambda s: s.lineage("gone")))


def test_populations(database: EngineDatabase):
    """A population keeps the order of its genomes, and its debates when it is saved again."""
    database.run(save("b", "a", "c"))
    database.run(store(lambda s: s.save_population("p", ["c", "a"], created_at=NOON)))
    for debate in ("d1", "d2", "d1", 'q"uote'):
        database.run(store(lambda s: s.append_debate("p", debate)))  # noqa: B023
    saved = database.run(store(lambda s: s.save_population("p", ["b", "a"], generation=2)))
    assert (saved.generation, saved.created_at) == (2, NOON)
    assert saved.debate_history == ["d1", "d2", 'q"uote']
    members = database.run(store(lambda s: s.population("p")))
    assert [genome.genome_id for genome in members.genomes] == ["b", "a"]
    assert members.missing == ()
    assert database.run(store(lambda s: s.population("other"))) is None
    database.run(store(lambda s: s.save_population("o", [], created_at=NOON)))
    first = database.run(store(lambda s: s.populations(limit=1)))
    second = database.run(store(lambda s: s.populations(limit=1, after=first.next)))
    assert [page.items[0].population_id for page in (first, second)] == ["o", "p"]
    assert second.next is None


def test_what_a_population_cannot_be(database: EngineDatabase):
    """A population of nine, or of genomes that are not there, could not be bred from."""
    database.run(save(*"abcdefghi"))
    for wrong in ("abcdefghi", "aa"):
        with pytest.raises(InvalidValue):
            database.run(store(lambda s: s.save_population("p", list(wrong))))  # noqa: B023
    with pytest.raises(NotFoundError, match="x, y"):
        database.run(store(lambda s: s.save_population("p", ["a", "x", "y"])))
    for verb in (
        store(lambda s: s.append_debate("p", "d")),
        store(lambda s: s.set_active_population("p")),
        store(lambda s: s.delete_population("p")),
    ):
        with pytest.raises(NotFoundError, match="'p'"):
            database.run(verb)


def test_the_active_population(database: EngineDatabase):
    """One population is active, or none; the active one cannot vanish."""
    database.run(save("a"))
    assert database.run(store(lambda s: s.active_population())) is None
    for population in ("p", "q"):
        database.run(store(lambda s: s.save_population(population, ["a"])))  # noqa: B023
        database.run(store(lambda s: s.set_active_population(population)))  # noqa: B023
    active = database.run(store(lambda s: s.active_population()))
    assert (active.population.population_id, active.genomes[0].genome_id) == ("q", "a")
    with pytest.raises(ConflictError):
        database.run(store(lambda s: s.delete_population("q")))
    database.run(store(lambda s: s.delete_population("p")))
    database.run(store(lambda s: s.set_active_population(None)))
    assert database.run(store(lambda s: s.active_population())) is None


def test_a_genome_of_a_population_is_not_deleted(database: EngineDatabase):
    """A population with a hole in it would breed from nothing."""
    database.run(save("a", "b"))
    database.run(store(lambda s: s.save_population("p", ["a"])))
    with pytest.raises(ConflictError, match="population p"):
        database.run(store(lambda s: s.delete("a")))
    database.run(store(lambda s: s.delete("b")))
    with pytest.raises(NotFoundError):
        database.run(store(lambda s: s.delete("b")))


def test_imported_rows_with_nulls_and_holes(database: EngineDatabase):
    """Old files have populations of genomes that are gone, and NULL where a list should be."""

    def fill(session: Session) -> None:
        session.add_all(
            [
                Genome(genome_id="a", name="a", parent_genomes=None),
                Population(population_id="p", genome_ids=["a", "gone"], debate_history=None),
                Population(population_id="q", genome_ids=None),
            ]
        )

    database.run(fill)
    members = database.run(store(lambda s: s.population("p")))
    assert ([genome.genome_id for genome in members.genomes], members.missing) == (["a"], ("gone",))
    assert database.run(store(lambda s: s.append_debate("p", "d"))).debate_history == ["d"]
    assert database.run(store(lambda s: s.population("q"))).genomes == ()
    assert database.run(store(lambda s: s.lineage("a"))).generations == ()


def test_reads_in_the_same_session_are_fresh(database: EngineDatabase):
    """A unit of work that writes and reads must see what it wrote."""

    def work(session: Session) -> list[Any]:
        genesis = GenesisStore(session)
        genome = genesis.save(NewGenome("a", genome_id="g", traits={"x": 0.1}))
        genesis.save(NewGenome("a", genome_id="g", traits={"x": 0.2}))
        genesis.save_population("p", ["g"])
        genesis.append_debate("p", "d1")
        genesis.append_debate("p", "d2")
        return [genome.traits, genesis.population("p").population.debate_history]

    assert database.run(work) == [{"x": 0.2}, ["d1", "d2"]]
