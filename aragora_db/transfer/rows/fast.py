r"""Rows formatted by SQLite's own C code, where nothing about them is unusual.

One expression per row says whether every value is of the kind that its column wants, and then gives the row as text;
NULL instead sends the row through `aragora_db.transfer.rows.translate`, which gives the same text for a row that both
can translate (tests/transfer/test_fast_rows.py holds them against each other). Python adds the numbers and the JSON,
which SQLite spells otherwise than PostgreSQL, and escapes a whole chunk at once: `bytes.replace` runs at memory speed,
and SQLite's `replace()`, once per value, does not.

Fields end in separators that no usual text holds; a chunk with more of them than fields is translated row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from json import JSONDecoder
from json.scanner import make_scanner  # the C one, which json.loads() reaches after three more calls
from typing import Any, cast

import sqlalchemy as sa

from aragora_db import types
from aragora_db.models import Base
from aragora_db.transfer.rows.kinds import Refused, from_sqlite, jsonb_text
from aragora_db.transfer.source.shapes import Shape
from aragora_db.transfer.source.snapshot import SourceTable, quoted

__all__ = ["FastPlan", "finish", "plan"]

_FIELD, _NUMBER, _NULL, _ROW = "\x1f", "\x1c", "\x1d", "\x1e"
_END, _NUMBER_END, _NULL_END, _ROW_END = (each.encode() for each in (_FIELD, _NUMBER, _NULL, _ROW))
_REPLACED = (
    # What COPY escapes; the backslash first.
    *((b"\\", rb"\\"), (b"\t", rb"\t"), (b"\n", rb"\n"), (b"\r", rb"\r"), (b"\b", rb"\b"), (b"\f", rb"\f"), (b"\v", rb"\v")),
    # Numbers as PostgreSQL spells them, then fields and rows.
    *((b"None" + _NUMBER_END, _NULL_END), (b".0" + _NUMBER_END, _END), (_NUMBER_END, _END)),
    *((_NULL_END, rb"\N" + _END), (_END + _ROW_END, b"\n")),
)

_CACHED = 256  # characters; longer JSON is seldom said twice
_LONG_NAME = 256  # characters; longer names of agents may be too long for an index

_EARLIEST, _LATEST = "1900-01-01 00:00:00", "9990-01-01 00:00:00"
_LOCAL_YEARS = range(-12, 3)  # around now, in which local times are shifted by SQL; others go row by row


@dataclass(frozen=True)
class FastPlan:
    """How a table is read.

    Attributes:
        expressions: the row's text or NULL, then numbers, then JSON, then what the parts are made of.
        numbers: how many of them Python spells.
        documents: the JSON columns, which come last.
        parts: makes the lines of the table of parts, or None when a row has to be looked at.
    """

    expressions: str
    numbers: int
    documents: tuple[Callable[[Any], str | None], ...]
    parts: Callable[..., str | None] | None = None

    def line(self, row: Sequence[Any], pattern: str) -> str | None:
        """A row's fields, not escaped yet; None for a row that has to be looked at."""
        if row[1] is None:
            return None
        end = 2 + self.numbers
        line = cast("str", row[1]) + pattern % tuple(row[2:end])
        for place, canonical in enumerate(self.documents, end):
            document = canonical(row[place])
            if document is None:
                return None
            line += document
        return line

    @property
    def pattern(self) -> str:
        """Spells the numbers, as `repr` does: the shortest digits that mean the same."""
        return f"%r{_NUMBER}" * self.numbers


def plan(source: SourceTable, shape: Shape, local: tzinfo) -> FastPlan | None:
    """How to read a table by SQL, or None when each of its rows takes rules of its own."""
    target = Base.metadata.tables[shape.target]
    if source.rowid is None or shape.target in _RULED or (shape.parts and shape.target not in _PARTS):
        return None
    conditions = [f"{quoted(name)} IS NULL" for name in shape.unknown]
    numbers: list[sa.Column[Any]] = []
    documents: list[sa.Column[Any]] = []
    texts: list[str] = []
    for column in (column for column in target.columns if column.name in shape.columns):
        name = quoted(shape.columns[column.name])
        form = _form(column)
        if form is None:
            return None
        if form is _json:
            documents.append(column)
            continue
        text, condition = form(name, column, local)
        conditions.append(f"({name} IS NULL OR {condition})" if column.nullable else condition)
        if form is _double:
            numbers.append(column)
        else:
            texts.append(f"coalesce({text} || char(31), char(29))" if column.nullable else f"{text} || char(31)")
    if not texts:
        return None
    # In groups: a function takes 100 arguments at most, an expression is 1,000 deep at most.
    head = f"CASE WHEN {' AND '.join(conditions)} THEN {' || '.join(texts)} END"
    parts, made_of = _PARTS.get(shape.target, (None, ()))
    selected = [head, *(quoted(shape.columns[column.name]) for column in (*numbers, *documents))]
    if shape.parts:
        selected += [quoted(name) if name in source.columns else "NULL" for name in made_of]
    return FastPlan(
        ", ".join(selected),
        len(numbers),
        tuple(map(_canonical, documents)),
        parts if shape.parts else None,
    )


