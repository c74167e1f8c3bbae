"""What instances tell each other while it happens: a debate was created, went on, ended.

An event is a hint to look into the database, which has the truth. Redis keeps none of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from aragora_db.errors import InvalidValue
from aragora_db.models.base import utcnow
from aragora_db.types import json_text

__all__ = [
    "DEBATE_CREATED",
    "DEBATE_FINISHED",
    "DEBATE_UPDATED",
    "GAP",
    "MAX_BYTES",
    "Event",
    "from_wire",
    "gap",
    "to_wire",
]

DEBATE_CREATED: Final = "debate_created"
DEBATE_UPDATED: Final = "debate_updated"
DEBATE_FINISHED: Final = "debate_finished"

GAP: Final = "gap"
"""The type of the event that says: some may have been missed, look again at whatever you show."""

MAX_BYTES = 65_536

_TYPE = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True)
class Event:
    """Something happened.

    Attributes:
        type: `DEBATE_CREATED`, `DEBATE_UPDATED`, `DEBATE_FINISHED`, or a word of your own; `GAP` is made by us.
        debate_id: the debate it happened to, if it is about one.
        data: what else there is to say: JSON, and little of it.
        at: when, with a time zone.
    """

    type: str
    debate_id: str | None = None
    data: dict[str, Any] = field(default_factory=dict[str, Any])
    at: datetime = field(default_factory=utcnow)


def gap() -> Event:
    """The event that says that some may have been missed."""
    return Event(GAP)


def to_wire(event: Event) -> bytes:
    """The event as it travels.

    Raises:
        InvalidValue: its type is no word, or `GAP`; its time has no zone; its data is no JSON; it is too large.
    """
    if event.type == GAP or _TYPE.fullmatch(event.type) is None:
        raise InvalidValue(f"type is {event.type!r}; use a word of lower-case letters, digits and _, and not {GAP!r}")
    if event.at.utcoffset() is None:
        raise InvalidValue("at has no time zone; use datetime.now(UTC)")
    members = {"type": event.type, "debate_id": event.debate_id, "data": event.data, "at": event.at.isoformat()}
    try:
        text = json_text.dumps(json_text.portable(members)).encode()
    except ValueError as problem:
        raise InvalidValue(f"an event of type {event.type} is no JSON: {problem}") from problem
    if len(text) > MAX_BYTES:
        raise InvalidValue(
            f"an event of type {event.type} has {len(text)} bytes, {MAX_BYTES} is the limit; send an id instead"
        )
    return text


def from_wire(text: bytes) -> Event | None:
    """The event in a message, or None for a message that is none of ours."""
    if len(text) > MAX_BYTES:
        return None
    try:
        members: dict[str, Any] = json_text.loads(text)
        kind, debate_id, data = members["type"], members["debate_id"], members["data"]
        event = Event(kind, debate_id, data, datetime.fromisoformat(members["at"]))
        ours = _TYPE.fullmatch(kind) is not None and kind != GAP and event.at.utcoffset() is not None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    ours = ours and (debate_id is None or isinstance(debate_id, str)) and isinstance(data, dict)
    return event if ours else None
