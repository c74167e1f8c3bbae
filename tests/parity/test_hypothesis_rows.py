"""Any row, of right and of wrong values: both databases keep it and give back the same, or both refuse it alike."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from aragora_db import Database, types
from aragora_db.errors import AragoraDBError
from aragora_db.models import (
    Base,
    Consensus,
    ContinuumMemory,
    Debate,
    EloCalibrationBucket,
    EloMatchParticipant,
    Experiment,
    PatternCluster,
    Position,
    PositionHistory,
)

MODELS = [
    ContinuumMemory,
    Consensus,
    Debate,
    EloCalibrationBucket,
    EloMatchParticipant,
    Experiment,
    PatternCluster,
    Position,
    PositionHistory,
]

FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

TEXTS = st.text(max_size=5) | st.sampled_from(
    ["", "\x00", "a\x00b", "\ud800", "\udfffx", "🙂", "e\u0301", "NULL", "\ufeff"]
)
KEYS = TEXTS | st.builds(
    str.__mul__, st.sampled_from("aé🙂"), st.sampled_from([255, 256, 257, 512, 513, 1024, 1025, 2000])
)
WHOLE = st.integers(-5, 5) | st.sampled_from(
    [2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**30, 10**400]
)
FLOATS = st.floats() | st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 5e-324, 1e16, 1e23])
OFFSETS = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)
INSTANTS = (
    st.datetimes(timezones=st.just(UTC) | OFFSETS)
    | st.datetimes()
    | st.builds(datetime.replace, st.sampled_from([FIRST, LAST]), tzinfo=OFFSETS)
)
JSON = st.recursive(
    st.none() | st.booleans() | WHOLE | FLOATS | TEXTS | st.just(b"bytes") | st.just(datetime(2026, 1, 1, tzinfo=UTC)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.integers(0, 1), inner, max_size=3),
    max_leaves=5,
)
BLOBS = st.binary(max_size=5)
ODD = st.sampled_from(
    [Decimal(1), date(2026, 1, 1), 1j, object, bytearray(b"x"), (1, 2), "1", b"1", 1.0, 1, True, None]
)

RIGHT: dict[type, st.SearchStrategy[Any]] = {
    types.Text: KEYS,
    types.Integer: WHOLE,
    types.Double: FLOATS | WHOLE,
    types.Boolean: st.booleans(),
    types.UtcDateTime: INSTANTS,
    types.Json: JSON,
    types.Blob: BLOBS,
}
HORRORS = st.one_of(*RIGHT.values(), ODD)


def _right(column: sa.Column[Any], samples: Any) -> st.SearchStrategy[Any]:
    """Values of the column's kind, many of which no database can keep."""
    sample = st.just(samples.value(column))
    if column.foreign_keys:
        return sample
    if isinstance(column.type, types.EnumText):
        return st.sampled_from([*column.type.enum_class, *map(str, column.type.enum_class)]) | st.just("other")
    return sample | next(values for kind, values in RIGHT.items() if isinstance(column.type, kind))


def _hashable(value: Any) -> bool:
    return not isinstance(value, list | dict | bytearray)


@st.composite
def _rows(draw: Any, samples: Any) -> tuple[type[Base], dict[str, Any]]:
    """A row that is good but for up to three values, so that rows that are kept are as common as refused ones."""
    model = draw(st.sampled_from(MODELS))
    row = samples.row(model, full=True)
    columns = {attribute.key: attribute.columns[0] for attribute in sa.inspect(model).column_attrs}
    for name in draw(st.lists(st.sampled_from(sorted(columns)), max_size=3, unique=True)):
        values = _right(columns[name], samples) | HORRORS
        # The session looks a key up before it binds it: a list there is a TypeError of Python's.
        value = draw(values.filter(_hashable) if columns[name].primary_key else values)
        # None asks for the default, and two clocks never say the same.
        if value is not None or columns[name].server_default is None:
            row[name] = value
    return model, row


def _offer(database: Database, samples: Any, model: type[Base], row: dict[str, Any]) -> tuple[str, Any]:
    """What the database made of the row: its values, or the class of the error."""
    with database.session() as session:
        try:
            for parent in samples.models:
                if any(key.column.table is parent.__table__ for key in model.__table__.foreign_keys):
                    session.add(parent(**samples.row(parent, full=True)))
                    session.flush()
            stored = model(**row)
            session.add(stored)
            session.flush()
            session.expire(stored)
            attributes = [attribute.key for attribute in sa.inspect(model).column_attrs]
            return "kept", {name: getattr(stored, name) for name in attributes}
        except (AragoraDBError, sa.exc.SQLAlchemyError) as refusal:
            return "refused", type(refusal)
        finally:
            session.rollback()


def _same_kinds(mine: Any, other: Any) -> bool:
    """Whether the values are of the same type too; inside JSON numbers compare by value only."""
    return type(mine) is type(other) or (isinstance(mine, int | float) and isinstance(other, int | float))


@pytest.mark.filterwarnings("ignore:Column .* is marked as a member of the primary key:sqlalchemy.exc.SAWarning")
@pytest.mark.parametrize("examples", [120, pytest.param(2_000, marks=[pytest.mark.faults, pytest.mark.timeout(900)])])
def test_any_row(both, samples, record_property, examples):
    """One row that only the laptop keeps is a move to production that stops in the middle."""
    seen = {"kept": 0, "refused": 0}

    @given(_rows(samples))
    @settings(max_examples=examples, deadline=None)
    def offer(offered: tuple[type[Base], dict[str, Any]]) -> None:
        model, row = offered
        (verdict, mine), (other_verdict, other) = (
            _offer(both[d], samples, model, row) for d in ("sqlite", "postgresql")
        )
        assert (verdict, mine) == (other_verdict, other)
        seen[verdict] += 1
        if verdict == "refused":
            assert issubclass(mine, AragoraDBError), mine
        else:
            assert all(_same_kinds(mine[name], other[name]) for name in mine)

    offer()
    for verdict, count in seen.items():
        record_property(verdict, count)
        assert count >= examples // 10, seen
