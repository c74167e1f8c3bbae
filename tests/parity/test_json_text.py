"""JSON comes back by value: through our own text, and through jsonb, which keeps numbers as decimals."""

from __future__ import annotations

import math
import sys

import pytest
import sqlalchemy as sa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aragora_db.types import Json
from aragora_db.types.json_text import INT64_MAX, INT64_MIN, MAX_DEPTH, dumps, loads, portable

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
NUMBERS = (
    st.integers(INT64_MIN, INT64_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(
        [1e16, 1e22, 1e23, 5e-324, sys.float_info.max, float(2**63), -float(2**63), 9007199254740993, -0.0]
    )
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(CHARACTERS, max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(CHARACTERS, max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


def _lists(value):
    """The value with tuples as lists, as JSON has them."""
    if isinstance(value, dict):
        return {name: _lists(item) for name, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, list | tuple) else value


@given(VALUES)
@settings(max_examples=200)
def test_text_round_trip(value):
    """A memory's metadata that changes when it is read and written again drifts with every update."""
    assert loads(dumps(portable(value))) == _lists(value)


@given(VALUES)
@example({"b": 1, "a": {"": [1e308, 5e-324, 1e16, 1e15, 123456789012345680.0, 0.1, -1e-7]}})
@settings(max_examples=75, deadline=None)
def test_database_round_trip(both, value):
    """Both databases give back the value, and so the same one."""
    for database in both.values():
        with database.session(read_only=True) as session:
            assert session.scalar(sa.select(sa.literal(value, Json()))) == _lists(value)


@given(st.lists(NUMBERS, min_size=10, max_size=20))
@settings(max_examples=30, deadline=None)
def test_jsonb_numbers(both, numbers):
    """Every number that is let through: jsonb writes them without an exponent, up to 309 digits."""
    with both["postgresql"].session(read_only=True) as session:
        found = session.scalar(sa.select(sa.literal(numbers, Json())))
    assert found == numbers


REFUSED = {
    "NaN": math.nan,
    "infinity": -math.inf,
    "65 bits": INT64_MAX + 1,
    "-65 bits": INT64_MIN - 1,
    "NUL": "\x00",
    "surrogate": "\ud800",
    "bytes": b"",
    "set": {1},
    "object": object(),
    "key that is None": {None: 1},
    "key that is a number": {1: 1},
    "key with NUL": {"\x00": 1},
    "key with surrogate": {"\udfff": 1},
}


@pytest.mark.parametrize(
    "wrap", [lambda v: v, lambda v: [v], lambda v: {"a": {"b": (v,)}}], ids=["bare", "list", "deep"]
)
@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
def test_refused(value, wrap):
    """What one of the databases refuses or changes is refused at any depth."""
    with pytest.raises(ValueError, match=r"\w"):
        portable(wrap(value))


def test_depth():
    """A document too deep for a database must end as an error about it, not in the recursion limit."""
    value: object = 1
    for _ in range(MAX_DEPTH):
        value = [value]
    assert loads(dumps(portable(value))) == value
    with pytest.raises(ValueError, match=f"{MAX_DEPTH} levels"):
        portable([value])
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="levels"):
        portable(endless)


@pytest.mark.parametrize("digits", ["9223372036854775808", "-9223372036854775809", "1" + "0" * 308, "-" + "9" * 308])
def test_large_whole_numbers(digits):
    """A whole number beyond 64 bits that is read can only have been a float: jsonb wrote its digits out."""
    assert type(loads(digits)) is float
    assert loads(digits) == float(digits)


@pytest.mark.parametrize("number", [INT64_MAX, INT64_MIN, 0])
def test_whole_numbers_stay(number):
    """Up to 64 bits a whole number is one."""
    assert type(loads(str(number))) is int
    assert loads(str(number)) == number
