"""The text that we write for COPY is the one that PostgreSQL prints, to the byte: checksums are made of it."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aragora_db.models import ContinuumEmbedding, ContinuumMemory, DebateResult, EloHistory, Insight
from aragora_db.transfer.rows.converters import from_sqlite
from aragora_db.transfer.rows.copy_format import copy_text, float_text, jsonb_text
from aragora_db.types.json_text import dumps, loads, portable

TEXT, FLAG, COUNT = (ContinuumMemory.__table__.c[name] for name in ("content", "red_line", "update_count"))
MOMENT, BYTES = ContinuumMemory.__table__.c.created_at, ContinuumMemory.__table__.c.semantic_centroid
REAL, JSON, VECTOR = EloHistory.__table__.c.elo, Insight.__table__.c.evidence, ContinuumEmbedding.__table__.c.embedding

WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
DOUBLES = (
    FLOATS
    | st.builds(math.ldexp, st.integers(-(2**53), 2**53), st.integers(0, 60))
    | st.integers(-30, 40).map(lambda power: float(f"1e{power}"))
)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | DOUBLES | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=8,
)
OFFSETS = st.integers(-15 * 3600, 15 * 3600).map(lambda seconds: timezone(timedelta(seconds=seconds)))
EARLIEST, LATEST = datetime(1, 1, 2), datetime(9999, 12, 30)  # noqa: DTZ001 -- bounds of clock times


@pytest.fixture
def printed(fresh_databases) -> Iterator[Callable[[str, list[str]], list[str]]]:
    """What COPY prints for values: ``printed("jsonb", ['{"a":1}'])``."""
    with closing(psycopg.connect(fresh_databases.url("postgresql"), autocommit=True)) as connection:
        connection.execute("SET TimeZone = 'UTC'")

        def printed(kind: str, values: list[str]) -> list[str]:
            texts = "unnest(%s::text[]) WITH ORDINALITY AS given (v, n)"
            with connection.cursor().copy(
                f"COPY (SELECT v::{kind} FROM {texts} ORDER BY n) TO STDOUT", [values]
            ) as copy:
                return b"".join(map(bytes, copy)).decode().split("\n")[:-1]

        yield printed


def _some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, min_size=1, max_size=20)


def test_numbers(printed):
    """One digit more or less, and a table of a million right rows has a wrong checksum."""

    @given(_some(DOUBLES))
    @example([1e15, 1e16, 1e22, 1e23, 9e22, 2.0**53, 2.0**54 + 4, 5e-324, 1.7976931348623157e308, 1e-5, 0.0001, 1e-4])
    @example([123456789012345.6, 999999999999999.9, -1e15, 1.2345678901234567e-10, -0.0, 0.1 + 0.2, 4.35, 2.0**60])
    @settings(deadline=None)
    def compare(values: list[float]) -> None:
        means = [from_sqlite(value, REAL, UTC) for value in values]
        assert [copy_text(each, REAL) for each in means] == printed("double precision", [repr(each) for each in means])
        assert [float_text(value) for value in values] == printed("double precision", [repr(each) for each in values])

    compare()


def test_documents(printed):
    """Keys in jsonb's order, numbers without an exponent, and its escapes inside COPY's."""

    @given(_some(DOCUMENTS.filter(lambda document: document is not None)))
    @example([{"b": 1, "aa": 2, "a": 3, "é": 4, "": 5}, [1e23, 1e-7, 1.0, -0.0, 5e-324, 1e308, 10**18], '\x1f\x7f\\"/'])
    @example([[0.1, 100.0, 1e16, 123456789.125], True, 0, "", {}, [], {"a\tb\\": "\b\f\n\r\t\v"}, "\u2028\ufeff"])
    @settings(deadline=None)
    def compare(values: list[Any]) -> None:
        means = [from_sqlite(json.dumps(value), JSON, UTC) for value in values]
        assert [copy_text(each, JSON) for each in means] == printed("jsonb", [dumps(each) for each in means])
        plain = [jsonb_text(each) for each in means]
        assert [loads(each) for each in plain] == [portable(value) for value in values]

    compare()


def test_words(printed):
    """A tab or a backslash that is not escaped moves the rest of the row into the next column."""

    @given(_some(WORDS))
    @example(["", "\\", "\\N", "\\.", "a\tb\nc\rd\be\ff\vg", "\x1d\x1e\x1f\x7f", "NULL", "\u2028\x85", "🙂é"])
    @settings(deadline=None)
    def compare(values: list[str]) -> None:
        assert [copy_text(from_sqlite(value, TEXT, UTC), TEXT) for value in values] == printed("text", values)

    compare()


def test_instants(printed):
    """Fractions end where their zeros begin, years have four digits, and the zone is always UTC."""

    @given(_some(st.datetimes(EARLIEST, LATEST, timezones=OFFSETS)))
    @example([datetime(2026, 1, 15, 9, 30, tzinfo=UTC), datetime(2026, 1, 15, 9, 30, 0, 120, tzinfo=UTC)])
    @example([datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, 23, 59, 59, 999_999, tzinfo=UTC)])
    @settings(deadline=None)
    def compare(values: list[datetime]) -> None:
        means = [from_sqlite(value.isoformat(), MOMENT, UTC) for value in values]
        assert means == values
        assert [copy_text(each, MOMENT) for each in means] == printed(
            "timestamptz", [each.isoformat() for each in means]
        )

    compare()


def test_bytes(printed):
    """Bytes travel as digits, or a NUL would end them."""

    @given(_some(st.binary(max_size=8)))
    @settings(deadline=None, max_examples=30)
    def compare(values: list[bytes]) -> None:
        assert [copy_text(value, BYTES) for value in values] == printed(
            "bytea", [f"\\x{each.hex()}" for each in values]
        )

    compare()


def test_embeddings(printed):
    """Each float32 as the double that it is: then one rule says how numbers are printed."""

    @given(_some(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=4)))
    @example([[0.1, 1e-45, 3.4028234663852886e38, -0.0, 16777216.0, 1e15, 1e23]])
    @settings(deadline=None, max_examples=50)
    def compare(values: list[list[float]]) -> None:
        means = [from_sqlite(struct.pack(f"<{len(value)}f", *value), VECTOR, UTC) for value in values]
        literals = ["{" + ",".join(map(repr, each)) + "}" for each in means]
        assert [copy_text(each, VECTOR) for each in means] == printed("double precision[]", literals)

    compare()


def test_the_rest(printed):
    """What has no digits to choose."""
    assert [copy_text(value, FLAG) for value in (True, False)] == printed("boolean", ["true", "false"])
    whole = [0, -1, 2**63 - 1, -(2**63)]
    assert [copy_text(value, COUNT) for value in whole] == printed("bigint", list(map(str, whole)))
    assert copy_text(None, DebateResult.__table__.c.final_answer) == r"\N"
