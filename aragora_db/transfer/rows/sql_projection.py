"""Format rows in SQL, where no value is unusual: the work is done by C code, SQLite's and orjson's.

One expression per row says whether every value is of the kind that its column wants, and then gives the text of the
row; NULL instead sends the row through `aragora_db.transfer.rows.translate`, which gives the same line for a row that
both can translate (tests/transfer/test_fast_rows.py holds them against each other). Numbers and JSON, which SQLite
spells otherwise than PostgreSQL, come as values and are spelled here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any, cast

import orjson
import sqlalchemy as sa

from aragora_db.models import Base
from aragora_db.transfer.rows.converters import ValueRefused, from_sqlite
from aragora_db.transfer.rows.copy_format import FIELD, NULL, ROW, copy_text, number_rows, text_rows
from aragora_db.transfer.rows.expressions import sql_form_of
from aragora_db.transfer.source.shapes import Shape
from aragora_db.transfer.source.snapshot import SourceTable, quoted
from aragora_db.types import KEY_BYTES, Double, Json, UtcDateTime

__all__ = ["SqlProjection", "projection_of"]

_CACHED, _CACHED_LENGTH = 10_000, 256  # texts, characters; longer JSON is seldom said twice

Lines = tuple[list[int], list[bytes]]
"""The numbers of source rows, and a line for each."""


@dataclass(frozen=True)
class SqlProjection:
    """How a table is read.

    Attributes:
        expressions: the row's text or NULL, then numbers, then JSON, then what the parts are made of.
        texts: how many fields the text has.
        numbers: how many numbers follow.
        documents: the JSON columns after those.
        parts: makes the lines of the table of parts, or None for a row that has to be looked at.
    """

    expressions: str
    texts: int
    numbers: int
    documents: tuple[_JsonTexts, ...]
    parts: Callable[[Sequence[Sequence[Any]], int], Parts] | None = None

    def lines(self, rows: Sequence[Sequence[Any]]) -> tuple[Lines, Lines]:
        """The lines of the rows and those of their parts; rows that are in neither have to be looked at."""
        plain = [row for row in rows if row[1] is not None]
        end = 2 + self.numbers
        parts = Parts() if self.parts is None else self.parts(plain, end + len(self.documents))
        documents = [[canonical[row[place]] for row in plain] for place, canonical in enumerate(self.documents, end)]
        unusual = parts.unusual.union(*(_missing(column) for column in documents))
        if unusual:
            plain = [row for place, row in enumerate(plain) if place not in unusual]
            documents = [[each for place, each in enumerate(column) if place not in unusual] for column in documents]
        if not plain or (unusual - parts.unusual and parts.texts):
            return _nothing()
        columns: list[Any] = [text_rows(_ROW_END.join([row[1] for row in plain]), len(plain), self.texts)]
        if self.numbers:
            columns.append(number_rows([row[2:end] for row in plain]))
        part_lines = parts.lines()
        if None in columns or part_lines is None:
            return _nothing()
        columns += documents
        lines = columns[0] if len(columns) == 1 else list(map(b"\t".join, zip(*columns, strict=True)))
        return ([row[0] for row in plain], lines), (parts.keys, part_lines)


def _nothing() -> tuple[Lines, Lines]:
    """No lines; rows that are looked at are added to them."""
    return ([], []), ([], [])


_ROW_END = ROW.encode()


@dataclass(slots=True)
class Parts:
    """What some rows are taken apart into: for each part the number of its source row, its text and its numbers.

    `unusual` are the places of rows that have to be looked at.
    """

    keys: list[int] = field(default_factory=list[int])
    texts: list[str] = field(default_factory=list[str])
    numbers: list[tuple[Any, Any]] = field(default_factory=list[tuple[Any, Any]])
    unusual: set[int] = field(default_factory=set[int])

    def lines(self) -> list[bytes] | None:
        """A line for each part; None when one of them is unusual after all."""
        if not self.texts:
            return []
        try:
            texts = text_rows(ROW.join(self.texts).encode(), len(self.texts), _PART_TEXTS)
        except UnicodeEncodeError:
            return None
        values = number_rows(self.numbers)
        if texts is None or values is None:
            return None
        return list(map(b"\t".join, zip(texts, values, strict=True)))


def _missing(column: Sequence[Any]) -> list[int]:
    return [place for place, each in enumerate(column) if each is None] if None in column else []


def projection_of(source: SourceTable, shape: Shape, local: tzinfo) -> SqlProjection | None:
    """Return how to format a table's rows in SQL, or None if they need rules of their own."""
    target = Base.metadata.tables[shape.target]
    if source.rowid is None or shape.target in _RULED or (shape.parts and shape.target not in _PARTS):
        return None
    conditions = [f"{quoted(name)} IS NULL" for name in shape.unknown]
    tiny = "BETWEEN -1e-150 AND 1e-150"  # abs() fails on the lowest integer
    conditions += [f"({quoted(name)} = 0 OR {quoted(name)} NOT {tiny})" for name in _not_tiny(shape)]
    texts: list[str] = []
    values: list[str] = []
    documents: list[sa.Column[Any]] = []
    for column in (column for column in target.columns if column.name in shape.columns):
        name = quoted(shape.columns[column.name])
        if isinstance(column.type, Json):
            documents.append(column)
            continue
        form = sql_form_of(column)
        if form is None:
            return None
        text, condition = form(name, column, local)
        conditions.append(f"({name} IS NULL OR {condition})" if column.nullable else condition)
        if isinstance(column.type, Double):
            values.append(name)
            continue
        if column.nullable and isinstance(column.type, UtcDateTime):
            text = f"iif({name} IS NULL, NULL, {text})"  # concat() takes NULL for nothing
        texts.append(f"coalesce({text} || '{FIELD}', '{NULL}')" if column.nullable else f"{text}, '{FIELD}'")
    if not texts:
        return None
    parts, names = _PARTS[shape.target] if shape.parts else (None, ())
    made_of = [quoted(name) if name in source.columns else "NULL" for name in names]
    conditions += [f"typeof({name}) <> 'blob'" for name in made_of]  # which orjson would read
    head = f"CASE WHEN {' AND '.join(conditions)} THEN CAST(concat({', '.join(texts)}) AS BLOB) END"
    selected = [head, *values, *(quoted(shape.columns[column.name]) for column in documents)]
    selected += made_of
    return SqlProjection(", ".join(selected), len(texts), len(values), tuple(map(_JsonTexts, documents)), parts)


