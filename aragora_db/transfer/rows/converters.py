"""What a SQLite value becomes in a column of ours, and the text that PostgreSQL's COPY writes for it.

`from_sqlite` translates, or raises `Refused`: this is where the rules of the move stand. `copy_text` writes a
translated value exactly as ``COPY ... TO STDOUT`` prints it on PostgreSQL (time zone UTC), so that one text serves
loading and comparing.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Hashable
from datetime import datetime, tzinfo
from decimal import Decimal
from functools import cache
from json.encoder import encode_basestring
from typing import Any, NoReturn, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from aragora_db import types
from aragora_db.errors import InvalidValue
from aragora_db.transfer.rows.times import instant
from aragora_db.transfer.source.snapshot import BrokenText
from aragora_db.types.vector import Vector

__all__ = ["Refused", "copy_line", "copy_text", "float_text", "from_sqlite", "jsonb_text"]

_POSTGRESQL: sa.Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
_EXACT = 2**53  # from here on doubles leave whole numbers out


class Refused(Exception):
    """A value, or a row, that has no place in our tables.

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
        Refused: the column cannot hold it.
    """
    if isinstance(value, BrokenText):
        raise Refused("text that is not UTF-8")
    type_ = cast("Any", column.type)
    prepared = None if value is None else _preparation(cast("Hashable", type(type_)))(value, local)
    if prepared is None:
        return _nothing(column)
    try:
        checked = type_.process_bind_param(prepared, _POSTGRESQL)
    except InvalidValue as error:
        raise Refused(_without_name(str(error))) from None
    return checked


def _without_name(message: str) -> str:
    """`ValidatedType.refuse`'s message without the name of our column, which stands beside it, and the value's length."""
    return f"the column takes {message.partition(' takes ')[2].partition('; got ')[0]}"


def _nothing(column: sa.Column[Any]) -> Any:
    if column.nullable:
        return None
    default = column.default
    # Aragora's own code reads NULL there as nothing counted, no, or nothing noted.
    if default is not None and isinstance(column.type, types.Integer | types.Boolean | types.Json):
        made = getattr(default, "arg", None)
        return made(None) if callable(made) else made
    raise Refused("NULL where a value is needed")


@cache
def _preparation(kind: Any) -> Callable[[Any, tzinfo], Any]:
    return next((_PREPARE[each] for each in kind.__mro__ if each in _PREPARE), _as_it_is)


def _as_it_is(value: Any, _local: tzinfo) -> Any:
    return value


def _boolean(value: Any, _local: tzinfo) -> bool:
    if isinstance(value, int | float) and value in {0, 1}:
        return bool(value)
    raise Refused("neither 0 nor 1")


def _integer(value: Any, _local: tzinfo) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT else value


def _double(value: Any, _local: tzinfo) -> Any:
    if isinstance(value, int) and abs(value) > _EXACT:
        raise Refused("a whole number that a double cannot hold exactly")
    return value


def _instant(value: Any, local: tzinfo) -> datetime:
    try:
        return instant(value, local)
    except ValueError as error:
        raise Refused(f"not an instant: {error}") from None


def _json(value: Any, _local: tzinfo) -> Any:
    if not isinstance(value, str):
        raise Refused("JSON is text")
    if not value:
        return None  # what Aragora writes for "nothing"
    try:
        return json.loads(value, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Refused(f"not JSON: {error}" if isinstance(error, _NotFinite) else "not JSON") from None


class _NotFinite(ValueError):
    """NaN and its like."""


def _no_number(token: str) -> NoReturn:
    raise _NotFinite(f"{token} is no JSON number")


def _vector(value: Any, _local: tzinfo) -> Any:
    if not isinstance(value, bytes) or len(value) % 4:
        raise Refused("not float32 numbers")
    numbers = struct.unpack(f"<{len(value) // 4}f", value)
    if not all(map(math.isfinite, numbers)):
        raise Refused("a number of the vector is not finite")
    return list(numbers)


_PREPARE: dict[type, Callable[[Any, tzinfo], Any]] = {
    types.Boolean: _boolean,
    types.Integer: _integer,
    types.Double: _double,
    types.UtcDateTime: _instant,
    types.Json: _json,
    Vector: _vector,
}


# -- COPY's text ------------------------------------------------------------------------------------------------------

_ESCAPES = str.maketrans({"\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"})


def copy_line(values: Any, columns: Any) -> bytes:
    """A row as COPY writes it, without its newline."""
    return "\t".join(copy_text(value, column) for value, column in zip(values, columns, strict=True)).encode()


def copy_text(value: Any, column: sa.Column[Any]) -> str:  # noqa: PLR0911 -- one for each kind
    r"""One translated value as COPY writes it; None is ``\N``."""
    if value is None:
        return r"\N"
    if isinstance(column.type, types.Json):
        return jsonb_text(value).translate(_ESCAPES)
    if isinstance(value, str):
        return str.__str__(value).translate(_ESCAPES)
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, datetime):
        return _instant_text(value)
    if isinstance(value, bytes):
        return rf"\\x{value.hex()}"
    if isinstance(column.type, Vector):
        return "{" + ",".join(map(float_text, value)) + "}"
    return str(value)


def _instant_text(value: datetime) -> str:
    text = value.astimezone(_UTC).isoformat(" ")[:-6]
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "+00"


_UTC = instant("1970-01-01", cast("tzinfo", None)).tzinfo


def float_text(value: float) -> str:
    """The shortest digits that mean this double: Python and PostgreSQL agree on them, and differ in the exponent."""
    text = repr(value)
    if abs(value) < 1e15:  # noqa: PLR2004 -- from here on PostgreSQL writes an exponent
        return text.removesuffix(".0")
    digits = Decimal(text if abs(value) <= _EXACT else _shortest(value)).normalize().as_tuple()
    numerals = "".join(map(str, digits.digits))
    exponent = len(numerals) - 1 + cast("int", digits.exponent)
    point = "." if len(numerals) > 1 else ""
    return f"{'-' * digits.sign}{numerals[0]}{point}{numerals[1:]}e+{exponent:02d}"


def _shortest(value: float) -> int:
    """The whole number with the fewest digits that is nearer to this one, from 2^53 on, than to another double.

    Python's `repr` also takes what lies exactly in the middle, such as 1e23, because it is read as the even neighbour;
    PostgreSQL does not (src/common/d2s.c). Below 2^53 nothing short lies in the middle.
    """
    number, gap = int(value), int(math.ulp(value))
    below = gap // 2 if math.frexp(value)[0] in {0.5, -0.5} else gap  # doubles are closer together there
    for power in range(len(str(abs(number))), 0, -1):
        unit: int = 10**power
        low = number // unit * unit
        near = [each for each in (low, low + unit) if -below < 2 * (abs(each) - abs(number)) < gap]
        if near:
            return min(near, key=lambda each: abs(each - number))
    return number


def jsonb_text(value: Any) -> str:
    """JSON as PostgreSQL prints jsonb: keys by length, then by bytes; numbers without an exponent."""
    if isinstance(value, str):
        return encode_basestring(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        text = repr(value)
        return text if "e" not in text else f"{Decimal(text):f}"
    if isinstance(value, dict):
        members = sorted((len(name := key.encode()), name, key) for key in cast("dict[str, Any]", value))
        return "{" + ", ".join(f"{encode_basestring(key)}: {jsonb_text(value[key])}" for *_, key in members) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(jsonb_text, value))}]"  # pyright: ignore[reportUnknownArgumentType]
    return str(value)
