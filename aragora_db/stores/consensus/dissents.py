"""Who did not agree, why, and what was answered."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from aragora_db.errors import ConflictError, NotFoundError
from aragora_db.models import Dissent, DissentType
from aragora_db.models.base import utcnow
from aragora_db.rules import consensus as rules
from aragora_db.stores import checks
from aragora_db.stores.consensus.base import Part
from aragora_db.stores.consensus.new import NewDissent
from aragora_db.stores.paging import Keyset, Page
from aragora_db.stores.rows import check_rows, same_json

__all__ = ["Dissents"]

_NEWEST = Keyset(Dissent.timestamp.desc().nulls_last(), Dissent.id)


class Dissents(Part):
    """The part of `ConsensusStore` about dissent."""

    def store_dissent(self, new: NewDissent, *, now: datetime | None = None) -> Dissent:
        """Store an objection to a consensus, and its id in the consensus's `dissent_ids`, both exactly once.

        Two things are mended: Aragora stores dissents whose consensus does not exist, and two at the same time lose
        one of the ids. With an id of its own the call can be repeated; answers and the time do not count as content.

        Args:
            new: the dissent.
            now: its time; the clock's by default.

        Returns:
            The stored dissent.

        Raises:
            InvalidValue: an argument is out of range; nothing is written.
            NotFoundError: there is no such consensus.
            ConflictError: the id is stored with other content, or for another consensus.
        """
        row = new.row(now or utcnow())
        check_rows(self._session, Dissent, [row])
        parent = self._consensus(row["debate_id"])
        added = self._added(Dissent, row)
        stored = added or self.dissent(row["id"])
        if stored is None or not same_json(rules.dissent_content(stored.data), rules.dissent_content(row["data"])):
            raise ConflictError(f"dissent {row['id']} is stored with other content; give this one an id of its own")
        ids: list[str] = parent.data.get("dissent_ids") or []
        if stored.id not in ids:
            parent.data = {**parent.data, "dissent_ids": [*ids, stored.id]}
            self._session.flush()
        return stored

    def dissent(self, dissent_id: str) -> Dissent | None:
        """A dissent by its id, or None."""
        return self._session.get(Dissent, checks.key("id", dissent_id), populate_existing=True)

    def acknowledge(self, dissent_id: str) -> Dissent:
        """Note that a dissent was heard. Repeating it changes nothing.

        Raises:
            NotFoundError: there is no such dissent.
        """
        return self._answer(dissent_id, {"acknowledged": True})

    def rebut(self, dissent_id: str, rebuttal: str) -> Dissent:
        """Answer a dissent; a later answer takes the place of an earlier one.

        Args:
            dissent_id: the dissent.
            rebuttal: the answer.

        Raises:
            InvalidValue: the answer is blank, or no text that a database can keep.
            NotFoundError: there is no such dissent.
        """
        answer = {"rebuttal": checks.name("rebuttal", rebuttal)}
        check_rows(self._session, Dissent, [{"data": answer}])
        return self._answer(dissent_id, answer)

    def dissents(
        self,
        debate_id: str | None = None,
        *,
        agent_id: str | None = None,
        dissent_type: str | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> Page[Dissent]:
        """Dissents, newest first; those without a time come last, then by id.

        Args:
            debate_id: only of this consensus.
            agent_id: only of this agent.
            dissent_type: only of this type, such as ``risk_warning``.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: there is no such type, the limit is out of range, or ``after`` is no token of this listing.
        """
        statement = sa.select(Dissent)
        if debate_id is not None:
            statement = statement.where(Dissent.debate_id == checks.key("debate_id", debate_id))
        if agent_id is not None:
            statement = statement.where(Dissent.agent_id == checks.key("agent_id", agent_id))
        if dissent_type is not None:
            kind = checks.member("dissent_type", DissentType, dissent_type)
            statement = statement.where(Dissent.dissent_type == kind)
        return _NEWEST.page(
            self._session,
            statement.execution_options(populate_existing=True),
            limit=limit,
            after=after,
        )

    def _answer(self, dissent_id: str, answer: dict[str, Any]) -> Dissent:
        # The lock order everywhere is consensus, then dissent; nothing here needs the first.
        dissent = self._session.get(
            Dissent, checks.key("id", dissent_id), with_for_update={"key_share": True}, populate_existing=True
        )
        if dissent is None:
            raise NotFoundError(f"there is no dissent {dissent_id!r}; store it with store_dissent first")
        dissent.data = {**dissent.data, **answer}
        self._session.flush()
        return dissent
