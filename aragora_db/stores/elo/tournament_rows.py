"""The rows of tournaments: locked, read and written, as `TournamentPlay` needs them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from aragora_db.errors import ConflictError
from aragora_db.models import Tournament, TournamentEvent, TournamentMatch

__all__ = ["add_matches", "lock_tournament", "log_events", "open_match", "round_winners", "same_tournament"]


def lock_tournament(session: Session, condition: Any) -> Tournament | None:
    """The tournament as it is now, held until the transaction ends."""
    return session.scalars(
        sa.select(Tournament).where(condition).with_for_update().execution_options(populate_existing=True)
    ).one_or_none()


def open_match(session: Session, match_id: str) -> tuple[TournamentMatch, bool, bool]:
    """The match, whether its round is over with it, and whether all matches are."""
    other = aliased(TournamentMatch)
    left = sa.select(other.match_id).where(
        other.tournament_id == TournamentMatch.tournament_id,
        other.match_id != TournamentMatch.match_id,
        other.completed_at.is_(None),
    )
    row = session.execute(
        sa.select(TournamentMatch, ~left.where(other.round_num == TournamentMatch.round_num).exists(), ~left.exists())
        .where(TournamentMatch.match_id == match_id)
        .execution_options(populate_existing=True)
    ).one()
    return row[0], row[1], row[2]


def round_winners(session: Session, match: TournamentMatch) -> dict[int, str | None]:
    """The winners of the match's round, by position."""
    rows = session.execute(
        sa.select(TournamentMatch.bracket_position, TournamentMatch.winner).where(
            TournamentMatch.tournament_id == match.tournament_id, TournamentMatch.round_num == match.round_num
        )
    )
    return {int(position): winner for position, winner in rows}


def add_matches(
    session: Session, tournament_id: str, rounds: Iterable[tuple[int, Sequence[tuple[str, ...]]]], now: datetime
) -> None:
    """Insert the matches of rounds, each with its number; a slot of one is no match, but has a position."""
    rows = [
        {
            "match_id": f"match_{uuid4().hex}",
            "tournament_id": tournament_id,
            "round_num": number,
            "agent1": slot[0],
            "agent2": slot[1],
            "bracket_position": position,
            "created_at": now,
        }
        for number, slots in rounds
        for position, slot in enumerate(slots)
        if len(slot) > 1
    ]
    session.execute(sa.insert(TournamentMatch), rows)


def log_events(
    session: Session, tournament_id: str, now: datetime, events: Sequence[tuple[str, dict[str, Any]]]
) -> None:
    """Write down what happened. The ids are in order, because several events may have one time."""
    tick = time.time_ns()
    rows = [
        {
            "entry_id": f"evt_{tick + number:016x}{uuid4().hex[:12]}",
            "tournament_id": tournament_id,
            "event_type": kind,
            "timestamp": now,
            "details": details,
        }
        for number, (kind, details) in enumerate(events)
    ]
    session.execute(sa.insert(TournamentEvent), rows)


def same_tournament(session: Session, row: dict[str, Any]) -> Tournament:
    """The tournament that is there, if it is this one."""
    found = session.scalars(
        sa.select(Tournament)
        .where(Tournament.tournament_id == row["tournament_id"])
        .execution_options(populate_existing=True)
    ).one()
    content = ("name", "bracket_type", "participants")
    if any(getattr(found, name) != row[name] for name in content):
        raise ConflictError(
            f"tournament {row['tournament_id']} is there with other content ({found.name}); "
            "choose another id, or let the store choose one"
        )
    return found
