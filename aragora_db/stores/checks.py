"""Checks of arguments, before anything is written: one message per kind of mistake, naming the argument."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from aragora_db.errors import InvalidValue
from aragora_db.models.base import utcnow
from aragora_db.types import KEY_BYTES

__all__ = ["clock", "count", "finite", "flag", "instant", "key", "keys", "member", "name", "names", "share"]

E = TypeVar("E", bound=StrEnum)


def finite(argument: str, value: Any) -> float:
    """Return a finite number.

    Raises:
        InvalidValue: it is none, or NaN, or infinite.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidValue(f"{argument} is {value!r}; it must be a finite number")
    return float(value)


def share(argument: str, value: Any) -> float:
    """Return a number from 0 to 1.

    Raises:
        InvalidValue: it lies outside, or is no number.
    """
    number = finite(argument, value)
    if not 0.0 <= number <= 1.0:
        raise InvalidValue(f"{argument} is {value!r}; it must lie between 0 and 1")
    return number


def count(argument: str, value: Any) -> int:
    """Return a whole number, 0 or more.

    Raises:
        InvalidValue: it is negative, or no whole number.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidValue(f"{argument} is {value!r}; it must be a whole number, 0 or more")
    return value


def flag(argument: str, value: Any) -> bool:
    """Return True or False.

    Raises:
        InvalidValue: it is neither; 0 and 1 are numbers.
    """
    if not isinstance(value, bool):
        raise InvalidValue(f"{argument} is {value!r}; it must be True or False")
    return value


def name(argument: str, value: Any) -> str:
    """Return a name or id: text that is not blank. The column's type checks its length and characters.

    Raises:
        InvalidValue: it is blank, or no text.
    """
    if not isinstance(value, str) or not value.strip():
        raise InvalidValue(f"{argument} is {value!r}; it must be a name, not blank")
    return value


def key(argument: str, value: Any) -> str:
    """Return a name or id that an indexed column takes.

    Raises:
        InvalidValue: it is blank, no text, too long, or has characters that a database cannot keep.
    """
    name(argument, value)
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        size = 0
    if not 0 < size <= KEY_BYTES or "\x00" in value:
        raise InvalidValue(f"{argument} must be at most {KEY_BYTES} bytes of UTF-8, without NUL and lone surrogates")
    return str.__str__(value)  # of a ``(str, Enum)`` its text, not its name


def instant(argument: str, value: Any) -> datetime:
    """Return a time with a time zone.

    Raises:
        InvalidValue: it is no datetime, or has no time zone.
    """
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidValue(f"{argument} must be a datetime with a time zone, such as datetime.now(UTC)")
    return value


def clock(argument: str, value: Any) -> datetime:
    """Return the time given, or the clock's time if it is None.

    Raises:
        InvalidValue: it is no datetime, or has no time zone.
    """
    return utcnow() if value is None else instant(argument, value)


def names(argument: str, values: Iterable[Any]) -> list[str]:
    """Check several names, and return them in the order given.

    Raises:
        InvalidValue: one is blank, no text, or there twice; or the whole is one text.
    """
    return _each_once(argument, values, name)


def keys(argument: str, values: Iterable[Any]) -> list[str]:
    """Check several names or ids for an indexed column, and return them in the order given.

    Raises:
        InvalidValue: `key` refuses one, one is there twice, or the whole is one text.
    """
    return _each_once(argument, values, key)


def _each_once(argument: str, values: Iterable[Any], check: Callable[[str, Any], str]) -> list[str]:
    if isinstance(values, str):
        raise InvalidValue(f"{argument} is one text; pass a list of names")
    found = [check(argument, value) for value in values]
    seen = set[str]()
    for value in found:
        if value in seen:
            raise InvalidValue(f"{argument} names {value!r} twice")
        seen.add(value)
    return found


def member(argument: str, kind: type[E], value: Any) -> E:
    """Return a member of an enumeration, given it or its text.

    Raises:
        InvalidValue: there is no such member.
    """
    try:
        return kind(value)
    except ValueError:
        raise InvalidValue(f"{argument} is {value!r}; it must be one of " + ", ".join(kind)) from None
