"""What was proved about a consensus."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from aragora_db.errors import ConflictError
from aragora_db.models import VerifiedProof
from aragora_db.models.base import utcnow
from aragora_db.stores import checks
from aragora_db.stores.consensus.base import Part
from aragora_db.stores.consensus.new import NewProof
from aragora_db.stores.paging import Keyset, Page
from aragora_db.stores.rows import check_rows, same_json

__all__ = ["Proofs"]

_NEWEST = Keyset(VerifiedProof.timestamp.desc(), VerifiedProof.id)


class Proofs(Part):
    """The part of `ConsensusStore` about formal proofs."""

    def store_proof(self, new: NewProof, *, now: datetime | None = None) -> VerifiedProof:
        """Store what a prover made of a consensus. With an id of its own the call can be repeated.

        Args:
            new: the proof, or the failure to find one.
            now: its time; the clock's by default. It does not count as content.

        Returns:
            The stored proof.

        Raises:
            InvalidValue: an argument is out of range; nothing is written.
            NotFoundError: there is no such consensus.
            ConflictError: the id is stored with other content, or for another consensus.
        """
        row = new.row(now or utcnow())
        check_rows(self._session, VerifiedProof, [row])
        # FOR KEY SHARE, as the foreign key does: the consensus stays, and nobody waits but who removes it.
        self._consensus(row["debate_id"], read=True)
        added = self._added(VerifiedProof, row)
        if added is not None:
            return added
        stored = self._session.get(VerifiedProof, row["id"], populate_existing=True)
        if stored is None or stored.debate_id != row["debate_id"] or not same_json(stored.data, row["data"]):
            raise ConflictError(f"proof {row['id']} is stored with other content; give this one an id of its own")
        return stored

    def latest_proof(self, debate_id: str) -> VerifiedProof | None:
        """The newest proof of a consensus by its time, or None."""
        items = self.proofs(debate_id, limit=1).items
        return items[0] if items else None

    def proofs(
        self,
        debate_id: str | None = None,
        *,
        status: str | None = None,
        verified: bool | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> Page[VerifiedProof]:
        """Proofs, newest first, then by id.

        Args:
            debate_id: only of this consensus.
            status: only of this status, such as ``proof_failed``.
            verified: only those that succeeded (True) or did not (False).
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or ``after`` is no token of this listing.
        """
        statement = sa.select(VerifiedProof)
        if debate_id is not None:
            statement = statement.where(VerifiedProof.debate_id == checks.key("debate_id", debate_id))
        if status is not None:
            statement = statement.where(VerifiedProof.proof_status == checks.key("status", status))
        if verified is not None:
            statement = statement.where(VerifiedProof.is_verified.is_(verified))
        return _NEWEST.page(
            self._session,
            statement.execution_options(populate_existing=True),
            limit=limit,
            after=after,
        )
