"""`GenesisStore`: genomes, populations and the ledger of events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import uuid4

import sqlalchemy as sa

from aragora_db.engine.dialects import insert
from aragora_db.errors import ConflictError, InvalidValue, NotFoundError
from aragora_db.models import ActivePopulation, GenesisEvent, Genome, Population
from aragora_db.rules import genesis as rules
from aragora_db.rules import ledger as ledger_rules
from aragora_db.sql import json_array
from aragora_db.sql.locks import serialize
from aragora_db.stores import checks
from aragora_db.stores.base import Store
from aragora_db.stores.genesis.inputs import NewGenome, genome_row
from aragora_db.stores.genesis.ledger import LedgerReport, verify
from aragora_db.stores.paging import DEFAULT_LIMIT, Keyset, Page, check_limit
from aragora_db.stores.rows import check_rows, same_json
from aragora_db.types import json_text

__all__ = ["GenesisStore", "Lineage", "PopulationMembers"]

_FITTEST = Keyset(Genome.fitness_score.desc(), Genome.genome_id)
_YOUNGEST = Keyset(Genome.generation.desc(), Genome.genome_id)
_NEWEST_POPULATIONS = Keyset(Population.created_at.desc(), Population.population_id)
_LEDGER_ORDER = Keyset(GenesisEvent.timestamp, GenesisEvent.event_id)

_FRESH: Final = {"populate_existing": True}
_TICK: Final = timedelta(microseconds=1)


@dataclass(frozen=True)
class Lineage:
    """The ancestors of a genome.

    Attributes:
        generations: its parents, then their parents, and so on; each by id. A genome stands in the nearest only.
        missing: ids of ancestors that are not stored, sorted.
    """

    generations: tuple[tuple[Genome, ...], ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class PopulationMembers:
    """A population and its genomes.

    Attributes:
        population: the row.
        genomes: its genomes, in its order.
        missing: ids of genomes that are not stored; only imported populations have such.
    """

    population: Population
    genomes: tuple[Genome, ...]
    missing: tuple[str, ...]


class GenesisStore(Store):
    """Store genomes, populations and the ledger; see `Store` for its arguments.

    The verbs without a noun (`save`, `get`, `get_many`, `delete`) are about genomes. Every listing raises InvalidValue
    for a limit out of range and for an ``after`` that is not a token of this listing.
    """

    # Genomes

    def save(self, genome: NewGenome, *, updated_at: datetime | None = None) -> Genome:
        """Save a genome whole: a new one, or every field of one that is stored.

        Two things differ from Aragora. Its upsert forgets changes of name, traits and expertise, and reads a fitness of
        0.0 back as 0.5; here everything given is saved. And what other transactions add to (fitness and the counters)
        stays as it is stored when it is not given, so that saving new traits undoes no outcome.

        Args:
            genome: its values.
            updated_at: the time of this change; None means now.

        Returns:
            The genome as it is stored now.

        Raises:
            InvalidValue: a value is out of range; nothing is written.
        """
        updated_at = self._now(updated_at, "updated_at")
        row = genome_row(genome, updated_at)
        statement = insert(self.session, Genome).values(**{"created_at": updated_at} | row)
        statement = statement.on_conflict_do_update(
            index_elements=[Genome.genome_id],
            set_={name: statement.excluded[name] for name in row if name != "genome_id"},
        )
        return self.session.execute(statement.returning(Genome), execution_options=_FRESH).scalar_one()

    def get(self, genome_id: str) -> Genome | None:
        """Return a genome, or None."""
        return self._get(Genome, genome_id)

    def get_many(self, genome_ids: Iterable[str]) -> dict[str, Genome]:
        """Return several genomes by id, in the order asked for; those that do not exist are left out.

        Raises:
            InvalidValue: more than 10,000 ids, or one text instead of ids.
        """
        return self._get_many(Genome, "genome_ids", genome_ids)

    def record_outcome(
        self,
        genome_id: str,
        *,
        consensus: bool = False,
        critique_accepted: bool = False,
        prediction_correct: bool = False,
        updated_at: datetime | None = None,
    ) -> Genome:
        """Count one more debate of a genome with its outcome, and compute its fitness from the counters.

        Every call counts: call it once per debate, in the transaction that records the debate.

        Args:
            genome_id: the genome.
            consensus: it contributed to the consensus.
            critique_accepted: a critique of it was accepted.
            prediction_correct: its prediction was right.
            updated_at: the time of this change; None means now.

        Returns:
            The genome as it is now.

        Raises:
            InvalidValue: ``updated_at`` has no time zone.
            NotFoundError: there is no such genome.
        """
        updated_at = self._now(updated_at, "updated_at")
        # Not FOR UPDATE: transactions that save populations with this genome need not wait.
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
        genome.updated_at = updated_at
        self.session.flush()
        return genome

    def fittest(
        self, *, generation: int | None = None, limit: int = DEFAULT_LIMIT, after: str | None = None
    ) -> Page[Genome]:
        """Return genomes, fittest first, then by id.

        Args:
            generation: only this one; None means all.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the generation is negative.
        """
        statement = sa.select(Genome).execution_options(**_FRESH)
        if generation is not None:
            statement = statement.where(Genome.generation == checks.count("generation", generation))
        return self._page(_FITTEST, statement, limit=limit, after=after)

    def named(self, name: str, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[Genome]:
        """Return genomes of one name, youngest generation first, then by id.

        Args:
            name: the exact name.
            limit: rows per page.
            after: ``next`` of the page before.
        """
        statement = sa.select(Genome).where(Genome.name == name).execution_options(**_FRESH)
        return self._page(_YOUNGEST, statement, limit=limit, after=after)

    def lineage(self, genome_id: str) -> Lineage:
        """Return the ancestors of a genome, with one query per generation. A cycle of parents is followed once.

        Raises:
            NotFoundError: there is no such genome.
        """
        start = self.get(genome_id)
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

    def delete(self, genome_id: str) -> None:
        """Delete a genome. Its descendants keep its id among their parents.

        Raises:
            NotFoundError: there is no such genome.
            ConflictError: a population has it; save the population without it first.
        """
        # `save_population` takes a shared lock on its genomes. So either this transaction sees the population, or the
        # other one waits and then finds the genome gone.
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
        statement = sa.select(Genome).where(Genome.genome_id.in_(genome_ids))
        return {genome.genome_id: genome for genome in self.session.scalars(statement, execution_options=_FRESH)}

    # Populations

    def save_population(
        self, population_id: str, genome_ids: Iterable[str], *, generation: int = 0, created_at: datetime | None = None
    ) -> Population:
        """Save which genomes a population has. Its debates stay: `append_debate` adds to them.

        Args:
            population_id: its id; a stored population with this id is replaced.
            genome_ids: its genomes in order, at most 8.
            generation: the number of generations it went through.
            created_at: the time of its birth; a stored population keeps its own. None means now.

        Returns:
            The population as it is stored now.

        Raises:
            InvalidValue: too many genomes, or one twice.
            NotFoundError: a genome is not stored; nothing is written.
        """
        checks.name("population_id", population_id)
        created_at = self._now(created_at, "created_at")
        members = checks.names("genome_ids", genome_ids)
        values = {"genome_ids": members, "generation": checks.count("generation", generation)}
        if len(members) > rules.MAX_POPULATION:
            raise InvalidValue(
                f"genome_ids has {len(members)} genomes; a population has at most {rules.MAX_POPULATION}"
            )
        # A shared lock, against `delete`: what is found here stays until this transaction ends.
        found = self.session.scalars(
            sa.select(Genome.genome_id)
            .where(Genome.genome_id.in_(members))
            .order_by(Genome.genome_id)
            .with_for_update(read=True, key_share=True)
        ).all()
        if lacking := [member for member in members if member not in found]:
            raise NotFoundError(f"there is no genome {', '.join(lacking)}; save it with GenesisStore.save first")
        statement = insert(self.session, Population).values(
            population_id=population_id, created_at=created_at, debate_history=[], **values
        )
        statement = statement.on_conflict_do_update(
            index_elements=[Population.population_id], set_={name: statement.excluded[name] for name in values}
        )
        return self.session.execute(statement.returning(Population), execution_options=_FRESH).scalar_one()

    def population(self, population_id: str) -> PopulationMembers | None:
        """Return a population with its genomes, or None."""
        population = self._get(Population, population_id)
        return None if population is None else self._members(population)

    def populations(self, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[Population]:
        """Return populations, youngest first, then by id.

        Args:
            limit: rows per page.
            after: ``next`` of the page before.
        """
        statement = sa.select(Population).execution_options(**_FRESH)
        return self._page(_NEWEST_POPULATIONS, statement, limit=limit, after=after)

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

    def active_population(self) -> PopulationMembers | None:
        """Return the active population with its genomes, or None."""
        statement = sa.select(Population).join(
            ActivePopulation, ActivePopulation.population_id == Population.population_id
        )
        population = self.session.scalars(statement, execution_options=_FRESH).one_or_none()
        return None if population is None else self._members(population)

    def append_debate(self, population_id: str, debate_id: str) -> Population:
        """Append a debate to a population's history, once.

        The database appends in one statement, so transactions that do so at the same time lose nothing.

        Returns:
            The population as it is stored now.

        Raises:
            InvalidValue: ``debate_id`` is blank.
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
        """Delete a population; its genomes stay.

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

    def _members(self, population: Population) -> PopulationMembers:
        wanted: list[str] = population.genome_ids or []
        found = self._by_id(wanted)
        return PopulationMembers(
            population,
            tuple(found[genome_id] for genome_id in wanted if genome_id in found),
            tuple(genome_id for genome_id in wanted if genome_id not in found),
        )

    # The ledger: events are never changed or deleted

    def append_event(
        self,
        event_type: str,
        data: Mapping[str, Any],
        *,
        parent_event_id: str | None = None,
        event_id: str | None = None,
        timestamp: datetime | None = None,
    ) -> GenesisEvent:
        """Append an event to the ledger, after its newest one.

        One transaction at a time appends, so make it the last thing a unit of work does. What is hashed holds the
        parent's hash, so the events are a chain; see `verify_ledger` for what it proves. An event is always later than
        its parent: where a clock is behind, the event gets the parent's time plus a microsecond, so that the newest
        event is always the end of the chain.

        Args:
            event_type: what happened, such as ``agent_birth``.
            data: JSON values that tell more.
            parent_event_id: the event it follows from; None means the ledger's newest. With another parent the ledger
                becomes a tree; the end of a branch is protected by no later event.
            event_id: its id, so that a repeated call adds nothing; None makes a UUID.
            timestamp: when it happened; None means now.

        Returns:
            The event; the stored one when its id was there with the same content. Content is the type, the data and,
            where it is given, the parent. The time is not.

        Raises:
            InvalidValue: a value that the ledger cannot keep.
            NotFoundError: there is no such parent.
            ConflictError: the id belongs to an event with other content.
        """
        checks.name("event_type", event_type)
        kept = _portable(data)
        event_id = str(uuid4()) if event_id is None else checks.name("event_id", event_id)
        if timestamp is not None:
            checks.instant("timestamp", timestamp)
        row = {"event_id": event_id, "event_type": event_type, "parent_event_id": parent_event_id}
        check_rows(self.session, GenesisEvent, [row])
        serialize(self.session, "genesis ledger")
        stored = self.event(event_id)
        if stored is not None:
            return _same(stored, event_type, kept, parent_event_id)
        parent = self._parent(parent_event_id)
        # The clock is read behind the lock: events are in the order of their times.
        instant = self._now(timestamp).astimezone(UTC)
        if parent is not None and instant <= parent.timestamp:
            instant = parent.timestamp + _TICK
        text = ledger_rules.hashed_text(
            event_id,
            event_type,
            instant,
            parent_event_id=None if parent is None else parent.event_id,
            parent_hash=None if parent is None else parent.content_hash,
            data=kept,
        )
        event = GenesisEvent(
            event_id=event_id,
            event_type=event_type,
            timestamp=instant,
            parent_event_id=None if parent is None else parent.event_id,
            content_hash=ledger_rules.content_hash(text),
            data=kept,
            hashed_text=text,
        )
        self.session.add(event)
        self.session.flush()
        return event

    def event(self, event_id: str) -> GenesisEvent | None:
        """Return an event, or None."""
        return self._get(GenesisEvent, event_id)

    def events(
        self,
        *,
        event_type: str | None = None,
        since: datetime | None = None,
        limit: int = DEFAULT_LIMIT,
        after: str | None = None,
    ) -> Page[GenesisEvent]:
        """Return events in the ledger's order: oldest first, then by id.

        Args:
            event_type: only this type; None means all.
            since: only from this time on; None means all.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: ``since`` has no time zone.
        """
        statement = sa.select(GenesisEvent)
        if event_type is not None:
            statement = statement.where(GenesisEvent.event_type == event_type)
        if since is not None:
            statement = statement.where(GenesisEvent.timestamp >= checks.instant("since", since))
        return self._page(_LEDGER_ORDER, statement, limit=limit, after=after)

    def children(self, event_id: str, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[GenesisEvent]:
        """Return the events that follow from an event, in the ledger's order.

        Args:
            event_id: their parent.
            limit: rows per page.
            after: ``next`` of the page before.
        """
        statement = sa.select(GenesisEvent).where(GenesisEvent.parent_event_id == event_id)
        return self._page(_LEDGER_ORDER, statement, limit=limit, after=after)

    def verify_ledger(self, *, anchors: Iterable[str] = (), limit: int = DEFAULT_LIMIT) -> LedgerReport:
        """Read the whole ledger and check every event against its text, its hash and its parent.

        Aragora's events (no parent's hash in their text) are verified one by one; those written by `append_event` as a
        chain. The table is read in one pass, with constant memory.

        A chain that lies in one table cannot prove everything. A writer of the table can delete the newest event, or
        any that is no other event's parent (most of Aragora's own), and this check cannot see it. A writer who
        rewrites an event together with all that follow it, hashes included, has made a valid chain. So keep ``head`` of
        a report out of reach of that writer, such as in a log or on another machine, and pass it as an anchor later: as
        long as an event has that hash and nothing is broken, it and every event before it in its chain are unchanged.

        Args:
            anchors: content hashes noted earlier.
            limit: the number of broken events to list; all are counted.

        Raises:
            InvalidValue: the limit is out of range.
        """
        return verify(self.session, checks.names("anchors", anchors), check_limit(limit))

    def _parent(self, event_id: str | None) -> _Parent | None:
        statement = sa.select(GenesisEvent.event_id, GenesisEvent.timestamp, GenesisEvent.content_hash)
        if event_id is None:
            statement = statement.order_by(GenesisEvent.timestamp.desc(), GenesisEvent.event_id.desc()).limit(1)
        else:
            statement = statement.where(GenesisEvent.event_id == event_id)
        row = self.session.execute(statement).first()
        if row is None and event_id is not None:
            raise NotFoundError(f"there is no event {event_id!r} to be the parent; leave it out for the newest")
        return None if row is None else _Parent(*row)


class _Parent(NamedTuple):
    event_id: str
    timestamp: datetime
    content_hash: str


def _no_genome(genome_id: str) -> NotFoundError:
    return NotFoundError(f"there is no genome {genome_id!r}; save it with GenesisStore.save first")


def _no_population(population_id: str) -> NotFoundError:
    return NotFoundError(f"there is no population {population_id!r}; save it with save_population first")


def _portable(data: Any) -> dict[str, Any]:
    """Return the data as they will be read back: the hashed text and the column have to agree."""
    if not isinstance(data, Mapping):
        raise InvalidValue(f"data is a {type(data).__name__}; pass a mapping of names to JSON values")
    try:
        kept: dict[str, Any] = json_text.portable(dict(data))  # pyright: ignore[reportUnknownArgumentType]
    except ValueError as problem:
        raise InvalidValue(f"data takes JSON that both databases keep: {problem}") from None
    return kept


def _same(stored: GenesisEvent, event_type: str, data: dict[str, Any], parent: str | None) -> GenesisEvent:
    is_same = stored.event_type == event_type and same_json(stored.data, data)
    if not is_same or parent not in {None, stored.parent_event_id}:
        raise ConflictError(
            f"event {stored.event_id} is in the ledger with other content; give a new event an id of its own"
        )
    return stored
