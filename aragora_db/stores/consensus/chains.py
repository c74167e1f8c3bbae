"""The chain in which one consensus supersedes another, kept in the records of both.

One transaction at a time changes chains. Row locks alone are not enough: two transactions that join the ends of two
chains crosswise lock four different rows, and together make a circle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from aragora_db.models import Consensus, ConsensusArchive
from aragora_db.rules import consensus as rules
from aragora_db.sql.locks import serialize
from aragora_db.stores.consensus.results import ChainLink
from aragora_db.types import Text

__all__ = ["bypass", "in_order", "links_of", "serialize_chains"]

_LOCK = "consensus chains"

# Where a record has the id of a neighbour. Aragora keeps the predecessor in the metadata.
_SUCCESSOR = (("superseded_by",),)
_PREDECESSOR = (("supersedes",), ("metadata", "supersedes"))


def serialize_chains(session: Session) -> None:
    """Wait until no other transaction changes chains; hold the lock until this one ends."""
    serialize(session, _LOCK)


def links_of(session: Session, consensus_id: str) -> dict[str, ChainLink]:
    """Return the rows of a consensus's chain by id, in no order: two statements, however long it is."""
    ids = sa.union(
        sa.select(_reached(consensus_id, _PREDECESSOR, "older").c.id),
        sa.select(_reached(consensus_id, _SUCCESSOR, "newer").c.id),
    )
    fresh = {"populate_existing": True}
    live = session.scalars(sa.select(Consensus).where(Consensus.id.in_(ids)), execution_options=fresh).all()
    archived = session.scalars(
        sa.select(ConsensusArchive).where(ConsensusArchive.id.in_(ids)), execution_options=fresh
    ).all()
    # An id may be in both: then the row that is not archived counts.
    return {row.id: row for row in archived} | {row.id: row for row in live}


def in_order(start: ChainLink, links: Mapping[str, ChainLink]) -> tuple[ChainLink, ...]:
    """Return a chain, oldest first.

    Args:
        start: any of its links.
        links: its links by id. A circle is passed once.
    """
    left = {link_id: link for link_id, link in links.items() if link_id != start.id}
    older = list(_walk(start, left, rules.predecessor))
    return (*reversed(older), start, *_walk(start, left, rules.successor))


def bypass(rows: Iterable[ChainLink], removed: ChainLink) -> None:
    """Make the neighbours of a link that is removed each other's.

    Args:
        rows: the locked neighbours.
        removed: the link.
    """
    before, after = rules.predecessor(removed.data), rules.successor(removed.data)
    for row in rows:
        previous, following = rules.predecessor(row.data), rules.successor(row.data)
        if removed.id in {previous, following}:
            row.data = rules.linked(
                row.data,
                before=before if previous == removed.id else previous,
                after=after if following == removed.id else following,
            )


def _walk(
    link: ChainLink, left: dict[str, ChainLink], neighbour: Callable[[Mapping[str, Any]], str | None]
) -> Iterable[ChainLink]:
    """Go from neighbour to neighbour; each is taken out of `left`, so that none is passed twice."""
    found: ChainLink | None = link
    while found is not None:
        found = left.pop(neighbour(found.data) or "", None)
        if found is not None:
            yield found


def _reached(consensus_id: str, paths: tuple[tuple[str, ...], ...], name: str) -> sa.CTE:
    """Return the ids from this one on, in one direction. UNION, unlike UNION ALL, ends at a circle."""
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
    """Return the id at the first of these paths into a record that has one, else empty text."""
    # The literal gives the expression the collation of keys; a field of JSON has the server's.
    return sa.func.coalesce(*(data[path].as_string() for path in paths), sa.literal("", Text()))
