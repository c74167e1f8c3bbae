"""How well agents know what they know: predictions, and their quality by domain and by confidence."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from aragora_db.models.base import Base, Count, CreatedAt, SerialId, index, key

__all__ = ["EloCalibrationBucket", "EloCalibrationPrediction", "EloDomainCalibration"]


class EloCalibrationPrediction(Base):
    """Who an agent expects to win a tournament, and how sure it is. Resolved at most once."""

    __tablename__ = "elo_calibration_predictions"

    id: Mapped[SerialId]
    tournament_id: Mapped[key]
    predictor_agent: Mapped[key]
    predicted_winner: Mapped[key]
    confidence: Mapped[float]
    created_at: Mapped[CreatedAt]
    actual_winner: Mapped[key | None]
    resolved_at: Mapped[datetime | None]

    __table_args__ = (sa.UniqueConstraint("tournament_id", "predictor_agent"),)


index(
    EloCalibrationPrediction,
    "predictor",
    "an agent's predictions, newest first",
    EloCalibrationPrediction.predictor_agent,
    EloCalibrationPrediction.created_at.desc(),
    EloCalibrationPrediction.id.desc(),
)


class EloDomainCalibration(Base):
    """An agent's predictions within one domain, summed up. Brier score = `brier_sum` / `total_predictions`."""

    __tablename__ = "elo_domain_calibration"

    agent_name: Mapped[key] = mapped_column(primary_key=True)
    domain: Mapped[key] = mapped_column(primary_key=True)
    total_predictions: Mapped[Count]
    total_correct: Mapped[Count]
    brier_sum: Mapped[float] = mapped_column(default=0.0, server_default=sa.text("0.0"))
    updated_at: Mapped[CreatedAt]


class EloCalibrationBucket(Base):
    """Predictions of one tenth of confidence, such as ``0.7-0.8``; the calibration error is computed from these."""

    __tablename__ = "elo_calibration_buckets"

    agent_name: Mapped[key] = mapped_column(primary_key=True)
    domain: Mapped[key] = mapped_column(primary_key=True)
    bucket_key: Mapped[str] = mapped_column(primary_key=True)
    predictions: Mapped[Count]
    correct: Mapped[Count]
    brier_sum: Mapped[float] = mapped_column(default=0.0, server_default=sa.text("0.0"))

    __table_args__ = (sa.CheckConstraint("length(bucket_key) <= 16", name="bucket_key_length"),)
