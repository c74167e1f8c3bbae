"""What agents learn from critiques: patterns, how reputable who gives them is, and what was archived."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from aragora_db.models.base import Base, Count, CreatedAt, SerialId, index, key, references
from aragora_db.types.vector import Floats, Vector

__all__ = ["AgentReputation", "CritiquePattern", "CritiquePatternArchive", "CritiquePatternEmbedding"]


class CritiquePattern(Base):
    """An issue that critiques raise again and again, what was suggested, and how well that went.

    Aragora's critique store calls this table `patterns`.
    """

    __tablename__ = "critique_patterns"

    id: Mapped[key] = mapped_column(primary_key=True)
    issue_type: Mapped[key]
    issue_text: Mapped[str]
    suggestion_text: Mapped[str | None]
    success_count: Mapped[Count]
    failure_count: Mapped[Count]
    avg_severity: Mapped[float] = mapped_column(default=0.5, server_default=sa.text("0.5"))
    surprise_score: Mapped[float] = mapped_column(default=0.0, server_default=sa.text("0.0"))
    base_rate: Mapped[float] = mapped_column(default=0.5, server_default=sa.text("0.5"))
    avg_prediction_error: Mapped[float] = mapped_column(default=0.0, server_default=sa.text("0.0"))
    prediction_count: Mapped[Count]
    example_task: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]


index(
    CritiquePattern,
    "success",
    "patterns that helped most, latest first",
    CritiquePattern.success_count.desc(),
    CritiquePattern.updated_at.desc(),
    CritiquePattern.id,
)
index(
    CritiquePattern,
    "type_success",
    "patterns of one type that helped most",
    CritiquePattern.issue_type,
    CritiquePattern.success_count.desc(),
    CritiquePattern.id,
)


class CritiquePatternEmbedding(Base):
    """The vector of a pattern's text (`pattern_embeddings` in Aragora)."""

    __tablename__ = "critique_pattern_embeddings"

    pattern_id: Mapped[key] = references("critique_patterns.id", ondelete="CASCADE", primary_key=True)
    embedding: Mapped[Floats | None] = mapped_column(Vector)


class CritiquePatternArchive(Base):
    """A pattern that was put away (`patterns_archive` in Aragora). An id may be archived more than once."""

    __tablename__ = "critique_patterns_archive"

    archive_id: Mapped[SerialId]
    id: Mapped[key]
    issue_type: Mapped[key | None]
    issue_text: Mapped[str | None]
    suggestion_text: Mapped[str | None]
    success_count: Mapped[int | None]
    failure_count: Mapped[int | None]
    avg_severity: Mapped[float | None]
    surprise_score: Mapped[float | None]
    example_task: Mapped[str | None]
    created_at: Mapped[datetime | None]
    updated_at: Mapped[datetime | None]
    archived_at: Mapped[CreatedAt]


index(
    CritiquePatternArchive,
    "pattern",
    "an archived pattern by its id",
    CritiquePatternArchive.id,
    CritiquePatternArchive.archived_at.desc(),
)


class AgentReputation(Base):
    """How often an agent's proposals were accepted and its critiques valued, and how well it predicted that."""

    __tablename__ = "agent_reputation"

    agent_name: Mapped[key] = mapped_column(primary_key=True)
    proposals_made: Mapped[Count]
    proposals_accepted: Mapped[Count]
    critiques_given: Mapped[Count]
    critiques_valuable: Mapped[Count]
    updated_at: Mapped[CreatedAt]
    total_predictions: Mapped[Count]
    total_prediction_error: Mapped[float] = mapped_column(default=0.0, server_default=sa.text("0.0"))
    calibration_score: Mapped[float] = mapped_column(default=0.5, server_default=sa.text("0.5"))


index(
    AgentReputation,
    "accepted",
    "agents, most accepted proposals first",
    AgentReputation.proposals_accepted.desc(),
    AgentReputation.agent_name,
)
