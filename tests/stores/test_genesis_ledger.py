"""The ledger. A mistake here lets history be rewritten unnoticed, or cries wolf about an honest one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.errors import ConflictError, InvalidValue, NotFoundError
from aragora_db.models import GenesisEvent
from aragora_db.rules.ledger import Flaw
from aragora_db.stores import GenesisStore
from aragora_db.stores.genesis import ledger
from aragora_db.testing.engines import EngineDatabase

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

AWKWARD = {"b": [1, 1.0, -0.0, 1e23, 1e-9, 10**16 + 0.0, True, None, "日本 \u202e"], "a": {"z": {}, "y": []}}
"""JSON that the two databases spell in different ways."""


def store(work: Callable[[GenesisStore], Any]) -> Callable[[Session], Any]:
    """A unit of work over a store."""
    return lambda session: work(GenesisStore(session))


def three(session: Session) -> None:
    """A ledger of three events, ids 1 to 3."""
    for number in "123":
        GenesisStore(session).append_event("birth", {"n": int(number)}, event_id=number, timestamp=NOON)


def imported(event_id: str, **other: Any) -> GenesisEvent:
    """An event as Aragora writes it: local time, no parent's hash."""
    fields = {
        "event_id": event_id,
        "event_type": "agent_birth",
        "timestamp": "2026-02-22T06:06:44.479290",
        "parent_event_id": None,
        "data": {"b": 1.5, "a": "é", "n": None},
    }
    text = json.dumps(fields, sort_keys=True)
    row = fields | {
        "timestamp": datetime.fromisoformat(f"{fields['timestamp']}+02:00"),
        "content_hash": hashlib.sha256(text.encode()).hexdigest(),
        "hashed_text": text,
    }
    return GenesisEvent(**row | other)


def test_a_chain(database: EngineDatabase):
    """Each event follows the newest one and carries its hash; without that, the middle could be rewritten."""
    database.run(three)
    one, two, three_ = database.run(store(lambda s: s.events())).items
    assert [event.parent_event_id for event in (one, two, three_)] == [None, "1", "2"]
    assert json.loads(two.hashed_text) == {
        "data": {"n": 2},
        "event_id": "2",
        "event_type": "birth",
        "parent_content_hash": one.content_hash,
        "parent_event_id": "1",
        "timestamp": "2026-03-01T12:00:00.000001+00:00",
    }
    assert two.content_hash == hashlib.sha256(two.hashed_text.encode()).hexdigest()
    report = database.run(store(lambda s: s.verify_ledger()))
    assert (report.events, report.broken, report.unverifiable) == (3, 0, 0)
    assert report.head == three_.content_hash
    assert report.intact


def test_every_value_verifies_after_a_round_trip(database: EngineDatabase):
    """A number that the database spells in another way must not look like a forgery."""
    database.run(
        store(
            lambda s: s.append_event("birth", AWKWARD, timestamp=datetime.max.replace(tzinfo=UTC) - timedelta(days=1))
        )
    )
    database.run(store(lambda s: s.append_event("birth", {})))
    assert database.run(store(lambda s: s.verify_ledger())).intact


def test_a_clock_that_is_behind(database: EngineDatabase):
    """A server with a slow clock must not fork the chain: its event would not be the newest."""
    database.run(three)
    late = database.run(store(lambda s: s.append_event("birth", {}, event_id="0", timestamp=NOON - timedelta(days=1))))
    assert (late.parent_event_id, late.timestamp) == ("3", NOON + timedelta(microseconds=3))
    assert database.run(store(lambda s: s.append_event("birth", {}))).parent_event_id == "0"


