"""Whole chunks spelled by C code are what `copy_text` makes of each value."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aragora_db.models import ContinuumMemory, EloHistory
from aragora_db.transfer.rows.copy_format import FIELD, NULL, ROW, copy_text, number_rows, text_rows

REAL, TEXT = EloHistory.__table__.c.elo, ContinuumMemory.__table__.c.content

PLAIN = st.floats(-1e15, 1e15, exclude_min=True, exclude_max=True)
TINY = st.builds(math.ldexp, st.floats(-1, 1), st.integers(-1074, -10))
SHORT = st.builds(lambda digits, power: float(f"{digits}e{power}"), st.integers(-999, 999), st.integers(-12, 9))
NUMBERS = PLAIN | TINY | SHORT | st.sampled_from([0.0, -0.0, 5e-324, -1e-5, 0.0001, 0.00001, 1e-7, 100000.0])

WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=[FIELD, NULL, ROW, "\x00"]), max_size=6)
WORDS |= st.text(st.sampled_from("\\\t\n\r\b\f\vNax\x1c\x7f"), max_size=6)


def _rows(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    return st.integers(1, 4).flatmap(lambda width: st.lists(st.tuples(*[values] * width), min_size=1, max_size=8))


def _number(value: float | None) -> str:
    return copy_text(value if value is None else value + 0.0, REAL)  # -0.0 is 0.0 in a column of doubles


def _handed_over(rows: list[tuple[str | None, ...]]) -> bytes:
    """Rows as the SQL of the quick way gives them."""
    return ROW.join("".join(NULL if each is None else each + FIELD for each in row) for row in rows).encode()


@given(_rows(NUMBERS | st.none() | st.integers(-(10**15) + 1, 10**15 - 1)))
@example([(1e-05, 0.00001, -0.00012), (-0.0, 0.0, None), (1.0, -1.0, 0.1)])
@example([(None,)])
@example([(-0.0,), (-1e-10,), (5e-324,), (1e-5,)])
@example([(999999999999999.9, -999999999999999.9), (1e14, 123456789012345.6)])
def test_numbers(rows):
    """A number that COPY reads is right or wrong without a word; the checksum would call it wrong a million times."""
    assert number_rows(rows) == ["\t".join(map(_number, row)).encode() for row in rows]


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, 1e15, -1e15, 10**15, 1e300, 2**70, True, "1", b"1", [1.0]]
)
@pytest.mark.parametrize("beside", [(), (None,), (1.5, -2.0)])
def test_what_is_no_plain_number(value, beside):
    """One of them sends the chunk the slow way, where each has a rule; orjson would write null for NaN."""
    assert number_rows([(*beside, value), (*beside, 0.5)]) is None
    assert number_rows([(*beside, 0.5), (*beside, value)]) is None


@given(_rows(WORDS | st.none()))
@example([("\\N", None, "\\"), ("", "", ""), (None, None, None)])
@example([("\t", "\n"), ("\\.", "\\\t")])
@example([("",)])
def test_text(rows):
    """What is not escaped, or twice, shifts the columns of a row."""
    expected = ["\t".join(copy_text(each, TEXT) for each in row).encode() for row in rows]
    assert text_rows(_handed_over(rows), len(rows), len(rows[0])) == expected


@given(_rows(WORDS | st.none()), st.sampled_from([FIELD, NULL, ROW, FIELD + NULL, NULL + FIELD, "\x00"]), st.data())
def test_separators_in_text(rows, separator, data):
    """A text with a separator would become two fields, or a NULL; its chunk goes the slow way."""
    place = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.integers(0, len(rows[0]) - 1))
    word = data.draw(WORDS)
    cut = data.draw(st.integers(0, len(word)))
    changed = [list(row) for row in rows]
    changed[place][column] = word[:cut] + separator + word[cut:]
    assert text_rows(_handed_over(changed), len(rows), len(rows[0])) is None


@pytest.mark.parametrize("broken", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"])
def test_text_that_is_not_utf8(broken):
    """PostgreSQL would refuse the whole COPY."""
    assert text_rows(b"good\x1f\x1e" + broken + b"\x1f", 2, 1) is None
