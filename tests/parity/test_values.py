"""Values at the edges come back as they went in, on every engine."""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import IntEnum

import pytest
import sqlalchemy as sa

from aragora_db.errors import InvalidValue
from aragora_db.models import ContinuumMemory, EloHistory, EloMatchParticipant, Persona, PersonaPerformance
from aragora_db.models import EloMatch as Match

TEXTS = [
    "",
    " ",
    "NULL",
    "'; --",
    "e\u0301",
    "\u202eشرق\u202c",
    "👩‍👩‍👧‍👦🏳️‍🌈",
    "\ufeff",
    "\x01\x1f\x7f",
    "\r\n\t",
    "\U0010ffff",
    "ẞ" * 3000,
]
INTEGERS = [0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)]
DOUBLES = [0.1 + 0.2, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, -1e-7, 1e22, 2**53 + 2.0, 1 / 3, 100.0]
BLOBS = [b"", b"\x00", b"\x00\xff\x00", bytes(range(256)), b"\\x00", "é".encode("latin-1")]
INSTANTS = [
    datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=1))),
    datetime(1, 1, 1, 12, tzinfo=timezone(timedelta(hours=-12))),
    datetime(1890, 1, 1, tzinfo=timezone(timedelta(minutes=53, seconds=28))),
]


@pytest.fixture
def kept(scratch):
    """What the database says a column holds after the values were written, in their order."""

    def run(column, rows):
        model = column.class_

        def work(session):
            for row in rows:
                session.add(row)
                session.flush()
            return session.scalars(sa.select(column).order_by(*sa.inspect(model).primary_key)).all()

        return scratch(work)

    return run


def test_text(kept):
    """The empty text is a text, and no character is changed, normalised or cut."""
    assert (
        kept(Persona.description, [Persona(agent_name=f"{n:02}", description=t) for n, t in enumerate(TEXTS)]) == TEXTS
    )
    names = kept(Persona.agent_name, [Persona(agent_name=text) for text in TEXTS[:-1]])
    assert names == sorted(TEXTS[:-1])


def test_integers(kept):
    """Counters keep all 64 bits."""
    rows = [ContinuumMemory(id=f"{n:02}", content="", update_count=value) for n, value in enumerate(INTEGERS)]
    assert kept(ContinuumMemory.update_count, rows) == INTEGERS


def test_doubles(kept):
    """A rating keeps every bit: float4 or decimal text on the way would not."""
    stored = kept(EloHistory.elo, [EloHistory(agent_name="a", elo=value) for value in DOUBLES])
    assert [struct.pack("d", value) for value in stored] == [struct.pack("d", value) for value in DOUBLES]
    whole = kept(EloHistory.elo, [EloHistory(agent_name="a", elo=1500), EloHistory(agent_name="a", elo=-0.0)])
    assert [str(value) for value in whole] == ["1500.0", "0.0"]


def test_blobs(kept):
    """An embedding is bytes, whatever bytes they are."""
    rows = [ContinuumMemory(id=f"{n:02}", content="", semantic_centroid=value) for n, value in enumerate(BLOBS)]
    stored = kept(ContinuumMemory.semantic_centroid, rows)
    assert stored == BLOBS
    assert {type(value) for value in stored} == {bytes}


def test_instants(kept):
    """An instant is the same instant, in UTC."""
    stored = kept(EloHistory.created_at, [EloHistory(agent_name="a", elo=1.0, created_at=value) for value in INSTANTS])
    assert stored == INSTANTS
    assert {value.tzinfo for value in stored} == {UTC}


def test_three_states(kept):
    """Unknown is neither true nor false."""
    rows = [PersonaPerformance(agent_name="a", success=value) for value in (True, False, None)]
    stored = kept(PersonaPerformance.success, rows)
    assert [stored[0] is True, stored[1] is False, stored[2] is None] == [True] * 3


class Level(IntEnum):
    """A whole number with a name."""

    HIGH = 3


def test_numbers_with_names(kept):
    """A member of an IntEnum is the number it stands for."""
    assert kept(ContinuumMemory.update_count, [ContinuumMemory(id="m", content="", update_count=Level.HIGH)]) == [3]


class Edge(tzinfo):
    """A zone that cannot say its offset at the ends of time, as ZoneInfo cannot."""

    def utcoffset(self, _when):
        """Give up."""
        raise OverflowError("date value out of range")


WRONG = {
    "text in a number": lambda: EloHistory(agent_name="a", elo="1500"),
    "decimal in a double": lambda: EloHistory(agent_name="a", elo=Decimal(1)),
    "bool in a double": lambda: EloHistory(agent_name="a", elo=True),
    "NaN": lambda: EloHistory(agent_name="a", elo=float("nan")),
    "infinity": lambda: EloHistory(agent_name="a", elo=float("-inf")),
    "too large for a double": lambda: EloHistory(agent_name="a", elo=10**400),
    "float in a count": lambda: ContinuumMemory(id="m", content="", update_count=1.0),
    "bool in a count": lambda: ContinuumMemory(id="m", content="", update_count=True),
    "65 bits": lambda: ContinuumMemory(id="m", content="", update_count=2**63),
    "number in a flag": lambda: ContinuumMemory(id="m", content="", red_line=1),
    "bytes in a text": lambda: Persona(agent_name=b"a"),
    "text in a blob": lambda: ContinuumMemory(id="m", content="", semantic_centroid="a"),
    "NUL": lambda: Persona(agent_name="a\x00b"),
    "half a character": lambda: Persona(agent_name="\ud83d"),
    "naive": lambda: EloHistory(agent_name="a", elo=1.0, created_at=datetime(2026, 1, 1)),  # noqa: DTZ001 -- the point
    "date": lambda: EloHistory(agent_name="a", elo=1.0, created_at=date(2026, 1, 1)),
    "text as an instant": lambda: EloHistory(agent_name="a", elo=1.0, created_at="2026-01-01 00:00:00+00:00"),
    "before year 1": lambda: EloHistory(
        agent_name="a", elo=1.0, created_at=datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))
    ),
    "a zone that gives up": lambda: EloHistory(agent_name="a", elo=1.0, created_at=datetime.max.replace(tzinfo=Edge())),
    "NaN in JSON": lambda: Persona(agent_name="a", expertise={"x": [float("nan")]}),
    "NUL in JSON": lambda: Persona(agent_name="a", expertise={"\x00": 1}),
    "number as a JSON key": lambda: Persona(agent_name="a", expertise={1: 1}),
    "instant in JSON": lambda: Persona(agent_name="a", traits=[datetime(2026, 1, 1, tzinfo=UTC)]),
    "65 bits in JSON": lambda: Persona(agent_name="a", traits=[2**64]),
    "through a proxy": lambda: Match(
        participants={"a": EloMatchParticipant(agent_name="a", position=0, score=float("inf"))}
    ),
}


@pytest.mark.parametrize("row", WRONG.values(), ids=WRONG)
def test_refused(both, row):
    """What one database would refuse, change or lose is refused for both, before anything is sent."""

    def work(session):
        session.add(row())
        session.flush()

    for database in both.values():
        with pytest.raises(InvalidValue) as caught:
            database.transact(work)
        assert type(caught.value) is InvalidValue
