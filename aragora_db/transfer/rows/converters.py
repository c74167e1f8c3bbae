"""Convert a value of a SQLite file into the value of a column of ours, or refuse it: the rules of the import."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Hashable
from datetime import datetime, tzinfo
from functools import cache
from typing import Any, NoReturn, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from aragora_db import types
from aragora_db.errors import InvalidValue
from aragora_db.transfer.rows.times import instant
from aragora_db.transfer.source.snapshot import BrokenText
from aragora_db.types.vector import Vector

__all__ = ["ValueRefused", "from_sqlite"]

_POSTGRESQL: sa.Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
_EXACT = 2**53  # from here on doubles leave whole numbers out


class ValueRefused(Exception):
    """A value or a row cannot be stored in our tables.

    Attributes:
        column: the source's column, where one value is to blame.
        reason: what is wrong with it, without the value.
    """

    def __init__(self, reason: str, column: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.column = reason, column


def from_sqlite(value: Any, column: sa.Column[Any], local: tzinfo) -> Any:
    """Translate one value of a SQLite file.

    Args:
        value: as a `Snapshot` reads it.
        column: where it goes.
        local: the time zone of naive timestamps.

    Returns:
        What the column's type takes; for NULL in a counter, a flag or a JSON column that must have a value, its
        default.

    Raises:
        ValueRefused: the column cannot hold it.
    """
    if isinstance(value, BrokenText):
        raise ValueRefused("text that is not UTF-8")
    type_ = cast("Any", column.type)
    prepared = None if value is None else _preparation(cast("Hashable", type(type_)))(value, local)
    if prepared is None:
        return _nothing(column)
    try:
        checked = type_.process_bind_param(prepared, _POSTGRESQL)
    except InvalidValue as error:
        raise ValueRefused(_without_name(str(error))) from None
    return checked


def _without_name(message: str) -> str:
    """Return `ValidatedType.refuse`'s message without our column's name and the value's length."""
    return f"the column takes {message.partition(' takes ')[2].partition('; got ')[0]}"


def _nothing(column: sa.Column[Any]) -> Any:
    if column.nullable:
        return None
    default = column.default
    # Aragora's own code reads NULL there as nothing counted, no, or nothing noted.
    if default is not None and isinstance(column.type, types.Integer | types.Boolean | types.Json):
        made = getattr(default, "arg", None)
        return made(None) if callable(made) else made
    raise ValueRefused("NULL where a value is needed")


@cache
def _preparation(kind: Any) -> Callable[[Any, tzinfo], Any]:
    return next((_PREPARE[each] for each in kind.__mro__ if each in _PREPARE), _as_it_is)


def _as_it_is(value: Any, _local: tzinfo) -> Any:
    return value


def _boolean(value: Any, _local: tzinfo) -> bool:
    if isinstance(value, int | float) and value in {0, 1}:
        return bool(value)
    raise ValueRefused("neither 0 nor 1")


def _integer(value: Any, _local: tzinfo) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT else value


def _double(value: Any, _local: tzinfo) -> Any:
    if isinstance(value, int) and abs(value) > _EXACT:
        raise ValueRefused("a whole number that a double cannot hold exactly")
    return value


def _instant(value: Any, local: tzinfo) -> datetime:
    try:
        return instant(value, local)
    except ValueError as error:
        raise ValueRefused(f"not an instant: {error}") from None


def _json(value: Any, _local: tzinfo) -> Any:
    if not isinstance(value, str):
        raise ValueRefused("JSON is text")
    if not value:
        return None  # what Aragora writes for "nothing"
    try:
        return json.loads(value, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ValueRefused(f"not JSON: {error}" if isinstance(error, _NotFinite) else "not JSON") from None


class _NotFinite(ValueError):
    """NaN and its like."""


def _no_number(token: str) -> NoReturn:
    raise _NotFinite(f"{token} is no JSON number")


def _vector(value: Any, _local: tzinfo) -> Any:
    if not isinstance(value, bytes) or len(value) % 4:
        raise ValueRefused("not float32 numbers")
    numbers = struct.unpack(f"<{len(value) // 4}f", value)
    if not all(map(math.isfinite, numbers)):
        raise ValueRefused("a number of the vector is not finite")
    return list(numbers)


_PREPARE: dict[type, Callable[[Any, tzinfo], Any]] = {
    types.Boolean: _boolean,
    types.Integer: _integer,
    types.Double: _double,
    types.UtcDateTime: _instant,
    types.Json: _json,
    Vector: _vector,
}
