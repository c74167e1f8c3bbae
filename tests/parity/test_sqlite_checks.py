"""Rows that SQL by hand writes into SQLite are held to what PostgreSQL's own types hold them to."""

from __future__ import annotations

import json
from datetime import UTC

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from aragora_db.errors import CheckViolation
from aragora_db.types.json_text import dumps, portable

BAD_INSTANTS = [
    "2026-02-30 00:00:00.000000+00:00",
    "2025-02-29 00:00:00.000000+00:00",
    "2026-01-15 24:00:00.000000+00:00",
    "2026-01-15 23:60:00.000000+00:00",
    "2026-01-15 23:59:60.000000+00:00",
    "2026-13-01 00:00:00.000000+00:00",
    "0000-01-01 00:00:00.000000+00:00",
    "2026-01-15 09:30:00+00:00",
    "2026-01-15 09:30:00.000+00:00",
    "2026-01-15 09:30:00.0000000+00:00",
    "2026-01-15 09:30:00.000000",
    "2026-01-15 09:30:00.000000Z",
    "2026-01-15 09:30:00.000000+02:00",
    "2026-01-15 09:30:00.000000-00:00",
    "2026-01-15T09:30:00.000000+00:00",
    "2026-1-15 09:30:00.000000+00:00 ",
    " 2026-01-15 09:30:00.000000+00:00",
    "2026-01-15 09:30:00.00000٣+00:00",
    "2026-01-15",
    "12:00",
    "now",
    "2461055.5",
    "",
]
BAD_JSON = [
    "",
    "{",
    "nul",
    "NaN",
    "[1,]",
    "{'a': 1}",
    '{"a": Infinity}',
    '"\t"',
    "[1] [2]",
    "01",
    "+1",
    ".5",
    "\ufeff{}",
]


@pytest.fixture(scope="module")
def hand(both):
    """Runs SQL by hand on SQLite, and undoes it."""

    def run(statement, *values):
        with both["sqlite"].session() as session:
            session.execute(sa.text(statement), [{"value": value, "key": str(n)} for n, value in enumerate(values)])
            session.rollback()

    return run


INSTANT = "INSERT INTO elo_history (agent_name, elo, created_at) VALUES ('a', 1.0, :value)"
DOCUMENT = "INSERT INTO personas (agent_name, expertise) VALUES (:key, :value)"
FLAG = "INSERT INTO continuum_memory (id, content, red_line) VALUES ('m', '', :value)"


@pytest.mark.parametrize("value", BAD_INSTANTS)
def test_bad_instant(hand, value):
    r"""One such text in a dump, and `\copy` stops in the middle, or reads another instant."""
    with pytest.raises(CheckViolation):
        hand(INSTANT, value)


@pytest.mark.parametrize("value", BAD_JSON)
def test_bad_json(hand, value):
    """Text that is no JSON makes every read of its row fail."""
    with pytest.raises(CheckViolation):
        hand(DOCUMENT, value)


@pytest.mark.parametrize("value", [2, -1, 255])
def test_bad_flag(hand, value):
    """A third truth value is lost on the way to a boolean."""
    with pytest.raises(CheckViolation):
        hand(FLAG, value)


def test_nothing(hand):
    """NULL is a value of every optional column."""
    hand(DOCUMENT, None)
    hand("INSERT INTO continuum_memory (id, content, expires_at) VALUES ('m', '', :value)", None)


@given(st.lists(st.datetimes(timezones=st.just(UTC)), min_size=10, max_size=20))
@settings(max_examples=20, deadline=None)
def test_every_instant(hand, instants):
    """The CHECK must never be in the way of what the types write."""
    hand(INSTANT, *(when.isoformat(" ", "microseconds") for when in instants))


def test_ends_of_time(hand):
    """Nor at the first and the last instant."""
    for day in ("0001-01-01 00:00:00.000000", "0001-12-31 23:59:59.999999", "9999-12-31 23:59:59.999999"):
        hand(INSTANT, f"{day}+00:00")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("ab\x1f\u2028🙂", max_size=3), inner, max_size=4)
    ),
)


@given(st.lists(JSON, min_size=2, max_size=4))
@settings(max_examples=60, deadline=None)
def test_every_document(hand, documents):
    """The same for JSON: control characters, exponents, nesting."""
    hand(DOCUMENT, *(dumps(portable(value)) for value in documents))


def test_deepest_document(hand):
    """The deepest nesting that our rules allow is valid for SQLite."""
    value: list[object] = []
    for _ in range(199):
        value = [value]
    hand(DOCUMENT, json.dumps(portable(value)))
