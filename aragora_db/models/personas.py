"""Who the agents are and how they performed."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from aragora_db.models.base import Base, CreatedAt, SerialId, index, key

__all__ = ["Persona", "PersonaPerformance"]


class Persona(Base):
    """An agent's character. `traits` is a list of names, `expertise` maps a domain to 0..1; both may be unknown."""

    __tablename__ = "personas"

    agent_name: Mapped[key] = mapped_column(primary_key=True)
    description: Mapped[str | None]
    traits: Mapped[list[Any] | None]
    expertise: Mapped[dict[str, Any] | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]


class PersonaPerformance(Base):
    """One thing an agent did in a domain, and whether it succeeded."""

    __tablename__ = "performance_history"

    id: Mapped[SerialId]
    agent_name: Mapped[key]
    debate_id: Mapped[key | None]
    domain: Mapped[key | None]
    action: Mapped[str | None]
    success: Mapped[bool | None]
    created_at: Mapped[CreatedAt]


index(
    PersonaPerformance,
    "agent",
    "an agent's last 50 actions",
    PersonaPerformance.agent_name,
    PersonaPerformance.created_at.desc(),
    PersonaPerformance.id.desc(),
)
index(
    PersonaPerformance,
    "window",
    "an agent's last 50 actions in one domain",
    PersonaPerformance.agent_name,
    PersonaPerformance.domain,
    PersonaPerformance.created_at.desc(),
    PersonaPerformance.id.desc(),
)
index(
    PersonaPerformance,
    "domain",
    "ranking within one domain",
    PersonaPerformance.domain,
    PersonaPerformance.created_at.desc(),
    PersonaPerformance.id.desc(),
)
