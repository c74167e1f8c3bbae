"""Which text of an event is hashed. Another text, and every old event looks forged."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from aragora_db.rules import ledger

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_real_event():
    """The first event of Aragora's real file, and the recipe of its hash."""
    fields = {
        "event_id": "7f79f733-496",
        "event_type": "debate_spawn",
        "timestamp": "2026-11-22T06:06:44.479605",
        "parent_event_id": "aa1a61c2-f79",
        "data": {
            "parent_debate_id": "debate-374cc47e-e0d3-3d02-4285-a3e8267133ee",
            "child_debate_id": "debate-374cc47e-e0d3-3d02-4285-a3e8267133ee-sub",
            "trigger": "tension",
            "tension": "timeout risk claim shard the of",
        },
    }
    text = json.dumps(fields, sort_keys=True)
    assert ledger.content_hash(text) == "cdf7ddadf9b35105bafda58acf52b74a8fca4715368fcc5e7d637eb750102a90"


def test_the_text_of_a_new_event():
    """Aragora's text with one field more."""
    text = ledger.hashed_text("b", "t", NOON, parent_event_id="a", parent_hash="00", data={"y": "\u00e9", "x": 1.0})
    assert text == (
        '{"data": {"x": 1.0, "y": "\\u00e9"}, "event_id": "b", "event_type": "t", "parent_content_hash": "00",'
        ' "parent_event_id": "a", "timestamp": "2026-03-01T12:00:00+00:00"}'
    )
    assert ledger.content_hash(text) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01T12:00:00+00:00", True),
        ("2026-03-01T13:00:00+01:00", True),
        ("2026-03-01T13:00:00+00:00", False),
        ("2026-03-01T12:00:00", True),
        ("2026-03-01T17:45:00", True),  # Kathmandu
        ("2026-03-02T02:00:00", True),  # Kiritimati
        ("2026-03-02T02:15:00", False),
        ("2026-03-01T12:01:00", False),
        ("2026-03-01T12:00:00.000001", False),
        ("noon", False),
        (None, False),
        (7, False),
    ],
)
def test_times(text, expected):
    """Old texts have local time without a zone: no zone's offset may look like a forgery, a minute must."""
    assert ledger.is_same_time(text, NOON) is expected
    assert ledger.is_same_time(text, NOON.astimezone(timezone(timedelta(hours=3)))) is expected
