"""Genomes, populations and the ledger, written by several at the same time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.orm import Session

from aragora_db import Database
from aragora_db.errors import ConflictError, NotFoundError
from aragora_db.stores import GenesisStore, NewGenome

Race = Callable[[Sequence[Callable[[Session], Any]]], list[Any]]
EIGHT = range(8)


def prepare(database: Database, *genomes: str) -> None:
    """Stored genomes, and a population ``p`` of nobody."""

    def work(session: Session) -> None:
        for genome_id in genomes:
            GenesisStore(session).save(NewGenome(genome_id, genome_id=genome_id))
        GenesisStore(session).save_population("p", [])

    database.transact(work)


def test_appending_at_the_same_time_makes_one_line(plain_database: Database, race: Race):
    """Two events after the same one would be a fork, and the end of one branch could vanish unnoticed."""

    def append(number: int) -> Callable[[Session], Any]:
        return lambda session: GenesisStore(session).append_event("birth", {"n": number})

    race([append(number) for number in EIGHT])
    events = plain_database.transact(lambda session: GenesisStore(session).events()).items
    assert [event.parent_event_id for event in events] == [None, *(event.event_id for event in events[:-1])]
    assert plain_database.transact(lambda session: GenesisStore(session).verify_ledger()).intact


def test_the_same_event_at_the_same_time(plain_database: Database, race: Race):
    """Two workers report one event: it is in the ledger once, and both are told so."""
    found = race([lambda session: GenesisStore(session).append_event("birth", {}, event_id="e").content_hash] * 4)
    assert len(set(found)) == 1
    assert plain_database.transact(lambda session: GenesisStore(session).verify_ledger()).events == 1


def test_outcomes_at_the_same_time(plain_database: Database, race: Race):
    """An outcome that is lost is a genome that is judged wrongly."""
    prepare(plain_database, "g")
    race([lambda session: GenesisStore(session).record_outcome("g", consensus=True)] * 8)
    genome = plain_database.transact(lambda session: GenesisStore(session).get("g"))
    assert (genome.debates_participated, genome.consensus_contributions, genome.fitness_score) == (8, 8, 0.4)


def test_debates_at_the_same_time(plain_database: Database, race: Race):
    """A population's history keeps every debate, each once."""
    prepare(plain_database)

    def append(number: int) -> Callable[[Session], Any]:
        return lambda session: GenesisStore(session).append_debate("p", f"d{number // 2}")

    race([append(number) for number in EIGHT])
    history = plain_database.transact(lambda session: GenesisStore(session).population("p")).population.debate_history
    assert sorted(history) == ["d0", "d1", "d2", "d3"]


def test_a_genome_joins_a_population_while_it_is_deleted(plain_database: Database, race: Race):
    """Whoever is first wins: the population never names a genome that is gone."""

    def join(session: Session) -> str:
        try:
            GenesisStore(session).save_population("p", ["g"])
        except NotFoundError:
            return "deleted"
        return "joined"

    def delete(session: Session) -> str:
        try:
            GenesisStore(session).delete("g")
        except ConflictError:
            return "joined"
        return "deleted"

    for _ in range(5):
        prepare(plain_database, "g")
        first, second = race([join, delete])
        assert first == second
        members = plain_database.transact(lambda session: GenesisStore(session).population("p"))
        assert members.missing == ()


def test_one_id_saved_by_many(plain_database: Database, race: Race):
    """Saving is an upsert: nobody is told that the key exists."""

    def save(number: int) -> Callable[[Session], Any]:
        return lambda session: GenesisStore(session).save(NewGenome("a", genome_id="g", generation=number))

    race([save(number) for number in EIGHT])
    assert plain_database.transact(lambda session: GenesisStore(session).get("g")).generation in EIGHT
