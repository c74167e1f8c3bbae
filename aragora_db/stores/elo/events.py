"""What moves a rating besides matches, in steps: lock it, look for the event, change it, add to the history."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.engine.dialects import insert
from aragora_db.models import EloDomainRating, EloHistory, EloRating
from aragora_db.sql.monotonic import later_of
from aragora_db.sql.text import starts_with
from aragora_db.stores.elo.results import RatingEvent
from aragora_db.stores.rows import expire_row

__all__ = ["add_to_history", "after_change", "change_domain_rating", "change_rating", "lock_rating", "recorded_event"]


def lock_rating(session: Session, agent_name: str, initial_rating: float | None, now: datetime) -> bool:
    """Lock an agent's rating until the transaction ends.

    Args:
        session: the session.
        agent_name: the agent.
        initial_rating: what to create when the agent has no rating; None creates nothing.
        now: the `updated_at` of a rating that is created.

    Returns:
        Whether there is a rating.
    """
    session.flush()
    held = sa.select(EloRating.agent_name).where(EloRating.agent_name == agent_name).with_for_update()
    if session.scalar(held) is not None:
        return True
    if initial_rating is None:
        return False
    new = insert(session, EloRating).values(agent_name=agent_name, elo=initial_rating, updated_at=now)
    session.execute(new.on_conflict_do_nothing())
    return session.scalar(held) is not None


def recorded_event(
    session: Session, agent_name: str, tags: Iterable[str] = (), *, prefix: str | None = None
) -> RatingEvent | None:
    """Return an agent's first event that has one of these tags, or one with this prefix; None if there is none.

    Call it while the rating is locked. It is a statement of its own, because one that had to wait for the lock would
    not see what was written meanwhile.
    """
    tag: Any = EloHistory.debate_id
    found = tag.in_(list(tags)) if prefix is None else starts_with(tag, prefix)
    row = session.execute(
        sa.select(EloHistory.debate_id, EloHistory.elo, EloHistory.created_at)
        .where(EloHistory.agent_name == agent_name, found)
        .order_by(EloHistory.id)
        .limit(1)
    ).one_or_none()
    return None if row is None else RatingEvent(agent_name, str(row[0]), row[1], None, row[2])


def change_rating(session: Session, agent_name: str, now: datetime, **values: Any) -> Any:
    """Change the row of a rating, and return its overall rating, votes and correct votes after that."""
    return session.execute(
        sa.update(EloRating)
        .where(EloRating.agent_name == agent_name)
        .values(updated_at=later_of(EloRating.updated_at, now), **values)
        .returning(EloRating.elo, EloRating.calibration_total, EloRating.calibration_correct)
        .execution_options(synchronize_session=False)
    ).one()


def change_domain_rating(
    session: Session,
    agent_name: str,
    domain: str,
    change: float,
    initial_rating: float,
    *,
    floor: float | None = None,
) -> None:
    """Move the rating in a domain, which begins at the initial rating.

    Args:
        session: the session.
        agent_name: the agent.
        domain: the domain.
        change: in points.
        initial_rating: where it begins.
        floor: the least rating after it; None means no limit.
    """
    first = initial_rating + change
    statement = insert(session, EloDomainRating).values(
        agent_name=agent_name, domain=domain, elo=first if floor is None else max(first, floor)
    )
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["agent_name", "domain"], set_={"elo": after_change(EloDomainRating.elo, change, floor)}
        )
    )


def add_to_history(
    session: Session, agent_name: str, tag: str, elo: float, change: float, created_at: datetime, domain: str | None
) -> RatingEvent:
    """Add an event to the history, expire the ratings that the session holds, and return the event.

    Args:
        session: the session.
        agent_name: the agent.
        tag: names the event.
        elo: the overall rating after it.
        change: by how many points it moved a rating.
        created_at: when.
        domain: where it moved a rating; None for the overall rating only.
    """
    session.execute(
        sa.insert(EloHistory), [{"agent_name": agent_name, "elo": elo, "debate_id": tag, "created_at": created_at}]
    )
    expire_row(session, EloRating, agent_name)
    if domain is not None:
        expire_row(session, EloDomainRating, (agent_name, domain))
    return RatingEvent(agent_name, tag, elo, change, created_at)


def after_change(column: Any, change: float, floor: float | None = None) -> Any:
    """Return an expression for a rating after a change, not below the floor if there is one."""
    after = column + change
    return after if floor is None else sa.case((after < floor, floor), else_=after)
