"""A column's value as text in SQL, and the condition under which that text is right; a form for each type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Any, cast

import sqlalchemy as sa

from aragora_db import types

__all__ = ["SqlForm", "sql_form_of"]

_EARLIEST, _LATEST = "1900", "9990"
_LOCAL_YEARS = range(-12, 3)  # around now, in which local times are shifted by SQL; others go row by row

SqlForm = Callable[[str, sa.Column[Any], tzinfo], tuple[str, str]]
"""Text and condition of a column: its quoted name in the source, the column of ours, and the zone of local times."""


def sql_form_of(column: sa.Column[Any]) -> SqlForm | None:
    """The form of a column's type, if it has one."""
    return next((_FORMS[each] for each in type(column.type).__mro__ if each in _FORMS), None)


def _text(name: str, column: sa.Column[Any], _local: tzinfo) -> tuple[str, str]:
    limit = cast("types.Text", column.type).max_bytes
    bound = "" if limit is None else f" AND octet_length({name}) <= {limit}"
    return name, f"typeof({name}) = 'text'{bound}"


def _enum(name: str, column: sa.Column[Any], _local: tzinfo) -> tuple[str, str]:
    kind = cast("types.EnumText[StrEnum]", column.type)
    members = ", ".join(f"'{member}'" for member in kind.enum_class)
    return name, f"typeof({name}) = 'text' AND {name} COLLATE BINARY IN ({members})"


def _integer(name: str, _column: sa.Column[Any], _local: tzinfo) -> tuple[str, str]:
    return name, f"typeof({name}) = 'integer'"


def _boolean(name: str, _column: sa.Column[Any], _local: tzinfo) -> tuple[str, str]:
    return f"CASE {name} WHEN 1 THEN 't' WHEN 0 THEN 'f' END", f"typeof({name}) = 'integer' AND {name} IN (0, 1)"


def _double(name: str, _column: sa.Column[Any], _local: tzinfo) -> tuple[str, str]:
    # From 1e15 on PostgreSQL writes an exponent where Python does not.
    return name, f"typeof({name}) = 'real' AND {name} > -1e15 AND {name} < 1e15"


def _blob(name: str, _column: sa.Column[Any], _local: tzinfo) -> tuple[str, str]:
    return f"iif({name} IS NULL, NULL, '\\x' || lower(hex({name})))", f"typeof({name}) = 'blob'"


def _json(_name: str, _column: sa.Column[Any], _local: tzinfo) -> tuple[str, str]:
    raise AssertionError("JSON is spelled by Python")


def _instant(name: str, _column: sa.Column[Any], local: tzinfo) -> tuple[str, str]:
    """The forms of `aragora_db.transfer.rows.times` that Aragora and we write.

    SQLite's datetime() counts the day out, so that a 30th of February comes back as another day.
    """
    clock = f"concat(substr({name}, 1, 10), ' ', substr({name}, 12, 8))"
    digits = "[0-9]" * 6
    moved, years = _shifted(name, local)
    separator = f"substr({name}, 11, 1)"
    lengths = (  # in bytes: length() does not count what follows a NUL
        f"CASE octet_length({name}) WHEN 26 THEN {separator} = 'T' AND {name} GLOB '*.{digits}'{years}"
        f" WHEN 32 THEN {name} GLOB '*.{digits}+00:00' WHEN 19 THEN {separator} = ' ' OR (1{years}) END"
    )
    condition = (  # + takes away the affinity of a column TIMESTAMP, which would make numbers of the years
        f"typeof({name}) = 'text' AND +{name} >= '{_EARLIEST}' AND +{name} < '{_LATEST}' AND {lengths}"
        f" AND {separator} IN ('T', ' ') AND datetime(substr({name}, 1, 19), '+0 days') = {clock}"
    )
    fraction = f"rtrim(rtrim(substr({name}, 20, 7), '0'), '.')"
    if moved is None:
        return f"concat(substr({name}, 1, 10), ' ', substr({name}, 12, 8), {fraction}, '+00')", condition
    is_local = f"substr({name}, 11, 1) = 'T' AND length({name}) < 32"
    return f"concat(CASE WHEN {is_local} THEN {moved} ELSE {clock} END, {fraction}, '+00')", condition


def _shifted(name: str, local: tzinfo) -> tuple[str | None, str]:
    """A local time in UTC as SQL, and for which times that is right; None and nothing where local time is UTC.

    A zone's offset as a function of local time changes at the later of the two clock times of each change: before it,
    ``fold=0`` means the old offset, in a gap as in a repeated hour.
    """
    changes = _changes(local)
    if {offset for _, offset in changes} == {timedelta(0)}:
        return None, ""
    cases = " ".join(
        f"WHEN {name} >= '{start:%Y-%m-%dT%H:%M:%S}'"
        f" THEN datetime(substr({name}, 1, 19), '{-offset.total_seconds():+.0f} seconds')"
        for start, offset in reversed(changes)
    )
    now = datetime.now(UTC).year
    first, last = f"{now + _LOCAL_YEARS.start}-01-01", f"{now + _LOCAL_YEARS.stop}-01-01"
    return f"CASE {cases} END", f" AND {name} >= '{first}' AND {name} < '{last}'"


def _changes(local: tzinfo) -> list[tuple[datetime, timedelta]]:
    """From which local time on which offset holds, in these years."""
    now = datetime.now(UTC).year
    start = datetime(now + _LOCAL_YEARS.start, 1, 1, tzinfo=UTC)
    end = datetime(now + _LOCAL_YEARS.stop, 1, 2, tzinfo=UTC)
    found = [(datetime(1, 1, 1), _offset(start, local))]  # noqa: DTZ001 -- a clock time
    while start < end:
        following = start + timedelta(days=7)
        if _offset(following, local) != _offset(start, local):
            change = _first_after(start, following, local)
            before, after = _offset(start, local), _offset(following, local)
            clock = change.replace(tzinfo=None) + max(before, after)
            found.append((clock, after))
        start = following
    return found


def _first_after(start: datetime, end: datetime, local: tzinfo) -> datetime:
    """The first second at which the offset is that of `end`."""
    while end - start > timedelta(seconds=1):
        middle = start + (end - start) // 2
        middle = middle.replace(microsecond=0)
        if _offset(middle, local) == _offset(start, local):
            start = middle
        else:
            end = middle
    return end


def _offset(instant: datetime, local: tzinfo) -> timedelta:
    return cast("timedelta", instant.astimezone(local).utcoffset())


_FORMS: Mapping[type, SqlForm] = {
    types.Text: _text,
    types.EnumText: _enum,
    types.Integer: _integer,
    types.Boolean: _boolean,
    types.Double: _double,
    types.UtcDateTime: _instant,
    types.Json: _json,
    types.Blob: _blob,
}
