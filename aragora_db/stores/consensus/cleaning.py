"""Old consensus rows move to the archive, with everything that belongs to them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa

from aragora_db.engine.dialects import insert
from aragora_db.errors import InvalidValue
from aragora_db.models import (
    Consensus,
    ConsensusArchive,
    Dissent,
    DissentArchive,
    VerifiedProof,
    VerifiedProofArchive,
)
from aragora_db.models.base import Base, utcnow
from aragora_db.rules import consensus as rules
from aragora_db.stores import checks
from aragora_db.stores.consensus.base import Part
from aragora_db.types import UtcDateTime

__all__ = ["Cleaning", "Moved"]

_SLICE = 1_000  # ids in memory and in one statement


class Moved(NamedTuple):
    """How many rows a clean-up moved to the archives."""

    consensus: int
    dissents: int
    proofs: int


class Cleaning(Part):
    """The part of `ConsensusStore` that archives."""

    def clean_up(
        self, older_than_days: float = rules.KEEP_DAYS, *, limit: int | None = None, now: datetime | None = None
    ) -> Moved:
        """Move old consensus rows to the archive, together with their dissents and proofs, and their topic words away.

        A consensus and what belongs to it move together, by the age of the consensus; Aragora moves dissents by their
        own age and leaves proofs behind, which made most of the orphans in real files. Rows without a time stay.
        Chains survive: the records keep the ids of their neighbours, and `chain` looks into the archive.

        An id that is in the archive already is written anew: the archive holds what was moved last. (Aragora keeps the
        first, and what was stored since would be gone.)

        Args:
            older_than_days: days; the default is Aragora's 90.
            limit: move at most so many consensus rows, to keep the transaction short; call again until it moves none.
            now: from when on to count back; the clock's time by default.

        Returns:
            How many rows were moved.

        Raises:
            InvalidValue: an argument is out of range.
        """
        now = checks.instant("now", now or utcnow())
        days = checks.finite("older_than_days", older_than_days)
        if limit is not None:
            checks.count("limit", limit)
        cutoff = _before(now, days)
        total = Moved(0, 0, 0)
        last = ""
        while ids := self._old(cutoff, last, _SLICE if limit is None else min(_SLICE, limit - total.consensus)):
            last = ids[-1]
            moved = self._move(ids, now)
            total = Moved(*map(sum, zip(total, moved, strict=True)))
        return total

    def _old(self, cutoff: datetime, last: str, some: int) -> list[str]:
        """Ids to move, locked in key order; a row that another clean-up moves is waited for and then gone."""
        statement = sa.select(Consensus.id).where(Consensus.timestamp < cutoff, Consensus.id > last)
        return list(self._session.scalars(statement.order_by(Consensus.id).limit(some).with_for_update()))

    def _move(self, ids: Sequence[str], now: datetime) -> Moved:
        # Nobody adds to a consensus that is locked, so what is copied is what goes.
        moved = Moved(
            self._copy(Consensus, ConsensusArchive, Consensus.id, ids, now),
            self._copy(Dissent, DissentArchive, Dissent.debate_id, ids, now),
            self._copy(VerifiedProof, VerifiedProofArchive, VerifiedProof.debate_id, ids, now),
        )
        # Dissents, proofs and topic words go with it by their foreign keys.
        self._session.execute(
            sa.delete(Consensus).where(Consensus.id.in_(ids)), execution_options={"synchronize_session": False}
        )
        return moved

    def _copy(self, model: type[Base], archive: type[Base], owner: Any, ids: Sequence[str], now: datetime) -> int:
        names = [column.key for column in sa.inspect(model).columns]
        source = model.__table__.c
        rows = sa.select(*(source[name] for name in names), sa.literal(now, UtcDateTime())).where(owner.in_(ids))
        statement = insert(self._session, archive).from_select([*names, "archived_at"], rows)
        statement = statement.on_conflict_do_update(
            index_elements=["id"],
            set_={name: statement.excluded[name] for name in (*names, "archived_at") if name != "id"},
        )
        # Of an INSERT, SQLAlchemy forgets how many rows the database counted unless told.
        options = {"synchronize_session": False, "preserve_rowcount": True}
        done: Any = self._session.execute(statement, execution_options=options)
        return int(done.rowcount)


def _before(now: datetime, days: float) -> datetime:
    try:
        if days >= 0:
            return now - timedelta(days=days)
    except OverflowError:
        pass
    raise InvalidValue(f"older_than_days is {days!r}; it must be 0 or more, within the calendar")
