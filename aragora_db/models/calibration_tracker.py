"""Predictions of any kind and whether they came true, and the temperature that corrects an agent's confidence."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from aragora_db.models.base import Base, Count, CreatedAt, JsonObject, SerialId, index, key

__all__ = ["AgentPrediction", "TemperatureParams"]


class AgentPrediction(Base):
    """How sure an agent was (0..1), and whether it was right (`predictions` in Aragora)."""

    __tablename__ = "agent_predictions"

    id: Mapped[SerialId]
    agent: Mapped[key]
    confidence: Mapped[float]
    correct: Mapped[bool]
    domain: Mapped[key | None] = mapped_column(default="general", server_default=sa.text("'general'"))
    debate_id: Mapped[key | None]
    position_id: Mapped[key | None]
    created_at: Mapped[CreatedAt]


index(
    AgentPrediction,
    "agent",
    "an agent's predictions, by domain",
    AgentPrediction.agent,
    AgentPrediction.domain,
    AgentPrediction.created_at.desc(),
)
index(AgentPrediction, "domain", "predictions within one domain", AgentPrediction.domain, AgentPrediction.confidence)


class TemperatureParams(Base):
    """What an agent's confidence is divided by, overall and by domain (0.5 to 2.0)."""

    __tablename__ = "temperature_params"

    agent: Mapped[key] = mapped_column(primary_key=True)
    temperature: Mapped[float] = mapped_column(default=1.0, server_default=sa.text("1.0"))
    domain_temperatures: Mapped[JsonObject]
    last_tuned: Mapped[datetime | None]
    predictions_at_tune: Mapped[Count]
