"""The instants that Aragora's timestamps mean.

| written as                    | means                                                             |
|-------------------------------|-------------------------------------------------------------------|
| ``2026-01-15T09:30:00.123456``| the writer's local time (Python's ``datetime.now().isoformat()``)  |
| ``2026-01-15 09:30:00``       | UTC (SQLite's ``CURRENT_TIMESTAMP``); a date alone is its midnight |
| ``...Z``, ``...+02:00``       | what it says                                                      |
| a number, or digits as text   | seconds since 1970, as ``time.time()`` gives them                  |

A local time that the end of summer time repeats is taken as the first of the two, one that its beginning skips as if
the clocks had not been changed yet (PEP 495, ``fold=0``).
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, Final

__all__ = ["MILLISECONDS_FROM", "instant"]

MILLISECONDS_FROM: Final = 1e11
"""Seconds from here on (the year 5138) are taken for milliseconds, and refused."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS = re.compile(r"\d{9,11}(?:\.\d+)?", re.ASCII)
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:([T ])(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6})0*)?)?)?"
    r" ?(Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)


def instant(value: Any, local: tzinfo) -> datetime:
    """The instant of a timestamp, in UTC.

    Args:
        value: a text or a number.
        local: the zone of naive timestamps with a ``T``.

    Raises:
        ValueError: nobody can tell which instant it means.
    """
    if isinstance(value, str):
        if _SECONDS.fullmatch(value):
            return _from_seconds(float(value))
        return _from_text(value, local)
    if isinstance(value, int | float):
        return _from_seconds(value)
    raise ValueError("neither a text nor a number")


def _from_seconds(seconds: float) -> datetime:
    if not math.isfinite(seconds):
        raise ValueError("not a finite number of seconds")
    if abs(seconds) >= MILLISECONDS_FROM:
        raise ValueError("too many seconds since 1970: are these milliseconds?")
    try:
        # As datetime.fromtimestamp() rounds, which on some platforms refuses what lies before 1970.
        return _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        raise ValueError("before the year 1") from None


def _from_text(text: str, local: tzinfo) -> datetime:
    parts = _ISO.fullmatch(text)
    if parts is None:
        raise ValueError("no timestamp")
    year, month, day, separator, hour, minute, second, fraction, offset = parts.groups()
    zone = _zone(offset) if offset else local if separator == "T" else UTC
    try:
        written = datetime(
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int((fraction or "0").ljust(6, "0")),
            tzinfo=zone,
        )
        return written.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("no day or time of the calendar") from None


def _zone(offset: str) -> tzinfo:
    if offset == "Z":
        return UTC
    digits = offset[1:].replace(":", "").ljust(6, "0")
    span = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]), seconds=int(digits[4:]))
    if span >= timedelta(hours=24):
        raise ValueError("no offset of a time zone")
    return timezone(-span if offset[0] == "-" else span)
