"""What agents claimed, when they changed their minds, and who turned out to be right."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from aragora_db.models.base import Base, Count, CreatedAt, Flag, SerialId, index, key
from aragora_db.types import EnumText

__all__ = ["DebateOutcome", "DetectedFlip", "FlipType", "Position", "PositionHistory", "PositionOutcome"]


class PositionOutcome(StrEnum):
    """What became of a claim."""

    PENDING = "pending"
    CORRECT = "correct"
    INCORRECT = "incorrect"
    UNRESOLVED = "unresolved"


class FlipType(StrEnum):
    """How far a new claim is from the old one."""

    CONTRADICTION = "contradiction"
    RETRACTION = "retraction"
    QUALIFICATION = "qualification"
    REFINEMENT = "refinement"


class Position(Base):
    """A claim that an agent made in a round of a debate, with its confidence (0..1)."""

    __tablename__ = "positions"

    id: Mapped[key] = mapped_column(primary_key=True)
    agent_name: Mapped[key]
    claim: Mapped[str]
    confidence: Mapped[float]
    debate_id: Mapped[key]
    round_num: Mapped[int]
    outcome: Mapped[PositionOutcome] = mapped_column(
        EnumText(PositionOutcome), default=PositionOutcome.PENDING, server_default=sa.text("'pending'")
    )
    reversed: Mapped[Flag]
    reversal_debate_id: Mapped[key | None]
    domain: Mapped[key | None]
    created_at: Mapped[CreatedAt]
    resolved_at: Mapped[datetime | None]


index(
    Position,
    "agent",
    "an agent's positions, newest first",
    Position.agent_name,
    Position.created_at.desc(),
    Position.id,
)
index(
    Position,
    "agent_debate",
    "flips: an agent's later claim in the debate that reversed an earlier one",
    Position.agent_name,
    Position.debate_id,
)
index(Position, "debate", "positions of one debate by round", Position.debate_id, Position.round_num)
index(Position, "outcome", "positions by outcome, such as pending", Position.outcome, Position.created_at.desc())


class DetectedFlip(Base):
    """An agent's later claim against an earlier one."""

    __tablename__ = "detected_flips"

    id: Mapped[key] = mapped_column(primary_key=True)
    agent_name: Mapped[key]
    original_claim: Mapped[str]
    new_claim: Mapped[str]
    original_confidence: Mapped[float | None]
    new_confidence: Mapped[float | None]
    original_debate_id: Mapped[key | None]
    new_debate_id: Mapped[key | None]
    original_position_id: Mapped[key | None]
    new_position_id: Mapped[key | None]
    similarity_score: Mapped[float | None]
    flip_type: Mapped[FlipType | None] = mapped_column(EnumText(FlipType))
    domain: Mapped[key | None]
    detected_at: Mapped[CreatedAt]


index(
    DetectedFlip,
    "agent",
    "an agent's flips, newest first",
    DetectedFlip.agent_name,
    DetectedFlip.detected_at.desc(),
    DetectedFlip.id,
)
index(
    DetectedFlip, "type", "flips of one type", DetectedFlip.flip_type, DetectedFlip.detected_at.desc(), DetectedFlip.id
)
index(
    DetectedFlip,
    "positions",
    "the flip between two positions",
    DetectedFlip.original_position_id,
    DetectedFlip.new_position_id,
)


class PositionHistory(Base):
    """A statement of one type in one round of a debate, and whether it won and was verified (unknown is NULL)."""

    __tablename__ = "position_history"

    id: Mapped[SerialId]
    debate_id: Mapped[key]
    agent_name: Mapped[key]
    position_type: Mapped[str]
    position_text: Mapped[str]
    round_num: Mapped[Count]
    confidence: Mapped[float] = mapped_column(default=0.5, server_default=sa.text("0.5"))
    created_at: Mapped[CreatedAt]
    was_winning_position: Mapped[bool | None]
    verified_correct: Mapped[bool | None]

    __table_args__ = (
        # Two keys of 1,024 bytes leave about 600 bytes of an index row; a type is one short word.
        sa.CheckConstraint("length(position_type) <= 64", name="position_type_length"),
        sa.UniqueConstraint(
            "debate_id", "agent_name", "position_type", "round_num", name="uq_position_history_statement"
        ),
    )


index(
    PositionHistory,
    "agent",
    "an agent's statements, newest first",
    PositionHistory.agent_name,
    PositionHistory.created_at.desc(),
    PositionHistory.id.desc(),
)


class DebateOutcome(Base):
    """Who won a debate, and what a later verification said."""

    __tablename__ = "debate_outcomes"

    debate_id: Mapped[key] = mapped_column(primary_key=True)
    winning_agent: Mapped[key | None]
    winning_position: Mapped[str | None]
    consensus_confidence: Mapped[float | None]
    verified_at: Mapped[datetime | None]
    verification_result: Mapped[bool | None]
    verification_source: Mapped[str | None]
    created_at: Mapped[CreatedAt]


index(
    DebateOutcome, "winner", "debates that one agent won", DebateOutcome.winning_agent, DebateOutcome.created_at.desc()
)
index(DebateOutcome, "created_at", "outcomes by age", DebateOutcome.created_at)
