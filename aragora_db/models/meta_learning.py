"""How the learning itself is tuned: hyperparameters, and how efficient each cycle was."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Mapped

from aragora_db.models.base import Base, CreatedAt, SerialId, index

__all__ = ["MetaEfficiency", "MetaHyperparams"]


class MetaHyperparams(Base):
    """Hyperparameters, the metrics they were chosen by, and why."""

    __tablename__ = "meta_hyperparams"

    id: Mapped[SerialId]
    hyperparams: Mapped[dict[str, Any]]
    metrics: Mapped[dict[str, Any] | None]
    adjustment_reason: Mapped[str | None]
    created_at: Mapped[CreatedAt]


index(
    MetaHyperparams,
    "created_at",
    "the newest hyperparameters",
    MetaHyperparams.created_at.desc(),
    MetaHyperparams.id.desc(),
)


class MetaEfficiency(Base):
    """What one cycle achieved."""

    __tablename__ = "meta_efficiency_log"

    id: Mapped[SerialId]
    cycle_number: Mapped[int | None]
    metrics: Mapped[dict[str, Any]]
    created_at: Mapped[CreatedAt]


index(MetaEfficiency, "created_at", "recent cycles", MetaEfficiency.created_at.desc(), MetaEfficiency.id.desc())
