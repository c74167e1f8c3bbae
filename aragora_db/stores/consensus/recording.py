"""A consensus, stored exactly once and found again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from aragora_db.errors import ConflictError, InvalidValue
from aragora_db.models import Consensus
from aragora_db.models.base import utcnow
from aragora_db.rules import consensus as rules
from aragora_db.search.index import follow
from aragora_db.stores import checks
from aragora_db.stores.consensus.base import Part
from aragora_db.stores.consensus.new import NewConsensus
from aragora_db.stores.paging import MAX_LIMIT
from aragora_db.stores.rows import check_rows, same_json

__all__ = ["Recording"]


class Recording(Part):
    """The part of `ConsensusStore` that records what was concluded."""

    def store(self, new: NewConsensus, *, now: datetime | None = None) -> Consensus:
        """Store what a debate concluded.

        With an id of its own the call can be repeated: the second one changes nothing. What other verbs write
        (dissents, the chain) and the time do not count as content.

        Args:
            new: the consensus.
            now: its time; the clock's by default.

        Returns:
            The stored consensus.

        Raises:
            InvalidValue: an argument is out of range; nothing is written.
            ConflictError: the id is stored with other content.
        """
        row = new.row(now or utcnow())
        check_rows(self._session, Consensus, [row])
        added = self._added(Consensus, row)
        if added is not None:
            follow(self._session, Consensus, {added.id: (added.topic,)}, new=True)
            return added
        stored = self.get(row["id"])
        if stored is None or not same_json(rules.consensus_content(stored.data), rules.consensus_content(row["data"])):
            raise ConflictError(
                f"consensus {row['id']} is stored with other content; read it with get(id), replace it with supersede()"
            )
        return stored

    def get(self, consensus_id: str) -> Consensus | None:
        """A consensus by its id, or None."""
        return self._session.get(Consensus, checks.key("id", consensus_id), populate_existing=True)

    def get_many(self, consensus_ids: Iterable[str]) -> dict[str, Consensus]:
        """Several by id, in the order asked for; those that are not there are left out.

        Raises:
            InvalidValue: more than 10,000 ids, or one that is none.
        """
        wanted = list(dict.fromkeys(checks.key("id", consensus_id) for consensus_id in consensus_ids))
        if len(wanted) > MAX_LIMIT:
            raise InvalidValue(f"consensus_ids has {len(wanted)} ids; ask for at most {MAX_LIMIT} at a time")
        statement = sa.select(Consensus).where(Consensus.id.in_(wanted))
        rows = self._session.scalars(statement, execution_options={"populate_existing": True})
        found = {row.id: row for row in rows}
        return {consensus_id: found[consensus_id] for consensus_id in wanted if consensus_id in found}