def test_the_same_event_again(database: EngineDatabase):
    """A retried call must not write history twice, nor rewrite it."""
    database.run(three)
    again = database.run(store(lambda s: s.append_event("birth", {"n": 2.0 - 0}, event_id="9", timestamp=NOON)))
    same = database.run(store(lambda s: s.append_event("birth", {"n": 2.0}, event_id="9", parent_event_id="3")))
    assert (again.timestamp, again.content_hash) == (same.timestamp, same.content_hash)
    for event_type, data, parent in (
        ("death", {"n": 2}, None),
        ("birth", {"n": True}, None),
        ("birth", {"n": 2}, "3"),
    ):
        with pytest.raises(ConflictError):
            database.run(
                store(lambda s: s.append_event(event_type, data, event_id="2", parent_event_id=parent))  # noqa: B023
            )
    assert database.run(store(lambda s: s.verify_ledger())).events == 4


def test_what_an_event_cannot_be(database: EngineDatabase):
    """What cannot be kept exactly cannot be hashed."""
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 -- on purpose
    for event_type, data, more in (
        (" ", {}, {}),
        ("t", [], {}),
        ("t", {"x": float("nan")}, {}),
        ("t", {"x": "\x00"}, {}),
        ("t", {"x": object()}, {}),
        ("t", {}, {"event_id": "x" * 1025}),
        ("t", {}, {"timestamp": naive}),
        ("x" * 1025, {}, {}),
    ):
        with pytest.raises(InvalidValue):
            database.run(store(lambda s: s.append_event(event_type, data, **more)))  # noqa: B023
    with pytest.raises(NotFoundError, match="gone"):
        database.run(store(lambda s: s.append_event("t", {}, parent_event_id="gone")))
    report = database.run(store(lambda s: s.verify_ledger()))
    assert (report.events, report.head, report.intact) == (0, None, True)


def test_listings(database: EngineDatabase):
    """Events in their order, by type, by time, by parent; page by page the same."""
    database.run(three)
    database.run(store(lambda s: s.append_event("death", {}, event_id="4", parent_event_id="1", timestamp=NOON)))

    def ids(**options: Any) -> list[str]:
        page = database.run(store(lambda s: s.events(**options)))
        return [event.event_id for event in page.items]

    first = database.run(store(lambda s: s.events(limit=2)))
    assert [event.event_id for event in first.items] + ids(after=first.next) == ["1", "2", "4", "3"]
    assert ids(event_type="birth") == ["1", "2", "3"]
    assert ids(since=NOON + timedelta(microseconds=2)) == ["3"]
    assert ids(event_type="death", since=NOON) == ["4"]
    children = database.run(store(lambda s: s.children("1")))
    assert [event.event_id for event in children.items] == ["2", "4"]
    with pytest.raises(InvalidValue):
        database.run(store(lambda s: s.events(since=datetime(2026, 1, 1))))  # noqa: DTZ001 -- on purpose


def test_aragoras_own_events(database: EngineDatabase):
    """Imported events have no parent's hash; they verify one by one, and new ones go on from them."""
    database.run(lambda session: session.add_all([imported("a"), imported("b", hashed_text=None)]))
    follower = database.run(store(lambda s: s.append_event("birth", {})))
    report = database.run(store(lambda s: s.verify_ledger(anchors=[follower.content_hash, "f" * 64])))
    assert follower.parent_event_id == "b"
    assert (report.events, report.unverifiable, report.broken) == (3, 1, 0)
    assert report.missing_anchors == ("f" * 64,)
    assert not report.intact


