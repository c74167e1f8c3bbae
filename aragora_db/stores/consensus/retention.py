"""How old consensus rows move to the archive, with their dissents and proofs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

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
from aragora_db.models.base import Base
from aragora_db.stores.consensus.results import ArchivedCounts
from aragora_db.types import UtcDateTime

__all__ = ["archive_consensus", "cutoff", "lock_older"]


def cutoff(now: datetime, older_than_days: float) -> datetime:
    """Return the time so many days ago.

    Raises:
        InvalidValue: the number of days is negative, or leads out of the calendar.
    """
    try:
        if older_than_days >= 0:
            return now - timedelta(days=older_than_days)
    except OverflowError:
        pass
    raise InvalidValue(f"older_than_days is {older_than_days!r}; it must be 0 or more, within the calendar")


def lock_older(session: Session, than: datetime, *, after_id: str, limit: int) -> list[str]:
    """Lock consensus rows older than a time, in key order, and return their ids.

    A row that another clean-up is moving is waited for, and then gone.

    Args:
        session: the transaction.
        than: the time.
        after_id: only ids after this one.
        limit: the most rows to lock.
    """
    statement = sa.select(Consensus.id).where(Consensus.timestamp < than, Consensus.id > after_id)
    return list(session.scalars(statement.order_by(Consensus.id).limit(limit).with_for_update()))


def archive_consensus(session: Session, consensus_ids: Sequence[str], now: datetime) -> ArchivedCounts:
    """Move locked consensus rows to the archive, with their dissents and proofs.

    Nothing can be added to a consensus that is locked, so the rows that are deleted are those that were copied.

    Args:
        session: the transaction.
        consensus_ids: the rows.
        now: the value of `archived_at`.
    """
    moved = ArchivedCounts(
        _copy(session, Consensus, ConsensusArchive, Consensus.id.in_(consensus_ids), now),
        _copy(session, Dissent, DissentArchive, Dissent.debate_id.in_(consensus_ids), now),
        _copy(session, VerifiedProof, VerifiedProofArchive, VerifiedProof.debate_id.in_(consensus_ids), now),
    )
    # Foreign keys delete dissents, proofs and topic words.
    session.execute(
        sa.delete(Consensus).where(Consensus.id.in_(consensus_ids)), execution_options={"synchronize_session": False}
    )
    return moved


def _copy(session: Session, model: type[Base], archive: type[Base], condition: Any, now: datetime) -> int:
    """Copy rows into their archive, over rows of the same ids, and return how many."""
    names = [column.key for column in sa.inspect(model).columns]
    source = model.__table__.c
    rows = sa.select(*(source[name] for name in names), sa.literal(now, UtcDateTime())).where(condition)
    statement = insert(session, archive).from_select([*names, "archived_at"], rows)
    statement = statement.on_conflict_do_update(
        index_elements=["id"],
        set_={name: statement.excluded[name] for name in (*names, "archived_at") if name != "id"},
    )
    # Without `preserve_rowcount` SQLAlchemy does not keep the row count of an INSERT.
    options = {"synchronize_session": False, "preserve_rowcount": True}
    done: Any = session.execute(statement, execution_options=options)
    return int(done.rowcount)
