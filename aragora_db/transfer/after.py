"""What follows from the rows that were moved: the words that searches look for, and who met whom how often."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from aragora_db import derived
from aragora_db.models import EloHeadToHead, EloMatch, EloMatchParticipant

__all__ = ["follow_up"]

_WORDS = frozenset({"continuum_memory", "debates", "insights", "consensus"})


def follow_up(engine: Engine, carried: Collection[str]) -> None:
    """Compute again what depends on tables that were carried; a transaction each."""
    if _WORDS & set(carried):
        with Session(engine) as session, session.begin():
            derived.rebuild(session)
    if {"elo_matches", "elo_match_participants"} & set(carried):
        with Session(engine) as session, session.begin():
            _count_meetings(session)


def _count_meetings(session: Session) -> None:
    """Who met whom, and who of them won, from all matches."""
    one, other = sa.orm.aliased(EloMatchParticipant), sa.orm.aliased(EloMatchParticipant)
    winner = EloMatch.winner
    counted = (
        sa.select(
            one.agent_name,
            other.agent_name,
            sa.func.count(),
            sa.func.sum(sa.case((winner == one.agent_name, 1), else_=0)),
            sa.func.sum(sa.case((winner == other.agent_name, 1), else_=0)),
            sa.func.sum(sa.case((winner.is_(None), 1), else_=0)),
        )
        .select_from(one)
        .join(other, sa.and_(other.match_id == one.match_id, one.agent_name < other.agent_name))
        .join(EloMatch, EloMatch.id == one.match_id)
        .group_by(one.agent_name, other.agent_name)
    )
    columns = ["agent_a", "agent_b", "matches", "a_wins", "b_wins", "draws"]
    session.execute(sa.delete(EloHeadToHead))
    session.execute(sa.insert(EloHeadToHead).from_select(columns, counted))
