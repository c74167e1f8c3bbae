"""Tournaments: who takes part, what was played, and what happened when."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from aragora_db.models.base import Base, Count, CreatedAt, Flag, JsonList, JsonObject, index, key, references
from aragora_db.types import EnumText

__all__ = ["Tournament", "TournamentEvent", "TournamentMatch", "TournamentStatus"]


class TournamentStatus(StrEnum):
    """How far a tournament has come."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class Tournament(Base):
    """A tournament. `participants` lists agents, `bracket_type` is round_robin or another way of pairing them."""

    __tablename__ = "tournaments"

    tournament_id: Mapped[key] = mapped_column(primary_key=True)
    name: Mapped[str]
    bracket_type: Mapped[key] = mapped_column(default="round_robin", server_default=sa.text("'round_robin'"))
    participants: Mapped[JsonList]
    rounds_completed: Mapped[Count]
    total_rounds: Mapped[Count]
    status: Mapped[TournamentStatus] = mapped_column(
        EnumText(TournamentStatus), default=TournamentStatus.PENDING, server_default=sa.text("'pending'")
    )
    created_at: Mapped[CreatedAt]


index(
    Tournament,
    "created_at",
    "tournaments, newest first (keyset)",
    Tournament.created_at.desc(),
    Tournament.tournament_id.desc(),
)
index(
    Tournament,
    "status",
    "tournaments of one status, newest first",
    Tournament.status,
    Tournament.created_at.desc(),
    Tournament.tournament_id.desc(),
)


class TournamentMatch(Base):
    """One pairing of a round. Not played yet while `completed_at` is NULL; then no winner means a draw."""

    __tablename__ = "tournament_matches"

    match_id: Mapped[key] = mapped_column(primary_key=True)
    tournament_id: Mapped[key] = references("tournaments.tournament_id", ondelete="CASCADE")
    round_num: Mapped[int]
    agent1: Mapped[key]
    agent2: Mapped[key]
    winner: Mapped[key | None]
    score1: Mapped[float] = mapped_column(default=0.0, server_default=sa.text("0.0"))
    score2: Mapped[float] = mapped_column(default=0.0, server_default=sa.text("0.0"))
    debate_id: Mapped[key | None]
    bracket_position: Mapped[Count]
    is_losers_bracket: Mapped[Flag]
    created_at: Mapped[CreatedAt]
    completed_at: Mapped[datetime | None]


index(
    TournamentMatch,
    "tournament",
    "a tournament's matches in order",
    TournamentMatch.tournament_id,
    TournamentMatch.round_num,
    TournamentMatch.bracket_position,
)
index(TournamentMatch, "agent1", "tournament matches of an agent named first", TournamentMatch.agent1)
index(TournamentMatch, "agent2", "tournament matches of an agent named second", TournamentMatch.agent2)


class TournamentEvent(Base):
    """Something that happened in a tournament, such as created or match_completed."""

    __tablename__ = "tournament_history"

    entry_id: Mapped[key] = mapped_column(primary_key=True)
    tournament_id: Mapped[key] = references("tournaments.tournament_id", ondelete="CASCADE")
    event_type: Mapped[key]
    timestamp: Mapped[CreatedAt]
    details: Mapped[JsonObject]


index(
    TournamentEvent,
    "tournament",
    "a tournament's events in order",
    TournamentEvent.tournament_id,
    TournamentEvent.timestamp,
    TournamentEvent.entry_id,
)
