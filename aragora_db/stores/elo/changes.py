"""The steps of what changes a rating, besides matches: lock, look whether it happened before, change, write it down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.orm.util import identity_key

from aragora_db.engine.dialects import insert
from aragora_db.models import EloDomainRating, EloHistory, EloRating
from aragora_db.models.base import Base
from aragora_db.rules.elo import INITIAL_RATING
from aragora_db.sql.text import starts_with
from aragora_db.stores.elo.base import Part
from aragora_db.types import UtcDateTime

__all__ = ["Changes", "RatingEvent", "forget", "later", "moved"]


@dataclass(frozen=True)
class RatingEvent:
    """What an event did, or had done when it was recorded before.

    Attributes:
        agent_name: the agent.
        tag: how the history names the event.
        elo: the overall rating after it.
        change: by how many points it moved the rating (in the domain, for votes and learning). None when the event had
            been recorded before: the history keeps ratings, no changes.
        recorded_at: when it was first recorded.
    """

    agent_name: str
    tag: str
    elo: float
    change: float | None
    recorded_at: datetime


class Changes(Part):
    """The steps, in the order in which a verb takes them."""

    def _lock(self, agent: str, now: datetime, *, create: bool = True) -> bool:
        """Hold the agent's rating until the transaction ends; False when there is none and none was to be made."""
        self._session.flush()
        held = sa.select(EloRating.agent_name).where(EloRating.agent_name == agent).with_for_update()
        if self._session.scalar(held) is not None:
            return True
        if not create:
            return False
        new = insert(self._session, EloRating).values(agent_name=agent, elo=INITIAL_RATING, updated_at=now)
        self._session.execute(new.on_conflict_do_nothing())
        return self._session.scalar(held) is not None

    def _recorded(self, agent: str, tags: Iterable[str] = (), *, prefix: str | None = None) -> RatingEvent | None:
        """The event that has one of these tags, or one that begins so. Looked for under the lock only.

        A statement of its own: one that had to wait for the lock would still not see what was written meanwhile.
        """
        tag: Any = EloHistory.debate_id
        found = tag.in_(list(tags)) if prefix is None else starts_with(tag, prefix)
        row = self._session.execute(
            sa.select(EloHistory.debate_id, EloHistory.elo, EloHistory.created_at)
            .where(EloHistory.agent_name == agent, found)
            .order_by(EloHistory.id)
            .limit(1)
        ).one_or_none()
        return None if row is None else RatingEvent(agent, str(row[0]), row[1], None, row[2])

    def _change_rating(self, agent: str, now: datetime, **values: Any) -> Any:
        """Change the rating's row; the overall rating and the votes, as they are then."""
        return self._session.execute(
            sa.update(EloRating)
            .where(EloRating.agent_name == agent)
            .values(updated_at=later(now), **values)
            .returning(EloRating.elo, EloRating.calibration_total, EloRating.calibration_correct)
            .execution_options(synchronize_session=False)
        ).one()

    def _change_domain(self, agent: str, domain: str, change: float, floor: float | None = None) -> None:
        first = INITIAL_RATING + change
        statement = insert(self._session, EloDomainRating).values(
            agent_name=agent, domain=domain, elo=first if floor is None else max(first, floor)
        )
        self._session.execute(
            statement.on_conflict_do_update(
                index_elements=["agent_name", "domain"], set_={"elo": moved(EloDomainRating.elo, change, floor)}
            )
        )

    def _record(
        self, agent: str, tag: str, elo: float, change: float, now: datetime, domain: str | None
    ) -> RatingEvent:
        self._session.execute(
            sa.insert(EloHistory), [{"agent_name": agent, "elo": elo, "debate_id": tag, "created_at": now}]
        )
        forget(self._session, EloRating, agent)
        if domain is not None:
            forget(self._session, EloDomainRating, (agent, domain))
        return RatingEvent(agent, tag, elo, change, now)


def moved(column: Any, change: float, floor: float | None = None) -> Any:
    """A rating after a change; not below the floor."""
    after = column + change
    return after if floor is None else sa.case((after < floor, floor), else_=after)


def later(now: datetime) -> Any:
    """A rating's `updated_at`, which only moves forward."""
    instant = sa.literal(now, UtcDateTime())
    return sa.case((EloRating.updated_at < instant, instant), else_=EloRating.updated_at)


def forget(session: Session, model: type[Base], key: Any) -> None:
    """Make the session read a row again, if it holds it, when it is next looked at."""
    held: Any = session.identity_map.get(identity_key(model, key))
    if held is not None:
        session.expire(held)
