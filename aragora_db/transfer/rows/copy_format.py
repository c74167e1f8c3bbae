"""The text format of PostgreSQL's COPY, exactly as ``COPY ... TO STDOUT`` prints it (time zone UTC).

One text serves for loading and for comparing checksums. `copy_line` and `copy_text` format one row or value.
`text_rows` and `number_rows` format many rows at the speed of C: text is escaped in one chunk, numbers by orjson.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from json.encoder import encode_basestring
from typing import Any, cast

import orjson
import sqlalchemy as sa

from aragora_db import types
from aragora_db.types.vector import Vector

__all__ = [
    "FIELD",
    "NULL",
    "ROW",
    "copy_line",
    "copy_text",
    "float_text",
    "jsonb_text",
    "number_rows",
    "text_rows",
]

_EXACT_INTEGERS = 2**53  # from here on not every whole number is a double

_EXPONENT_FROM = 1e15
"""From here on PostgreSQL writes an exponent, where Python and orjson do not."""

# -- one row ----------------------------------------------------------------------------------------------------------

_CHARACTER_ESCAPES = str.maketrans(
    {"\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
)


def copy_line(values: Any, columns: Any) -> bytes:
    """Return a row in COPY's format, without its newline."""
    return "\t".join(copy_text(value, column) for value, column in zip(values, columns, strict=True)).encode()


def copy_text(value: Any, column: sa.Column[Any]) -> str:  # noqa: PLR0911 -- one for each kind
    r"""Return one converted value in COPY's format; None is ``\N``."""
    if value is None:
        return r"\N"
    if isinstance(column.type, types.Json):
        return jsonb_text(value).translate(_CHARACTER_ESCAPES)
    if isinstance(value, str):
        return str.__str__(value).translate(_CHARACTER_ESCAPES)
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
    text = value.astimezone(UTC).isoformat(" ")[:-6]
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "+00"


def float_text(value: float) -> str:
    """Return the shortest digits of a double. Python and PostgreSQL agree on them, but not on the exponent."""
    text = repr(value)
    if abs(value) < _EXPONENT_FROM:
        return text.removesuffix(".0")
    digits = Decimal(text if abs(value) <= _EXACT_INTEGERS else _shortest(value)).normalize().as_tuple()
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
    """Return JSON as PostgreSQL prints jsonb: keys by length, then by bytes; numbers without an exponent."""
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


# -- many rows --------------------------------------------------------------------------------------------------------

FIELD, NULL, ROW = "\x1f", "\x1d", "\x1e"
"""How a row of text is handed over: each value followed by FIELD, NULL alone for none; ROW between rows."""

_BYTE_ESCAPES = (
    # What COPY escapes, the backslash first.
    *((b"\\", rb"\\"), (b"\t", rb"\t"), (b"\n", rb"\n"), (b"\r", rb"\r"), (b"\b", rb"\b"), (b"\f", rb"\f")),
    *((b"\v", rb"\v"), (b"\x1d", b"\\N\x1f")),
)
_SEPARATORS = bytes.maketrans(b"\x1f\x1e", b"\t\n")


def text_rows(text: bytes, rows: int, fields: int) -> list[bytes] | None:
    """Return rows of text in COPY's format; None if one holds a separator, NUL or bytes that are not UTF-8.

    Args:
        text: the rows, written as `FIELD`, `NULL` and `ROW` say.
        rows: how many there are.
        fields: how many values each has.
    """
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError:
            return None
    for old, new in _BYTE_ESCAPES:
        text = text.replace(old, new)
    text = text.translate(_SEPARATORS)
    # What the rows held of these is escaped by now, so that each one left is a separator.
    if text.count(b"\t") != rows * fields or text.count(b"\n") != rows - 1 or b"\x00" in text:
        return None
    return text.removesuffix(b"\t").split(b"\t\n")


def number_rows(rows: Sequence[Sequence[float | None]]) -> list[bytes] | None:
    """Return rows of numbers in COPY's format; None if one is not a number, not finite, or 1e15 and more.

    orjson prints a float with the digits that Python's `repr` has, which are PostgreSQL's; it differs where there is
    an exponent or four zeros after the point, and those are formatted again.
    """
    flat: list[Any] = list(chain.from_iterable(rows))
    kinds = set(map(type, flat))
    if not kinds <= {float, int, type(None)}:
        return None
    there: Iterable[Any] = flat if type(None) not in kinds else [each for each in flat if each is not None]
    if not all(
        -_EXPONENT_FROM < bound < _EXPONENT_FROM for bound in (max(there, default=0.0), min(there, default=0.0))
    ):
        return None  # NaN compares with nothing, but orjson writes null for it: see below
    text = orjson.dumps(rows)
    if text.count(b"null") != flat.count(None):
        return None
    text = text.replace(b".0,", b",").replace(b".0]", b"]")
    for needle in (b"e", b"0.0000"):
        if needle in text:
            text = _reformatted(text, needle)
    text = text.replace(b"-0,", b"0,").replace(b"-0]", b"0]").replace(b"null", rb"\N").replace(b",", b"\t")
    return text[2:-2].split(b"]\t[")


def _reformatted(text: bytes, needle: bytes) -> bytes:
    pieces: list[bytes] = []
    done = 0
    found = text.find(needle)
    while found != -1:
        start = 1 + max(text.rfind(b",", done, found), text.rfind(b"[", done, found), done - 1)
        end = min(place for place in (text.find(b",", found), text.find(b"]", found)) if place != -1)
        pieces += [text[done:start], float_text(float(text[start:end])).encode()]
        done = end
        found = text.find(needle, done)
    return b"".join(pieces) + text[done:]
