"""Populations: which genomes compete, in which debates, and which population is active."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.engine.dialects import insert
from aragora_db.errors import ConflictError, InvalidValue, NotFoundError
from aragora_db.models import ActivePopulation, Genome, Population
from aragora_db.models.base import utcnow
from aragora_db.rules.genesis import MAX_POPULATION
from aragora_db.sql import json_array
from aragora_db.stores import checks
from aragora_db.stores.paging import Keyset, Page

__all__ = ["Members", "Populations"]

_NEWEST = Keyset(Population.created_at.desc(), Population.population_id)


@dataclass(frozen=True)
class Members:
    """A population and its genomes.

    Attributes:
        population: the row.
        genomes: its genomes, in its order.
        missing: ids of genomes that are not stored; only imported populations have such.
    """

    population: Population
    genomes: tuple[Genome, ...]
    missing: tuple[str, ...]


class Populations:
    """The part of `GenesisStore` about populations."""

    session: Session

    def save_population(
        self, population_id: str, genome_ids: Iterable[str], *, generation: int = 0, now: datetime | None = None
    ) -> Population:
        """Save which genomes a population has. Its debates stay: `append_debate` adds to them.

        Args:
            population_id: its id; one that is there is replaced.
            genome_ids: its genomes in order, at most 8.
            generation: how many generations it went through.
            now: when it was born, if it is new; the clock's time by default.

        Returns:
            The population as it is stored now.

        Raises:
            InvalidValue: too many genomes, or one twice.
            NotFoundError: a genome is not stored; nothing is written.
        """
        checks.name("population_id", population_id)
        checks.count("generation", generation)
        members = checks.names("genome_ids", genome_ids)
        if len(members) > MAX_POPULATION:
            raise InvalidValue(f"genome_ids has {len(members)} genomes; a population has at most {MAX_POPULATION}")
        # Shared with others who read, not with `delete_genome`: what is found stays until this is committed.
        found = self.session.scalars(
            sa.select(Genome.genome_id)
            .where(Genome.genome_id.in_(members))
            .order_by(Genome.genome_id)
            .with_for_update(read=True, key_share=True)
        ).all()
        if lacking := [member for member in members if member not in found]:
            raise NotFoundError(f"there is no genome {', '.join(lacking)}; save it with save_genome first")
        values = {"genome_ids": members, "generation": generation}
        statement = insert(self.session, Population).values(
            population_id=population_id, created_at=now or utcnow(), debate_history=[], **values
        )
        statement = statement.on_conflict_do_update(
            index_elements=[Population.population_id], set_={name: statement.excluded[name] for name in values}
        )
        return self.session.execute(
            statement.returning(Population), execution_options={"populate_existing": True}
        ).scalar_one()

    def population(self, population_id: str) -> Members | None:
        """A population with its genomes, or None."""
        population = self.session.get(Population, population_id, populate_existing=True)
        return None if population is None else self._members(population)

    def populations(self, *, limit: int = 100, after: str | None = None) -> Page[Population]:
        """Populations, youngest first, then by id.

        Args:
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or ``after`` is no token of this listing.
        """
        return _NEWEST.page(
            self.session,
            sa.select(Population).execution_options(populate_existing=True),
            limit=limit,
            after=after,
        )

    def set_active_population(self, population_id: str | None) -> None:
        """Make a population the active one; None leaves no population active.

        Raises:
            NotFoundError: there is no such population.
        """
        if population_id is not None:
            exists = sa.select(Population.population_id).where(Population.population_id == population_id)
            if self.session.scalars(exists.with_for_update(read=True, key_share=True)).first() is None:
                raise _no_population(population_id)
        statement = insert(self.session, ActivePopulation).values(id=1, population_id=population_id)
        self.session.execute(
            statement.on_conflict_do_update(
                index_elements=[ActivePopulation.id], set_={"population_id": statement.excluded.population_id}
            )
        )

    def active_population(self) -> Members | None:
        """The active population with its genomes; None when there is none."""
        statement = sa.select(Population).join(
            ActivePopulation, ActivePopulation.population_id == Population.population_id
        )
        population = self.session.scalars(statement.execution_options(populate_existing=True)).one_or_none()
        return None if population is None else self._members(population)

    def append_debate(self, population_id: str, debate_id: str) -> Population:
        """Add a debate to the end of a population's history, once.

        Two transactions can do so at the same time: the database adds to what is there then.

        Returns:
            The population as it is stored now.

        Raises:
            NotFoundError: there is no such population.
        """
        checks.name("debate_id", debate_id)
        statement = (
            sa.update(Population)
            .where(Population.population_id == population_id)
            .values(debate_history=json_array.appended_once(Population.debate_history, debate_id))
            .returning(Population)
        )
        options = {"populate_existing": True, "synchronize_session": False}
        population = self.session.execute(statement, execution_options=options).scalar_one_or_none()
        if population is None:
            raise _no_population(population_id)
        return population

    def delete_population(self, population_id: str) -> None:
        """Remove a population; its genomes stay.

        Raises:
            NotFoundError: there is no such population.
            ConflictError: it is the active one; make another one active first.
        """
        population = self.session.get(Population, population_id, with_for_update=True, populate_existing=True)
        if population is None:
            raise _no_population(population_id)
        if self.session.scalars(sa.select(ActivePopulation.population_id)).first() == population_id:
            raise ConflictError(f"population {population_id} is active; make another one active, then delete it")
        self.session.delete(population)
        self.session.flush()

    def _members(self, population: Population) -> Members:
        wanted: list[str] = population.genome_ids or []
        statement = sa.select(Genome).where(Genome.genome_id.in_(wanted)).execution_options(populate_existing=True)
        found = {genome.genome_id: genome for genome in self.session.scalars(statement)}
        return Members(
            population,
            tuple(found[genome_id] for genome_id in wanted if genome_id in found),
            tuple(genome_id for genome_id in wanted if genome_id not in found),
        )


def _no_population(population_id: str) -> NotFoundError:
    return NotFoundError(f"there is no population {population_id!r}; save it with save_population first")
