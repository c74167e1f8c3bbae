"""Experiments with personas: variants, traits that emerge or are passed on, and what was changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from aragora_db.models.base import Base, Count, CreatedAt, SerialId, index, key

__all__ = ["EmergentTrait", "EvolutionHistory", "Experiment", "TraitTransfer"]


class Experiment(Base):
    """A persona against a variant of itself."""

    __tablename__ = "experiments"

    experiment_id: Mapped[key] = mapped_column(primary_key=True)
    agent_name: Mapped[key]
    control_persona: Mapped[dict[str, Any]]
    variant_persona: Mapped[dict[str, Any]]
    hypothesis: Mapped[str | None]
    status: Mapped[key] = mapped_column(default="running", server_default=sa.text("'running'"))
    control_successes: Mapped[Count]
    control_trials: Mapped[Count]
    variant_successes: Mapped[Count]
    variant_trials: Mapped[Count]
    created_at: Mapped[CreatedAt]
    completed_at: Mapped[datetime | None]


index(Experiment, "agent", "an agent's experiments by status", Experiment.agent_name, Experiment.status)


class EmergentTrait(Base):
    """A trait that several agents showed without being given it."""

    __tablename__ = "emergent_traits"

    id: Mapped[SerialId]
    trait_name: Mapped[key]
    source_agents: Mapped[list[Any]]
    supporting_evidence: Mapped[list[Any] | None]
    confidence: Mapped[float] = mapped_column(default=0.5, server_default=sa.text("0.5"))
    first_detected: Mapped[CreatedAt]


index(EmergentTrait, "confidence", "traits, surest first", EmergentTrait.confidence.desc(), EmergentTrait.id)


class TraitTransfer(Base):
    """A trait given from one agent to another, with the success rates (0..1) before and after."""

    __tablename__ = "trait_transfers"

    id: Mapped[SerialId]
    from_agent: Mapped[key]
    to_agent: Mapped[key]
    trait: Mapped[key]
    expertise_domain: Mapped[key | None]
    success_rate_before: Mapped[float | None]
    success_rate_after: Mapped[float | None]
    transferred_at: Mapped[CreatedAt]


index(
    TraitTransfer,
    "to_agent",
    "traits an agent was given",
    TraitTransfer.to_agent,
    TraitTransfer.transferred_at.desc(),
    TraitTransfer.id.desc(),
)
index(
    TraitTransfer,
    "from_agent",
    "traits an agent passed on",
    TraitTransfer.from_agent,
    TraitTransfer.transferred_at.desc(),
    TraitTransfer.id.desc(),
)


class EvolutionHistory(Base):
    """A mutation of an agent's persona: what it was, what it became."""

    __tablename__ = "evolution_history"

    id: Mapped[SerialId]
    agent_name: Mapped[key]
    mutation_type: Mapped[key]
    before_state: Mapped[dict[str, Any]]
    after_state: Mapped[dict[str, Any]]
    reason: Mapped[str | None]
    created_at: Mapped[CreatedAt]


index(
    EvolutionHistory,
    "agent",
    "an agent's mutations, newest first",
    EvolutionHistory.agent_name,
    EvolutionHistory.created_at.desc(),
    EvolutionHistory.id.desc(),
)
