"""Whether the ledger is what was written: hashes, texts, columns and the chain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from aragora_db.models import GenesisEvent
from aragora_db.rules.ledger import PARENT_HASH, Flaw, content_hash, is_same_time
from aragora_db.stores import checks
from aragora_db.stores.paging import check_limit
from aragora_db.stores.rows import same_json
from aragora_db.types import json_text

__all__ = ["LedgerReport", "Problem", "Verification", "flaws"]

_AT_A_TIME = 500


@dataclass(frozen=True)
class Problem:
    """An event that is not what was written.

    Attributes:
        event_id: the event.
        flaws: what is wrong with it; each is a sentence.
    """

    event_id: str
    flaws: tuple[Flaw, ...]


@dataclass(frozen=True)
class LedgerReport:
    """What `Verification.verify` found.

    Attributes:
        events: how many events the ledger has.
        unverifiable: how many of them came without the text that was hashed, so that nothing can be said.
        broken: how many are not what was written.
        problems: the first of the broken ones, in the ledger's order.
        head: the content hash of the newest event; None for an empty ledger.
        missing_anchors: hashes that were asked for and that no event has.
    """

    events: int
    unverifiable: int
    broken: int
    problems: tuple[Problem, ...]
    head: str | None
    missing_anchors: tuple[str, ...]

    @property
    def intact(self) -> bool:
        """Nothing is broken and no anchor is missing. Unverifiable events do not count."""
        return not self.broken and not self.missing_anchors


class Verification:
    """The part of `GenesisStore` that verifies the ledger."""

    session: Session

    def verify(self, *, anchors: Iterable[str] = (), limit: int = 100) -> LedgerReport:
        """Read the whole ledger and check every event against its text, its hash and its parent.

        Aragora's events (no parent's hash in their text) are verified one by one; those written by `append` as a
        chain. The table is read in one pass, with constant memory.

        A chain that lies in one table cannot prove everything. Who can write the table can remove the newest event,
        or any that no other has for its parent (most of Aragora's own), and nothing here would tell. And who rewrites
        an event together with all that follow it, hashes included, has made a valid chain. So keep ``head`` of a
        report where that writer cannot go, such as a log or another machine, and pass it as an anchor later: as long
        as an event has that hash and nothing is broken, it and every event before it in its chain are as they were.

        Args:
            anchors: content hashes noted earlier.
            limit: how many broken events to list; all are counted.

        Raises:
            InvalidValue: the limit is out of range.
        """
        check_limit(limit)
        missing = set(checks.names("anchors", anchors))
        events = unverifiable = broken = 0
        problems: list[Problem] = []
        head: str | None = None
        for row in self._rows():
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
                    problems.append(Problem(row.event_id, found))
        return LedgerReport(events, unverifiable, broken, tuple(problems), head, tuple(sorted(missing)))

    def _rows(self) -> Iterator[Any]:
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
        return iter(self.session.execute(statement, execution_options={"yield_per": _AT_A_TIME}))


def flaws(row: Any) -> Iterator[Flaw]:
    """What is wrong with an event whose hashed text is kept: a row of `Verification.verify`'s query."""
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
        return False  # NaN and the like: no column holds it, so it is not what is stored
