"""The ledger: what happened to genomes and populations, each event chained to the one before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.errors import ConflictError, InvalidValue, NotFoundError
from aragora_db.models import GenesisEvent
from aragora_db.models.base import utcnow
from aragora_db.rules import ledger as rules
from aragora_db.sql.locks import serialize
from aragora_db.stores import checks
from aragora_db.stores.paging import Keyset, Page
from aragora_db.stores.rows import check_rows, same_json
from aragora_db.types import json_text

__all__ = ["Ledger"]

_IN_ORDER = Keyset(GenesisEvent.timestamp, GenesisEvent.event_id)
_TICK = timedelta(microseconds=1)


class _Parent(NamedTuple):
    event_id: str
    timestamp: datetime
    content_hash: str


class Ledger:
    """The part of `GenesisStore` that writes and lists events. Events are never changed or removed."""

    session: Session

    def append(
        self,
        event_type: str,
        data: Mapping[str, Any],
        *,
        parent_event_id: str | None = None,
        event_id: str | None = None,
        now: datetime | None = None,
    ) -> GenesisEvent:
        """Add an event to the ledger, after its newest one.

        One transaction at a time appends, so make it the last thing a unit of work does. What is hashed holds the
        parent's hash, so the events are a chain; see `verify` for what it proves. An event is never as old as its
        parent or older: where a clock is behind, the event gets the parent's time plus a microsecond, so that the
        newest event is always the end of the chain.

        Args:
            event_type: what happened, such as ``agent_birth``.
            data: JSON values that tell more.
            parent_event_id: the event it follows from; the ledger's newest by default. With another parent the ledger
                becomes a tree; the end of a branch is protected by no later event.
            event_id: its id, so that a repeated call adds nothing; a new UUID by default.
            now: when it happened; the clock's time by default.

        Returns:
            The event; the stored one when its id was there with the same content. Content is the type, the data and,
            where it is given, the parent. The time is not.

        Raises:
            InvalidValue: a value that the ledger cannot keep.
            NotFoundError: there is no such parent.
            ConflictError: the id belongs to an event with other content.
        """
        checks.name("event_type", event_type)
        kept = _portable(data)
        event_id = str(uuid4()) if event_id is None else checks.name("event_id", event_id)
        values = {"event_id": event_id, "event_type": event_type, "timestamp": now, "parent_event_id": parent_event_id}
        check_rows(self.session, GenesisEvent, [values])
        serialize(self.session, "genesis ledger")
        stored = self.event(event_id)
        if stored is not None:
            return _same(stored, event_type, kept, parent_event_id)
        parent = self._parent(parent_event_id)
        instant = (now or utcnow()).astimezone(UTC)
        if parent is not None and instant <= parent.timestamp:
            instant = parent.timestamp + _TICK
        text = rules.hashed_text(
            event_id,
            event_type,
            instant,
            parent_event_id=None if parent is None else parent.event_id,
            parent_hash=None if parent is None else parent.content_hash,
            data=kept,
        )
        event = GenesisEvent(
            event_id=event_id,
            event_type=event_type,
            timestamp=instant,
            parent_event_id=None if parent is None else parent.event_id,
            content_hash=rules.content_hash(text),
            data=kept,
            hashed_text=text,
        )
        self.session.add(event)
        self.session.flush()
        return event

    def event(self, event_id: str) -> GenesisEvent | None:
        """An event by its id, or None."""
        return self.session.get(GenesisEvent, event_id, populate_existing=True)

    def events(
        self,
        event_type: str | None = None,
        *,
        since: datetime | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> Page[GenesisEvent]:
        """Events in the ledger's order: oldest first, then by id.

        Args:
            event_type: only these.
            since: only from this instant on.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, ``since`` has no zone, or ``after`` is no token of this listing.
        """
        statement = sa.select(GenesisEvent)
        if event_type is not None:
            statement = statement.where(GenesisEvent.event_type == event_type)
        if since is not None:
            statement = statement.where(GenesisEvent.timestamp >= since)
        return self._page(statement, limit, after)

    def children(self, event_id: str, *, limit: int = 100, after: str | None = None) -> Page[GenesisEvent]:
        """The events that follow from an event, in the ledger's order.

        Args:
            event_id: their parent.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or ``after`` is no token of this listing.
        """
        return self._page(sa.select(GenesisEvent).where(GenesisEvent.parent_event_id == event_id), limit, after)

    def _page(self, statement: sa.Select[Any], limit: int, after: str | None) -> Page[GenesisEvent]:
        return _IN_ORDER.page(
            self.session,
            statement,
            limit=limit,
            after=after,
        )

    def _parent(self, event_id: str | None) -> _Parent | None:
        statement = sa.select(GenesisEvent.event_id, GenesisEvent.timestamp, GenesisEvent.content_hash)
        if event_id is None:
            statement = statement.order_by(GenesisEvent.timestamp.desc(), GenesisEvent.event_id.desc()).limit(1)
        else:
            statement = statement.where(GenesisEvent.event_id == event_id)
        row = self.session.execute(statement).first()
        if row is None and event_id is not None:
            raise NotFoundError(f"there is no event {event_id!r} to be the parent; leave it out for the newest")
        return None if row is None else _Parent(*row)


def _portable(data: Any) -> dict[str, Any]:
    """As it will be read back: the hashed text and the column have to agree."""
    if not isinstance(data, Mapping):
        raise InvalidValue(f"data is a {type(data).__name__}; pass a mapping of names to JSON values")
    try:
        kept: dict[str, Any] = json_text.portable(dict(data))  # pyright: ignore[reportUnknownArgumentType]
    except ValueError as problem:
        raise InvalidValue(f"data takes JSON that both databases keep: {problem}") from None
    return kept


def _same(stored: GenesisEvent, event_type: str, data: dict[str, Any], parent: str | None) -> GenesisEvent:
    is_same = stored.event_type == event_type and same_json(stored.data, data)
    if not is_same or parent not in {None, stored.parent_event_id}:
        raise ConflictError(
            f"event {stored.event_id} is in the ledger with other content; give a new event an id of its own"
        )
    return stored
