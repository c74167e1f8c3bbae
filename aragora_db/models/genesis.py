"""Where agents come from: genomes, the populations they live in, and the ledger of what happened."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from aragora_db.models.base import Base, Count, CreatedAt, index, key, references

__all__ = ["ActivePopulation", "GenesisEvent", "Genome", "Population"]


class GenesisEvent(Base):
    """An entry of the ledger. `content_hash` is the SHA-256 of `hashed_text`.

    The hash covers exact text (spelling of numbers, order of keys), which `data` does not keep; so the text is kept.
    """

    __tablename__ = "genesis_events"

    event_id: Mapped[key] = mapped_column(primary_key=True)
    event_type: Mapped[key]
    timestamp: Mapped[datetime]
    parent_event_id: Mapped[key | None] = references("genesis_events.event_id")
    content_hash: Mapped[key]
    data: Mapped[dict[str, Any] | None]
    hashed_text: Mapped[str | None]


index(
    GenesisEvent,
    "type",
    "events of one type in order",
    GenesisEvent.event_type,
    GenesisEvent.timestamp,
    GenesisEvent.event_id,
)
index(GenesisEvent, "timestamp", "the ledger in order", GenesisEvent.timestamp, GenesisEvent.event_id)
index(GenesisEvent, "parent", "events that follow an event", GenesisEvent.parent_event_id)


class Genome(Base):
    """An agent's inheritable make-up: `traits` and `expertise` map names to weights (0..1)."""

    __tablename__ = "genomes"

    genome_id: Mapped[key] = mapped_column(primary_key=True)
    name: Mapped[key]
    traits: Mapped[dict[str, Any] | None]
    expertise: Mapped[dict[str, Any] | None]
    model_preference: Mapped[str | None]
    parent_genomes: Mapped[list[Any] | None]
    generation: Mapped[Count]
    fitness_score: Mapped[float] = mapped_column(default=0.5, server_default=sa.text("0.5"))
    birth_debate_id: Mapped[key | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    consensus_contributions: Mapped[Count]
    critiques_accepted: Mapped[Count]
    predictions_correct: Mapped[Count]
    debates_participated: Mapped[Count]


index(Genome, "fitness", "the fittest genomes", Genome.fitness_score.desc(), Genome.genome_id)
index(
    Genome,
    "generation",
    "the fittest genomes of one generation",
    Genome.generation,
    Genome.fitness_score.desc(),
    Genome.genome_id,
)
index(Genome, "name", "a genome by name", Genome.name)


class Population(Base):
    """A set of genomes that compete, by id, and the debates they went through."""

    __tablename__ = "populations"

    population_id: Mapped[key] = mapped_column(primary_key=True)
    genome_ids: Mapped[list[Any] | None]
    generation: Mapped[Count]
    created_at: Mapped[CreatedAt]
    debate_history: Mapped[list[Any] | None]


class ActivePopulation(Base):
    """Which population is active: one row, its id is 1."""

    __tablename__ = "active_population"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    population_id: Mapped[key | None] = references("populations.population_id")

    __table_args__ = (sa.CheckConstraint("id = 1", name="singleton"),)
