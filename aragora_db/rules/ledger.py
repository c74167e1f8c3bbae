"""The ledger of genesis: which text of an event is hashed, and what can be wrong with an event.

The text is Aragora's: JSON of five fields, keys sorted, as Python's ``json.dumps`` writes it, the time as isoformat
(Aragora 2.8.0, genesis/; it reproduces all 356 hashes of its real file). Events written here have a sixth field, the
parent's hash, which makes them a chain: whoever changes an event would have to change all that come after it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

__all__ = ["PARENT_HASH", "Flaw", "content_hash", "hashed_text", "is_same_time"]

PARENT_HASH: Final = "parent_content_hash"
"""The field that Aragora's events do not have: the parent's hash, null for the first event."""

# Offsets of time zones are whole quarters of an hour, from -12:00 to +14:00.
_QUARTER, _FARTHEST = timedelta(minutes=15), timedelta(hours=14)


class Flaw(StrEnum):
    """What is wrong with an event of the ledger."""

    HASH = "content_hash is not the SHA-256 of hashed_text"
    TEXT = "hashed_text is no JSON object"
    EVENT_ID = "event_id is not that of the text"
    TYPE = "event_type is not that of the text"
    TIMESTAMP = "timestamp is not that of the text"
    PARENT = "parent_event_id is not that of the text"
    DATA = "data are not those of the text"
    PARENT_MISSING = "the parent is not in the ledger"
    PARENT_HASH = "the parent's content_hash is not the one that the text was written with"


def hashed_text(
    event_id: str,
    event_type: str,
    timestamp: datetime,
    *,
    parent_event_id: str | None,
    parent_hash: str | None,
    data: Mapping[str, Any],
) -> str:
    """The text of a new event whose SHA-256 is its ``content_hash``.

    Args:
        event_id: its id.
        event_type: what happened.
        timestamp: when; aware, in UTC.
        parent_event_id: the event it follows.
        parent_hash: that event's ``content_hash``.
        data: JSON values.
    """
    fields = {
        "data": dict(data),
        "event_id": event_id,
        "event_type": event_type,
        PARENT_HASH: parent_hash,
        "parent_event_id": parent_event_id,
        "timestamp": timestamp.isoformat(),
    }
    return json.dumps(fields, sort_keys=True)


def content_hash(text: str) -> str:
    """SHA-256 of the text's UTF-8, in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def is_same_time(text: Any, timestamp: datetime) -> bool:
    """Whether a timestamp of a hashed text can be this instant.

    Aragora wrote local time without its zone. Such a text fits every instant that some time zone's offset lies away.
    """
    try:
        written = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return False
    if written.tzinfo is not None:
        return written == timestamp
    distance = abs(written - timestamp.astimezone(UTC).replace(tzinfo=None))
    return distance <= _FARTHEST and not distance % _QUARTER