def finish(lines: Sequence[str], fields: int) -> list[bytes] | None:
    """Rows as COPY writes them, from their unescaped fields; None when one holds a separator or what UTF-8 cannot."""
    try:
        text = _ROW.join(lines).encode()
    except UnicodeEncodeError:
        return None
    ends = text.count(_END) + text.count(_NUMBER_END) + text.count(_NULL_END)
    if ends != len(lines) * fields or text.count(_ROW_END) != len(lines) - 1 or b"\x00" in text:
        return None
    for old, new in _REPLACED:
        text = text.replace(old, new)
    return text.removesuffix(_END).replace(_END, b"\t").split(b"\n")


# -- a column's text and the condition under which it is right --------------------------------------------------------

_Form = Callable[[str, sa.Column[Any], tzinfo], tuple[str, str]]


def _form(column: sa.Column[Any]) -> _Form | None:
    return next((_FORMS[each] for each in type(column.type).__mro__ if each in _FORMS), None)


def _text(name: str, column: sa.Column[Any], _local: tzinfo) -> tuple[str, str]:
    limit = cast("types.Text", column.type).max_bytes
    bound = "" if limit is None else f" AND octet_length({name}) <= {limit}"
    return name, f"typeof({name}) = 'text'{bound}"


def _enum(name: str, column: sa.Column[Any], _local: tzinfo) -> tuple[str, str]:
    members = ", ".join(f"'{member}'" for member in cast("types.EnumText[Any]", column.type).enum_class)
    return name, f"typeof({name}) = 'text' AND {name} IN ({members})"


def _integer(name: str, _column: sa.Column[Any], _local: tzinfo) -> tuple[str, str]:
    return name, f"typeof({name}) = 'integer'"


def _boolean(name: str, _column: sa.Column[Any], _local: tzinfo) -> tuple[str, str]:
    return f"CASE {name} WHEN 1 THEN 't' WHEN 0 THEN 'f' END", f"typeof({name}) = 'integer' AND {name} IN (0, 1)"


def _double(name: str, _column: sa.Column[Any], _local: tzinfo) -> tuple[str, str]:
    # From 1e15 on PostgreSQL writes an exponent where Python does not.
    return name, f"typeof({name}) = 'real' AND {name} > -1e15 AND {name} < 1e15"


def _blob(name: str, _column: sa.Column[Any], _local: tzinfo) -> tuple[str, str]:
    return f"iif({name} IS NULL, NULL, '\\x' || lower(hex({name})))",  f"typeof({name}) = 'blob'"


def _json(_name: str, _column: sa.Column[Any], _local: tzinfo) -> tuple[str, str]:
    raise AssertionError("JSON is spelled by Python")


def _instant(name: str, _column: sa.Column[Any], local: tzinfo) -> tuple[str, str]:
    """The forms of `aragora_db.transfer.rows.times` that Aragora and we write.

    SQLite's datetime() counts the day out, so that a 30th of February comes back as another day.
    """
    base = f"(substr({name}, 1, 10) || ' ' || substr({name}, 12, 8))"
    digits = "[0-9]" * 6
    is_utc = (
        f"(length({name}) = 19 AND substr({name}, 11, 1) = ' '"
        f" OR {name} GLOB '*.{digits}+00:00' AND length({name}) = 32)"
    )
    is_local = (
        f"(substr({name}, 11, 1) = 'T' AND (length({name}) = 26 AND {name} GLOB '*.{digits}' OR length({name}) = 19))"
    )
    fraction = f"rtrim(rtrim(substr({name}, 20, 7), '0'), '.') || '+00'"
    moved, limits = _shifted(base, local)
    condition = (
        f"typeof({name}) = 'text' AND substr({name}, 11, 1) IN (' ', 'T') AND datetime({base}, '+0 days') = {base}"
        f" AND {base} BETWEEN '{_EARLIEST}' AND '{_LATEST}' AND ({is_utc} OR {is_local}{limits})"
    )
    shifted = base if moved == base else f"CASE WHEN {is_local} THEN {moved} ELSE {base} END"
    return f"{shifted} || {fraction}", condition


