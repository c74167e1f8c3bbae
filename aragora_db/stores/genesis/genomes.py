"""Genomes: saved whole, ranked by fitness, traced back to their ancestors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.engine.dialects import insert
from aragora_db.errors import ConflictError, InvalidValue, NotFoundError
from aragora_db.models import Genome, Population
from aragora_db.models.base import utcnow
from aragora_db.rules import genesis as rules
from aragora_db.sql import json_array
from aragora_db.stores import checks
from aragora_db.stores.paging import MAX_LIMIT, Keyset, Page
from aragora_db.stores.rows import check_rows

__all__ = ["Genomes", "Lineage"]

_FITTEST = Keyset(Genome.fitness_score.desc(), Genome.genome_id)
_YOUNGEST = Keyset(Genome.generation.desc(), Genome.genome_id)
_COUNTERS = ("consensus_contributions", "critiques_accepted", "predictions_correct", "debates_participated")


@dataclass(frozen=True)
class Lineage:
    """Where a genome comes from.

    Attributes:
        generations: its parents, then their parents, and so on; each by id. A genome stands in the nearest only.
        missing: ids of ancestors that are not stored (any more), in order.
    """

    generations: tuple[tuple[Genome, ...], ...]
    missing: tuple[str, ...]


class Genomes:
    """The part of `GenesisStore` about genomes."""

    session: Session

    def save_genome(
        self,
        name: str,
        *,
        genome_id: str | None = None,
        traits: Mapping[str, float] | None = None,
        expertise: Mapping[str, float] | None = None,
        model_preference: str | None = None,
        parent_genomes: Iterable[str] = (),
        generation: int = 0,
        birth_debate_id: str | None = None,
        fitness_score: float | None = None,
        consensus_contributions: int | None = None,
        critiques_accepted: int | None = None,
        predictions_correct: int | None = None,
        debates_participated: int | None = None,
        created_at: datetime | None = None,
        now: datetime | None = None,
    ) -> Genome:
        """Save a genome whole: a new one, or every field of one that is there.

        Two things are mended. Aragora's upsert forgets changes of name, traits and expertise, and reads a fitness of
        0.0 back as 0.5; here everything given is saved. And what other transactions add to (fitness and the counters)
        stays as it is stored when it is not given, so that saving new traits undoes no outcome.

        Args:
            name: the agent's name; several genomes can have it.
            genome_id: its id; None makes one (`aragora_db.rules.genesis.genome_id`), and with it a new genome.
            traits: weights, 0 to 1, by trait.
            expertise: weights, 0 to 1, by domain.
            model_preference: the model it runs on best.
            parent_genomes: ids of the genomes it came from; they need not be stored.
            generation: how many generations came before, 0 for the first.
            birth_debate_id: the debate it was born in.
            fitness_score: 0 to 1; None keeps what is stored, 0.5 for a new one.
            consensus_contributions: this and the next three are counters; None keeps what is stored, 0 for a new one.
            critiques_accepted: as above.
            predictions_correct: as above.
            debates_participated: as above.
            created_at: when it was born; None keeps what is stored, ``now`` for a new one.
            now: the time of this change; the clock's by default.

        Returns:
            The genome as it is stored now.

        Raises:
            InvalidValue: an argument is out of range; nothing is written.
        """
        now = now or utcnow()
        genes = rules.Genes(_weights("traits", traits), _weights("expertise", expertise))
        parents = checks.names("parent_genomes", parent_genomes)
        checks.name("name", name)
        values: dict[str, Any] = {
            "name": name,
            "traits": genes.traits,
            "expertise": genes.expertise,
            "model_preference": model_preference,
            "parent_genomes": parents,
            "generation": checks.count("generation", generation),
            "birth_debate_id": birth_debate_id,
            "updated_at": now,
        }
        counters = (consensus_contributions, critiques_accepted, predictions_correct, debates_participated)
        values |= {
            counter: checks.count(counter, value)
            for counter, value in zip(_COUNTERS, counters, strict=True)
            if value is not None
        }
        if fitness_score is not None:
            values["fitness_score"] = checks.share("fitness_score", fitness_score)
        if created_at is not None:
            values["created_at"] = created_at
        if genome_id is None:
            genome_id = rules.genome_id(name, genes, parents, now.isoformat())
        checks.name("genome_id", genome_id)
        statement = insert(self.session, Genome).values(**{"genome_id": genome_id, "created_at": now} | values)
        statement = statement.on_conflict_do_update(
            index_elements=[Genome.genome_id], set_={name: statement.excluded[name] for name in values}
        )
        return self.session.execute(
            statement.returning(Genome), execution_options={"populate_existing": True}
        ).scalar_one()

    def record_outcome(
        self,
        genome_id: str,
        *,
        consensus: bool = False,
        critique_accepted: bool = False,
        prediction_correct: bool = False,
        now: datetime | None = None,
    ) -> Genome:
        """Count one more debate of a genome, and what came of it; its fitness follows from the counters.

        Every call counts: call it once per debate, in the transaction that records the debate.

        Args:
            genome_id: the genome.
            consensus: it contributed to the consensus.
            critique_accepted: a critique of it was accepted.
            prediction_correct: its prediction was right.
            now: the time of this change; the clock's by default.

        Returns:
            The genome as it is now.

        Raises:
            NotFoundError: there is no such genome.
        """
        # Not FOR UPDATE: populations that have this genome are saved meanwhile.
        genome = self._locked(genome_id, {"key_share": True})
        genome.consensus_contributions += bool(consensus)
        genome.critiques_accepted += bool(critique_accepted)
        genome.predictions_correct += bool(prediction_correct)
        genome.debates_participated += 1
        genome.fitness_score = rules.fitness(
            genome.consensus_contributions,
            genome.critiques_accepted,
            genome.predictions_correct,
            genome.debates_participated,
        )
        genome.updated_at = now or utcnow()
        self.session.flush()
        return genome

    def genome(self, genome_id: str) -> Genome | None:
        """A genome by its id, or None."""
        return self.session.get(Genome, genome_id, populate_existing=True)

    def genomes(self, genome_ids: Iterable[str]) -> dict[str, Genome]:
        """Several genomes by id, in the order asked for; those that are not there are left out.

        Raises:
            InvalidValue: more than 10,000 ids.
        """
        wanted = list(dict.fromkeys(genome_ids))
        if len(wanted) > MAX_LIMIT:
            raise InvalidValue(f"genome_ids has {len(wanted)} ids; ask for at most {MAX_LIMIT} at a time")
        found = self._by_id(wanted)
        return {genome_id: found[genome_id] for genome_id in wanted if genome_id in found}

    def fittest(self, *, generation: int | None = None, limit: int = 10, after: str | None = None) -> Page[Genome]:
        """Genomes, fittest first, then by id.

        Args:
            generation: only this one.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or ``after`` is no token of this listing.
        """
        statement = sa.select(Genome)
        if generation is not None:
            statement = statement.where(Genome.generation == checks.count("generation", generation))
        return _FITTEST.page(
            self.session,
            statement.execution_options(populate_existing=True),
            limit=limit,
            after=after,
        )

    def named(self, name: str, *, limit: int = 100, after: str | None = None) -> Page[Genome]:
        """Genomes of one name, youngest generation first, then by id.

        Args:
            name: the exact name.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or ``after`` is no token of this listing.
        """
        return _YOUNGEST.page(
            self.session,
            sa.select(Genome).where(Genome.name == name).execution_options(populate_existing=True),
            limit=limit,
            after=after,
        )

    def lineage(self, genome_id: str) -> Lineage:
        """The ancestors of a genome, one query per generation; circles are gone through once.

        Raises:
            NotFoundError: there is no such genome.
        """
        start = self.genome(genome_id)
        if start is None:
            raise _no_genome(genome_id)
        seen, missing = {genome_id}, set[str]()
        generations: list[tuple[Genome, ...]] = []
        children: Iterable[Genome] = (start,)
        while wanted := sorted({parent for child in children for parent in child.parent_genomes or ()} - seen):
            seen.update(wanted)
            found = self._by_id(wanted)
            missing.update(set(wanted) - found.keys())
            children = tuple(found[parent] for parent in wanted if parent in found)
            if children:
                generations.append(children)
        return Lineage(tuple(generations), tuple(sorted(missing)))

    def delete_genome(self, genome_id: str) -> None:
        """Remove a genome. Its descendants keep its id among their parents.

        Raises:
            NotFoundError: there is no such genome.
            ConflictError: a population has it; save the population without it first.
        """
        # `save_population` shares this lock, so a population that is being saved is seen, or waits and finds it gone.
        genome = self._locked(genome_id, {"key_share": False})
        statement = sa.select(Population.population_id).where(json_array.has(Population.genome_ids, genome_id))
        population = self.session.scalars(statement.order_by(Population.population_id).limit(1)).first()
        if population is not None:
            raise ConflictError(
                f"genome {genome_id} is in population {population}; save the population without it, then delete it"
            )
        self.session.delete(genome)
        self.session.flush()

    def _locked(self, genome_id: str, lock: dict[str, bool]) -> Genome:
        genome = self.session.get(Genome, genome_id, with_for_update=lock, populate_existing=True)
        if genome is None:
            raise _no_genome(genome_id)
        return genome

    def _by_id(self, genome_ids: list[str]) -> dict[str, Genome]:
        check_rows(self.session, Genome, ({"genome_id": genome_id} for genome_id in genome_ids))
        statement = sa.select(Genome).where(Genome.genome_id.in_(genome_ids))
        rows = self.session.scalars(statement.execution_options(populate_existing=True))
        return {genome.genome_id: genome for genome in rows}


def _weights(argument: str, weights: Mapping[str, float] | None) -> dict[str, float]:
    return {
        checks.name(argument, name): checks.share(f"{argument}[{name!r}]", weight)
        for name, weight in (weights or {}).items()
    }


def _no_genome(genome_id: str) -> NotFoundError:
    return NotFoundError(f"there is no genome {genome_id!r}; save it with save_genome first")
