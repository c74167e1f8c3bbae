"""JSON as both databases keep it: what is refused, and how numbers are spelled.

PostgreSQL's ``jsonb`` stores numbers as decimals and writes them without an exponent, so ``1e+23`` comes back as the
integer 100000000000000000000000, which Python does not find equal to the float 1e23 it came from. Two rules make a
round trip equal on both databases:

* a float from 1e16 up that fits in 64 bits is written as the integer it is (every such float is whole);
* integers beyond 64 bits are refused, so an integer beyond 64 bits that is read can only have been a float.
"""

from __future__ import annotations

import json
import math
from typing import Any

__all__ = ["INT64_MAX", "INT64_MIN", "MAX_DEPTH", "dumps", "loads", "portable"]

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

# SQLite's json_valid() gives up at 1,000 levels and Python's recursion limit is near that; real documents have ten.
MAX_DEPTH = 200

# From here on repr() uses an exponent, and jsonb would lose the difference between 1e16 and 10000000000000000.
_EXPONENT_FROM = 1e16


def portable(value: Any, depth: int = 0) -> Any:
    """Return the value as plain JSON types, numbers spelled so that both databases return equal ones.

    Raises:
        ValueError: for what one of the databases refuses or changes; the text says what it was.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        if not INT64_MIN <= value <= INT64_MAX:
            raise ValueError(f"an integer has {int(value).bit_length()} bits, 64 is the limit")
        return int(value)
    if isinstance(value, float):
        return _number(value)
    if depth >= MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        members: dict[Any, Any] = value  # pyright: ignore[reportUnknownVariableType]
        return {_key(name): portable(item, depth + 1) for name, item in members.items()}
    if isinstance(value, list | tuple):
        items: list[Any] | tuple[Any, ...] = value  # pyright: ignore[reportUnknownVariableType]
        return [portable(item, depth + 1) for item in items]
    raise ValueError(f"{type(value).__name__} is no JSON type")


def _number(value: float) -> float | int:
    if not math.isfinite(value):
        raise ValueError(f"{value!r} is no JSON number")
    if abs(value) >= _EXPONENT_FROM and INT64_MIN <= value <= INT64_MAX:
        return int(value)
    return float(value) + 0.0


def _text(value: str) -> str:
    if "\x00" in value:
        raise ValueError("a string holds the character NUL")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("a string holds a lone surrogate") from None
    return str.__str__(value)


def _key(name: object) -> str:
    if not isinstance(name, str):
        raise ValueError(f"a key is {type(name).__name__}, not a string")  # noqa: TRY004 -- one error for all of it
    return _text(name)


def dumps(value: Any) -> str:
    """JSON text of a `portable` value: compact, UTF-8, no NaN."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _parse_int(digits: str) -> int | float:
    number = int(digits) if len(digits) <= 20 else None  # noqa: PLR2004 -- "-9223372036854775808" has 20 characters
    return number if number is not None and INT64_MIN <= number <= INT64_MAX else float(digits)


def loads(text: str | bytes) -> Any:
    """The value of JSON text, with integers beyond 64 bits read as the floats they were."""
    return json.loads(text, parse_int=_parse_int)