def _shifted(base: str, local: tzinfo) -> tuple[str, str]:
    """A local time in UTC as SQL, and what holds for the times that this is right for.

    A zone's offset as a function of local time changes at the later of the two clock times of each change: before it,
    ``fold=0`` means the old offset, in a gap as in a repeated hour.
    """
    changes = _changes(local)
    offsets = {offset for _, offset in changes}
    if offsets == {timedelta(0)} and len(changes) == 1:
        return base, ""
    cases = " ".join(
        f"WHEN {base} >= '{start:%Y-%m-%d %H:%M:%S}' THEN datetime({base}, '{-offset.total_seconds():+.0f} seconds')"
        for start, offset in reversed(changes)
    )
    now = datetime.now(UTC).year
    first, last = f"{now + _LOCAL_YEARS.start}-01-01", f"{now + _LOCAL_YEARS.stop}-01-01"
    return f"CASE {cases} END", f" AND {base} >= '{first}' AND {base} < '{last}'"


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


_FORMS: Mapping[type, _Form] = {
    types.Text: _text,
    types.EnumText: _enum,
    types.Integer: _integer,
    types.Boolean: _boolean,
    types.Double: _double,
    types.UtcDateTime: _instant,
    types.Json: _json,
    types.Blob: _blob,
}

_RULED = frozenset(
    {
        *("consensus", "consensus_archive", "dissent", "dissent_archive", "genesis_events"),
        *("elo_calibration_predictions", "elo_agent_relationships", "active_population", "position_history"),
        *("elo_ratings", "elo_calibration_buckets"),
    }
)
"""Tables with rules over several columns, or rows that are taken apart and are few."""

# -- JSON -------------------------------------------------------------------------------------------------------------


def _canonical(column: sa.Column[Any]) -> Callable[[Any], str | None]:
    """JSON as PostgreSQL prints it; None when the column refuses it."""

    def translate(text: Any) -> str | None:
        try:
            value = from_sqlite(text, column, UTC)
        except Refused:
            return None
        return _NULL if value is None else jsonb_text(value) + _FIELD

    cached = lru_cache(10_000)(translate)

    def canonical(text: Any) -> str | None:
        if text is None or (isinstance(text, str) and len(text) < _CACHED):
            return cached(text)
        return translate(text)

    return canonical


_scan = make_scanner(JSONDecoder())


def _participants(number: int, participants: Any, scores: Any, changes: Any) -> str | None:
    """The rows of a match's participants; None when anything about it is unusual."""
    try:
        names, name_end = _scan(participants, 0)
        by_name, scores_end = _scan(scores, 0)
        moves, moves_end = _scan(changes, 0)
    except (TypeError, StopIteration, ValueError, RecursionError):
        return None
    if (name_end, scores_end, moves_end) != (len(participants), len(scores), len(changes)):
        return None
    if type(names) is not list or type(by_name) is not dict or type(moves) is not dict:
        return None
    lines: list[str] = []
    matched = 0
    for position, name in enumerate(cast("list[Any]", names)):
        if type(name) is not str or len(name) > _LONG_NAME:
            return None
        score, change = by_name.get(name), moves.get(name)
        matched += (name in by_name) + (name in moves)
        if not ((score is None or _is_plain(score)) and (change is None or _is_plain(change))):
            return None
        lines.append(f"{number}\x1f{name}\x1f{position}\x1f{score!r}\x1c{change!r}\x1c")
    if matched != len(by_name) + len(moves) or len(set(names)) != len(names):
        return None
    return _ROW.join(lines)


def _is_plain(number: Any) -> bool:
    """Whether `repr` spells it as PostgreSQL does: no NaN, no negative zero, no exponent from 1e15 on."""
    if type(number) is float:
        return -1e15 < number < 1e15 and (number != 0.0 or str(number) == "0.0")
    return type(number) is int and -(10**15) < number < 10**15


_PARTS: Mapping[str, tuple[Callable[..., str | None], tuple[str, ...]]] = {
    "elo_matches": (_participants, ("id", "participants", "scores", "elo_changes")),
}