_RULED = frozenset(
    {
        *("consensus", "consensus_archive", "dissent", "dissent_archive", "genesis_events"),
        *("elo_calibration_predictions", "elo_agent_relationships", "active_population", "position_history"),
        *("elo_ratings", "elo_calibration_buckets"),
    }
)
"""Tables with rules over several columns, or rows that are taken apart and are few."""


def _not_tiny(shape: Shape) -> list[str]:
    """Columns whose product is indexed: smaller numbers go row by row, where it is looked at."""
    names = ("importance", "surprise_score") if shape.target == "continuum_memory" else ()
    return [shape.columns[name] for name in names if name in shape.columns]


class _JsonTexts(dict[Any, "bytes | None"]):
    """JSON as COPY writes PostgreSQL's, by the source's text; None when the column refuses it."""

    def __init__(self, column: sa.Column[Any]) -> None:
        super().__init__()
        self._column = column

    def __missing__(self, text: Any) -> bytes | None:
        try:
            document = copy_text(from_sqlite(text, self._column, UTC), self._column).encode()
        except ValueRefused:
            return None
        if (text is None or len(text) < _CACHED_LENGTH) and len(self) < _CACHED:
            self[text] = document
        return document


_PART_TEXTS = 3


def _participants(rows: Sequence[Sequence[Any]], first: int) -> Parts:
    """The participants of matches, from their id, names, scores and changes in the columns from `first` on.

    Into flat lists: a container for each match would keep the garbage collector busy, for half of the time.
    """
    parts = Parts()
    add_key, add_text, add_numbers = parts.keys.append, parts.texts.append, parts.numbers.append
    loads = orjson.loads
    for place, row in enumerate(rows):
        match, participants, scores, changes = row[first:]
        try:
            names, by_name, moves = loads(participants), loads(scores), loads(changes)
            if not (len(names) == len(by_name) and by_name.keys() == moves.keys() == set(names)):
                parts.unusual.add(place)
                continue
        except (TypeError, ValueError, AttributeError):
            parts.unusual.add(place)
            continue
        longest = KEY_BYTES if participants.isascii() else KEY_BYTES // 4  # of a name, in characters
        if type(names) is not list or len(participants) > longest:
            parts.unusual.add(place)
            continue
        for position, name in enumerate(cast("list[str]", names)):
            add_key(row[0])
            add_text(f"{match}\x1f{name}\x1f{position}\x1f")
            add_numbers((by_name[name], moves[name]))
    return parts


_PARTS: Mapping[str, tuple[Callable[[Sequence[Sequence[Any]], int], Parts], tuple[str, ...]]] = {
    "elo_matches": (_participants, ("id", "participants", "scores", "elo_changes")),
}
"""Which texts a table is taken apart from: three texts and a pair of numbers for each part."""
