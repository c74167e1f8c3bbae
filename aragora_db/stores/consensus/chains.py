"""Which consensus took the place of which: a chain, kept in the record of both neighbours.

One transaction at a time changes chains. Row locks alone would not do: two that join the ends of two chains crosswise
lock four different rows, and together make a circle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from aragora_db.errors import ConflictError
from aragora_db.models import Consensus, ConsensusArchive
from aragora_db.rules import consensus as rules
from aragora_db.sql.locks import serialize
from aragora_db.stores import checks
from aragora_db.stores.consensus.base import no_consensus
from aragora_db.stores.consensus.new import NewConsensus
from aragora_db.stores.consensus.recording import Recording
from aragora_db.types import Text

__all__ = ["Chains"]

_Link = Consensus | ConsensusArchive
_LOCK = "consensus chains"


class Chains(Recording):
    """The part of `ConsensusStore` about chains."""

    def supersede(self, old_id: str, new: str | NewConsensus, *, now: datetime | None = None) -> Consensus:
        """Put a consensus in the place of another: ``superseded_by`` in the old one, ``supersedes`` in the new one.

        Aragora writes the second as ``metadata.supersedes`` only, lets a second successor take the place of the first
        without a word, and makes circles. Repeating a call whose new consensus has an id changes nothing.

        Args:
            old_id: the consensus that is no longer the last word.
            new: the id of a stored one, or one to store.
            now: the time of a new one; the clock's by default.

        Returns:
            The new consensus.

        Raises:
            InvalidValue: an argument is out of range; nothing is written.
            NotFoundError: one of them is not there; clean-up may have archived it.
            ConflictError: the old one is superseded by another already, the new one supersedes another already or is
                an older link of the same chain, or its id is stored with other content.
        """
        checks.key("old_id", old_id)
        serialize(self._session, _LOCK)
        if isinstance(new, NewConsensus):
            self._check_last(old_id, new.id)  # before anything is written; only who has the lock changes chains
            new_id = self.store(new, now=now).id
        else:
            new_id = checks.key("new", new)
            self._check_last(old_id, new_id)
        rows = self._locked([old_id, new_id])
        older, newer = rows[old_id], rows[new_id]
        before, after = rules.predecessor(newer.data), rules.successor(older.data)
        if (before, after) == (old_id, new_id):
            return newer
        if before not in {None, old_id}:
            raise ConflictError(f"consensus {new_id} supersedes {before} already; give the new one an id of its own")
        if after is None and new_id in {link.id for link in self._links(old_id)}:
            raise ConflictError(f"consensus {new_id} is an older link of the chain of {old_id}; store a new one")
        older.data = rules.linked(older.data, before=rules.predecessor(older.data), after=new_id)
        newer.data = rules.linked(newer.data, before=old_id, after=rules.successor(newer.data))
        self._session.flush()
        return newer

    def chain(self, consensus_id: str) -> tuple[_Link, ...]:
        """The whole chain of a consensus, oldest first; one that is in no chain is alone.

        Links that clean-up moved are there as rows of the archive. A link that was lost (Aragora deletes without
        mending chains) ends the walk; a circle in imported rows is gone through once.

        Raises:
            NotFoundError: there is no such consensus, not even in the archive.
        """
        links = {link.id: link for link in self._links(checks.key("id", consensus_id))}
        start = links.get(consensus_id)
        if start is None:
            raise no_consensus(consensus_id)
        del links[consensus_id]
        older = list(_walk(start, links, rules.predecessor))
        return (*reversed(older), start, *_walk(start, links, rules.successor))

    def delete(self, consensus_id: str) -> None:
        """Remove a consensus with its dissents, proofs and topic words, and close the gap in its chain.

        Its neighbours become each other's; when it was the newest, the one before it can be superseded again.

        Raises:
            NotFoundError: there is no such consensus.
        """
        checks.key("id", consensus_id)
        serialize(self._session, _LOCK)
        found = self.get(consensus_id)
        before, after = (None, None) if found is None else (rules.predecessor(found.data), rules.successor(found.data))
        neighbours = {each for each in (before, after) if each is not None} - {consensus_id}
        live = sa.select(Consensus).where(Consensus.id.in_([consensus_id, *neighbours])).order_by(Consensus.id)
        archive = sa.select(ConsensusArchive).where(ConsensusArchive.id.in_(neighbours)).order_by(ConsensusArchive.id)
        fresh = {"populate_existing": True}
        rows: list[_Link] = [
            *self._session.scalars(live.with_for_update(), execution_options=fresh),
            *self._session.scalars(archive.with_for_update(), execution_options=fresh),
        ]
        for row in rows:
            previous, following = rules.predecessor(row.data), rules.successor(row.data)
            if row.id != consensus_id and consensus_id in {previous, following}:
                row.data = rules.linked(
                    row.data,
                    before=before if previous == consensus_id else previous,
                    after=after if following == consensus_id else following,
                )
        doomed = next((row for row in rows if row.id == consensus_id), None)
        if doomed is None:
            raise no_consensus(consensus_id)
        self._session.delete(doomed)
        self._session.flush()

    def _check_last(self, old_id: str, new_id: str | None) -> None:
        """Nothing else supersedes it yet."""
        old = self.get(old_id)
        if old is None:
            raise no_consensus(old_id)
        after = rules.successor(old.data)
        if after not in {None, new_id}:
            raise ConflictError(
                f"consensus {old_id} is superseded by {after} already; supersede the last of chain({old_id!r})"
            )

    def _links(self, consensus_id: str) -> list[_Link]:
        """The rows of a chain, in no order: two statements, however long it is."""
        ids = sa.union(
            sa.select(_reached(consensus_id, _PREDECESSOR, "older").c.id),
            sa.select(_reached(consensus_id, _SUCCESSOR, "newer").c.id),
        )
        fresh = {"populate_existing": True}
        live = self._session.scalars(sa.select(Consensus).where(Consensus.id.in_(ids)), execution_options=fresh).all()
        archived = sa.select(ConsensusArchive).where(ConsensusArchive.id.in_(ids))
        gone = self._session.scalars(archived, execution_options=fresh)
        there = {row.id for row in live}
        return [*live, *(row for row in gone if row.id not in there)]


def _walk(
    link: _Link, links: dict[str, _Link], neighbour: Callable[[Mapping[str, Any]], str | None]
) -> Iterable[_Link]:
    """From neighbour to neighbour; each is taken out, so that no link is passed twice."""
    found: _Link | None = link
    while found is not None:
        found = links.pop(neighbour(found.data) or "", None)
        if found is not None:
            yield found


_SUCCESSOR = (("superseded_by",),)
_PREDECESSOR = (("supersedes",), ("metadata", "supersedes"))


def _reached(consensus_id: str, paths: tuple[tuple[str, ...], ...], name: str) -> sa.CTE:
    """The ids from this one on, in one direction. UNION, and not UNION ALL, ends circles."""
    reached = sa.select(sa.literal(consensus_id, Text()).label("id")).cte(name, recursive=True)
    live, archived = aliased(Consensus), aliased(ConsensusArchive)
    following = sa.case(
        (live.id.is_not(None), _first_id(live.data, paths)), else_=_first_id(archived.data, paths)
    ).label("id")
    step = (
        sa.select(following)
        .select_from(reached)
        .outerjoin(live, live.id == reached.c.id)
        .outerjoin(archived, archived.id == reached.c.id)
        .where(following != "")
    )
    return reached.union(step)


def _first_id(data: Any, paths: tuple[tuple[str, ...], ...]) -> sa.ColumnElement[Any]:
    # The literal gives the whole the collation of keys; a field of JSON has the server's.
    return sa.func.coalesce(*(data[path].as_string() for path in paths), sa.literal("", Text()))
