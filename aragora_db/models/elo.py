"""Ratings, matches and how agents relate to each other."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.associationproxy import AssociationProxy, association_proxy
from sqlalchemy.orm import Mapped, attribute_keyed_dict, mapped_column, relationship

from aragora_db.models.base import Base, Count, CreatedAt, SerialId, index, key, references
from aragora_db.types import Integer

__all__ = [
    "EloAgentRelationship",
    "EloDomainRating",
    "EloHeadToHead",
    "EloHistory",
    "EloMatch",
    "EloMatchParticipant",
    "EloRating",
]


def _rate_domain(domain: str, elo: float) -> EloDomainRating:
    return EloDomainRating(domain=domain, elo=elo)


class EloRating(Base):
    """One agent's rating and record. `domain_elos` reads and writes the per-domain ratings as a mapping."""

    __tablename__ = "elo_ratings"

    agent_name: Mapped[key] = mapped_column(primary_key=True)
    elo: Mapped[float] = mapped_column(default=1500.0, server_default=sa.text("1500.0"))
    wins: Mapped[Count]
    losses: Mapped[Count]
    draws: Mapped[Count]
    debates_count: Mapped[Count]
    critiques_accepted: Mapped[Count]
    critiques_total: Mapped[Count]
    calibration_correct: Mapped[Count]
    calibration_total: Mapped[Count]
    calibration_brier_sum: Mapped[float] = mapped_column(default=0.0, server_default=sa.text("0.0"))
    updated_at: Mapped[CreatedAt]

    domain_ratings: Mapped[dict[str, EloDomainRating]] = relationship(
        collection_class=attribute_keyed_dict("domain"),
        cascade="all, delete-orphan",
        passive_deletes=True,
    )
    domain_elos: AssociationProxy[dict[str, float]] = association_proxy("domain_ratings", "elo", creator=_rate_domain)


index(
    EloRating,
    "leaderboard",
    "leaderboard, rank and neighbours: best first, ties by name",
    EloRating.elo.desc(),
    EloRating.agent_name,
)
index(
    EloRating,
    "calibration_total",
    "calibration leaderboard: agents with at least 10 predictions",
    EloRating.calibration_total,
)


class EloDomainRating(Base):
    """An agent's rating within one domain; starts at 1500 and moves by the same change as the overall rating."""

    __tablename__ = "elo_domain_ratings"

    agent_name: Mapped[key] = references("elo_ratings.agent_name", ondelete="CASCADE", primary_key=True)
    domain: Mapped[key] = mapped_column(primary_key=True)
    elo: Mapped[float] = mapped_column(default=1500.0, server_default=sa.text("1500.0"))


index(
    EloDomainRating,
    "leaderboard",
    "leaderboard of one domain",
    EloDomainRating.domain,
    EloDomainRating.elo.desc(),
    EloDomainRating.agent_name,
)


class EloMatch(Base):
    """A debate that was scored. The winner has strictly the highest score; none means a draw.

    `confidence_weight` is NULL for matches that were recorded elsewhere: what they counted is not known.
    """

    __tablename__ = "elo_matches"

    id: Mapped[SerialId]
    debate_id: Mapped[key | None] = mapped_column(unique=True)
    winner: Mapped[key | None]
    domain: Mapped[key | None]
    confidence_weight: Mapped[float | None]
    created_at: Mapped[CreatedAt]

    participants: Mapped[dict[str, EloMatchParticipant]] = relationship(
        collection_class=attribute_keyed_dict("agent_name"),
        cascade="all, delete-orphan",
        passive_deletes=True,
        order_by="EloMatchParticipant.position",
    )
    scores: AssociationProxy[dict[str, float | None]] = association_proxy("participants", "score")
    elo_changes: AssociationProxy[dict[str, float | None]] = association_proxy("participants", "elo_change")


index(EloMatch, "recent", "recent matches, newest first", EloMatch.created_at.desc(), EloMatch.id.desc())
index(
    EloMatch, "domain", "recent matches of one domain", EloMatch.domain, EloMatch.created_at.desc(), EloMatch.id.desc()
)
index(EloMatch, "winner", "matches that one agent won", EloMatch.winner, EloMatch.created_at.desc(), EloMatch.id.desc())


class EloMatchParticipant(Base):
    """One agent's part in a match. Two agents' matches against each other are an index look-up here."""

    __tablename__ = "elo_match_participants"

    match_id: Mapped[int] = references("elo_matches.id", Integer, ondelete="CASCADE", primary_key=True)
    agent_name: Mapped[key] = mapped_column(primary_key=True)
    position: Mapped[int]
    score: Mapped[float | None]
    elo_change: Mapped[float | None]
    k_multiplier: Mapped[float | None]

    __table_args__ = (sa.UniqueConstraint("match_id", "position"),)


index(
    EloMatchParticipant,
    "agent",
    "an agent's matches; head to head of two agents",
    EloMatchParticipant.agent_name,
    EloMatchParticipant.match_id.desc(),
)


class EloHeadToHead(Base):
    """How often two agents met in a match, and which of them won it; the smaller name first.

    Counted as matches are recorded: reading it costs the same after ten matches and after a million. Of `matches`,
    what is left of both wins and the draws was won by a third agent.
    """

    __tablename__ = "elo_head_to_head"

    agent_a: Mapped[key] = mapped_column(primary_key=True)
    agent_b: Mapped[key] = mapped_column(primary_key=True)
    matches: Mapped[Count]
    a_wins: Mapped[Count]
    b_wins: Mapped[Count]
    draws: Mapped[Count]

    __table_args__ = (sa.CheckConstraint("agent_a < agent_b", name="agent_order"),)


class EloHistory(Base):
    """A rating after an event. `debate_id` also tags events that were no debate, such as ``verification:...``."""

    __tablename__ = "elo_history"

    id: Mapped[SerialId]
    agent_name: Mapped[key]
    elo: Mapped[float]
    debate_id: Mapped[key | None]
    created_at: Mapped[CreatedAt]


index(
    EloHistory,
    "agent",
    "an agent's rating over time, newest first",
    EloHistory.agent_name,
    EloHistory.created_at.desc(),
    EloHistory.id.desc(),
)
index(
    EloHistory,
    "debate",
    "rating changes of one debate; events by tag prefix, such as verification:",
    EloHistory.debate_id,
    EloHistory.created_at.desc(),
    EloHistory.id.desc(),
)
index(EloHistory, "created_at", "rating changes within a span of time", EloHistory.created_at)


class EloAgentRelationship(Base):
    """What two agents did to each other; the pair is stored once, the smaller name first."""

    __tablename__ = "elo_agent_relationships"

    agent_a: Mapped[key] = mapped_column(primary_key=True)
    agent_b: Mapped[key] = mapped_column(primary_key=True)
    debate_count: Mapped[Count]
    agreement_count: Mapped[Count]
    critique_count_a_to_b: Mapped[Count]
    critique_count_b_to_a: Mapped[Count]
    critique_accepted_a_to_b: Mapped[Count]
    critique_accepted_b_to_a: Mapped[Count]
    position_changes_a_after_b: Mapped[Count]
    position_changes_b_after_a: Mapped[Count]
    a_wins_over_b: Mapped[Count]
    b_wins_over_a: Mapped[Count]
    updated_at: Mapped[CreatedAt]

    __table_args__ = (sa.CheckConstraint("agent_a < agent_b", name="agent_order"),)


index(
    EloAgentRelationship, "agent_b", "relationships of an agent whose name comes second", EloAgentRelationship.agent_b
)
