"""The verification of the ledger: each event against its hashed text, its hash and its parent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from aragora_db.models import GenesisEvent
from aragora_db.rules.ledger import PARENT_HASH, Flaw, content_hash, is_same_time
from aragora_db.stores.rows import same_json
from aragora_db.types import json_text

__all__ = ["LedgerProblem", "LedgerReport", "flaws", "verify"]

_ROWS_PER_FETCH = 500


@dataclass(frozen=True)
class LedgerProblem:
    """An event that is not what was written.

    Attributes:
        event_id: the event.
        flaws: what is wrong with it; each is a sentence.
    """

    event_id: str
    flaws: tuple[Flaw, ...]


@dataclass(frozen=True)
class LedgerReport:
    """The result of `GenesisStore.verify_ledger`.

    Attributes:
        events: the number of events in the ledger.
        unverifiable: how many of them were imported without the text that was hashed, so that they cannot be checked.
        broken: how many are not what was written.
        problems: the first of the broken ones, in the ledger's order.
        head: the content hash of the newest event; None for an empty ledger.
        missing_anchors: the anchors that no event has, sorted.
    """

    events: int
    unverifiable: int
    broken: int
    problems: tuple[LedgerProblem, ...]
    head: str | None
    missing_anchors: tuple[str, ...]

    @property
    def intact(self) -> bool:
        """Whether nothing is broken and no anchor is missing. Unverifiable events do not count."""
        return not self.broken and not self.missing_anchors


def verify(session: Session, anchors: list[str], limit: int) -> LedgerReport:
    """Verify every event in one pass over the table, with constant memory.

    Args:
        session: the transaction to read in.
        anchors: content hashes that must be in the ledger.
        limit: the number of broken events to list; all are counted.
    """
    missing = set(anchors)
    events = unverifiable = broken = 0
    problems: list[LedgerProblem] = []
    head: str | None = None
    for row in _rows(session):
        events += 1
        head = row.content_hash
        missing.discard(head)
        if row.hashed_text is None:
            unverifiable += 1
            continue
        found = tuple(flaws(row))
        if found:
            broken += 1
            if len(problems) < limit:
                problems.append(LedgerProblem(row.event_id, found))
    return LedgerReport(events, unverifiable, broken, tuple(problems), head, tuple(sorted(missing)))


def _rows(session: Session) -> Iterator[Any]:
    parent = aliased(GenesisEvent)
    statement = (
        sa.select(
            GenesisEvent.event_id,
            GenesisEvent.event_type,
            GenesisEvent.timestamp,
            GenesisEvent.parent_event_id,
            GenesisEvent.content_hash,
            GenesisEvent.data,
            GenesisEvent.hashed_text,
            parent.event_id.label("found_parent"),
            parent.content_hash.label("parent_hash"),
        )
        .outerjoin(parent, parent.event_id == GenesisEvent.parent_event_id)
        .order_by(GenesisEvent.timestamp, GenesisEvent.event_id)
    )
    return iter(session.execute(statement, execution_options={"yield_per": _ROWS_PER_FETCH}))


def flaws(row: Any) -> Iterator[Flaw]:
    """Yield what is wrong with an event whose hashed text is kept.

    Args:
        row: the columns of the event, with `found_parent` (the parent's id if it is stored) and `parent_hash`.
    """
    if content_hash(row.hashed_text) != row.content_hash:
        yield Flaw.HASH
    if row.parent_event_id is not None and row.found_parent is None:
        yield Flaw.PARENT_MISSING
    text = _read(row.hashed_text)
    if text is None:
        yield Flaw.TEXT
        return
    if text.get("event_id") != row.event_id:
        yield Flaw.EVENT_ID
    if text.get("event_type") != row.event_type:
        yield Flaw.TYPE
    if not is_same_time(text.get("timestamp"), row.timestamp):
        yield Flaw.TIMESTAMP
    if text.get("parent_event_id") != row.parent_event_id:
        yield Flaw.PARENT
    if not _same(text.get("data"), row.data):
        yield Flaw.DATA
    if PARENT_HASH in text and text[PARENT_HASH] != row.parent_hash:
        yield Flaw.PARENT_HASH


def _read(text: str) -> dict[str, Any] | None:
    try:
        value: Any = json_text.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _same(written: Any, stored: Any) -> bool:
    try:
        return same_json(written, stored)
    except ValueError:
        return False  # no column can hold NaN and the like, so it is not what is stored
