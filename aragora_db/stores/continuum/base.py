"""What the parts of the store share: the session, the clock, filters, and rows found and locked."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from aragora_db.errors import InvalidValue, NotFoundError
from aragora_db.models import ContinuumMemory, Tier
from aragora_db.models.base import utcnow
from aragora_db.stores import checks

__all__ = ["FRESH", "Part", "clock", "first", "no_memory", "tiers_of"]

FRESH = {"populate_existing": True}
"""For statements whose objects the session may have in an older state: Core updates do not tell it."""


class Part:
    """A part of the store.

    Args:
        session: what every verb runs in; the caller commits.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def _locked(self, memory_id: str) -> ContinuumMemory:
        """A memory as it is now, locked until the transaction ends.

        Raises:
            NotFoundError: it is not there.
        """
        # Without the key: a lock on that too would make transitions and embeddings of others wait.
        memory = self._session.get(
            ContinuumMemory,
            checks.key("memory_id", memory_id),
            with_for_update={"key_share": True},
            populate_existing=True,
        )
        if memory is None:
            raise no_memory(memory_id)
        return memory


def no_memory(memory_id: str) -> NotFoundError:
    """What to raise when it is not there."""
    return NotFoundError(f"there is no memory {memory_id!r}; add it first. It may be in the archive: archived(id)")


def clock(now: datetime | None) -> datetime:
    """The time given, or the time.

    Raises:
        InvalidValue: it has no time zone.
    """
    return utcnow() if now is None else checks.instant("now", now)


def tiers_of(tiers: Iterable[Tier | str] | None) -> tuple[Tier, ...]:
    """The tiers asked for, each once, fastest first; all of them by default.

    Raises:
        InvalidValue: there is no such tier, or none is asked for.
    """
    if tiers is None:
        return tuple(Tier)
    given = [tiers] if isinstance(tiers, str) else list(tiers)
    wanted = {checks.member("tiers", Tier, each) for each in given}
    if not wanted:
        raise InvalidValue("tiers is empty; leave it out for all of them")
    return tuple(tier for tier in Tier if tier in wanted)


def first(row: Any) -> Any:
    """The object of a row of one."""
    return row[0]
