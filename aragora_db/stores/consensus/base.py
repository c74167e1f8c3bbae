"""What the parts of the store share: the session, and how rows are found and locked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.engine.dialects import insert
from aragora_db.errors import NotFoundError
from aragora_db.models import Consensus
from aragora_db.models.base import Base
from aragora_db.stores import checks

__all__ = ["Part", "no_consensus"]

M = TypeVar("M", bound=Base)


class Part:
    """A part of the store.

    Args:
        session: what every verb runs in; the caller commits.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def _added(self, model: type[M], row: dict[str, Any]) -> M | None:
        """Insert a row; None when its key is there already."""
        statement = insert(self._session, model).values(**row).on_conflict_do_nothing().returning(model)
        # The session may still know a row of this key that clean-up or a foreign key has removed since.
        return self._session.scalars(statement, execution_options={"populate_existing": True}).one_or_none()

    def _consensus(self, consensus_id: str, *, read: bool = False) -> Consensus:
        """A consensus, locked as `_locked` does, or with ``read`` only against removal, as a foreign key does."""
        return self._locked([consensus_id], read=read)[consensus_id]

    def _locked(self, consensus_ids: Iterable[str], *, read: bool = False) -> dict[str, Consensus]:
        """Several of them, locked in key order.

        Not FOR UPDATE: that would make transactions wait that add a proof, whose foreign key shares the key.

        Raises:
            NotFoundError: one is not there.
        """
        wanted = sorted({checks.key("id", consensus_id) for consensus_id in consensus_ids})
        statement = sa.select(Consensus).where(Consensus.id.in_(wanted)).order_by(Consensus.id)
        statement = statement.with_for_update(read=read, key_share=True)
        rows = self._session.scalars(statement, execution_options={"populate_existing": True})
        found = {row.id: row for row in rows}
        for consensus_id in wanted:
            if consensus_id not in found:
                raise no_consensus(consensus_id)
        return found


def no_consensus(consensus_id: str) -> NotFoundError:
    """What to raise when it is not there."""
    return NotFoundError(f"there is no consensus {consensus_id!r}; store it first. Clean-up may have archived it")