@pytest.mark.parametrize(
    ("change", "flaws"),
    [
        ({"content_hash": "0"}, {Flaw.HASH}),
        ({"data": {"n": 7}}, {Flaw.DATA}),
        ({"data": None}, {Flaw.DATA}),
        ({"event_type": "death"}, {Flaw.TYPE}),
        ({"timestamp": NOON + timedelta(hours=1)}, {Flaw.TIMESTAMP}),
        ({"parent_event_id": None}, {Flaw.PARENT, Flaw.PARENT_HASH}),
        ({"parent_event_id": "3"}, {Flaw.PARENT, Flaw.PARENT_HASH}),
        ({"hashed_text": "no JSON"}, {Flaw.HASH, Flaw.TEXT}),
        ({"hashed_text": "[]"}, {Flaw.HASH, Flaw.TEXT}),
        ({"hashed_text": "[" * 100_000}, {Flaw.HASH, Flaw.TEXT}),
        (
            {"hashed_text": '{"data": NaN, "timestamp": 1}'},
            set(Flaw) - {Flaw.TEXT, Flaw.PARENT_MISSING, Flaw.PARENT_HASH},
        ),
        ({"event_id": "x"}, {Flaw.EVENT_ID}),
    ],
)
def test_what_is_changed_is_found(database: EngineDatabase, change: dict[str, Any], flaws: set[Flaw]):
    """Somebody edits one column of one row: the report says which and why."""
    database.run(three)
    # Nothing follows from event 2 while it gets another id.
    target = "3" if "event_id" in change else "2"
    database.run(lambda session: session.execute(_update(target, **change)))
    report = database.run(store(lambda s: s.verify_ledger()))
    found = {problem.event_id: set(problem.flaws) for problem in report.problems}
    assert found.pop(str(change.get("event_id", target))) == flaws
    # Who comes after knows the hash.
    assert found == ({"3": {Flaw.PARENT_HASH}} if "content_hash" in change else {})
    assert not report.intact


def _update(event_id: str, /, **values: Any) -> Any:
    return sa.update(GenesisEvent).where(GenesisEvent.event_id == event_id).values(**values)


def test_a_missing_parent_is_named():
    """Foreign keys forbid it; a damaged file, or a restore with them off, has it all the same."""
    event = imported("a")
    row = SimpleNamespace(**vars(event) | {"parent_event_id": "gone", "found_parent": None, "parent_hash": None})
    assert set(ledger.flaws(row)) == {Flaw.PARENT_MISSING, Flaw.PARENT}


def test_a_rewritten_event_breaks_the_next(database: EngineDatabase):
    """Who also makes the hash fit is given away by the event that follows."""
    database.run(three)
    text = json.dumps(json.loads(database.run(store(lambda s: s.event("2"))).hashed_text) | {"data": {"n": 9}})
    digest = hashlib.sha256(text.encode()).hexdigest()
    database.run(lambda session: session.execute(_update("2", data={"n": 9}, hashed_text=text, content_hash=digest)))
    report = database.run(store(lambda s: s.verify_ledger()))
    assert [(problem.event_id, problem.flaws) for problem in report.problems] == [("3", (Flaw.PARENT_HASH,))]


def test_removing_the_newest_is_found_by_an_anchor_only(database: EngineDatabase):
    """What the docstring of verify admits: the head has to be noted elsewhere."""
    database.run(three)
    head = database.run(store(lambda s: s.verify_ledger())).head
    database.run(lambda session: session.execute(sa.delete(GenesisEvent).where(GenesisEvent.event_id == "3")))
    assert database.run(store(lambda s: s.verify_ledger())).intact
    assert database.run(store(lambda s: s.verify_ledger(anchors=[head]))).missing_anchors == (head,)


def test_a_long_ledger_lists_the_first_problems(database: EngineDatabase):
    """A ledger longer than what is read at a time; a million broken events must not fill the memory."""

    def fill(session: Session) -> None:
        session.execute(
            sa.insert(GenesisEvent),
            [
                {
                    "event_id": f"{number:04}",
                    "event_type": "t",
                    "timestamp": NOON + timedelta(seconds=number),
                    "content_hash": "0",
                    "hashed_text": "{}" if number % 2 else None,
                }
                for number in range(1200)
            ],
        )

    database.run(fill)
    report = database.run(store(lambda s: s.verify_ledger(limit=3)))
    assert (report.events, report.broken, report.unverifiable) == (1200, 600, 600)
    assert [problem.event_id for problem in report.problems] == ["0001", "0003", "0005"]
    with pytest.raises(InvalidValue):
        database.run(store(lambda s: s.verify_ledger(limit=0)))
