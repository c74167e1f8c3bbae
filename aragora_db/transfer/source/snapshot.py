"""One SQLite file as it is at one moment: opened read-only, in one read transaction, left as it was found."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

import apsw

from aragora_db.transfer.source.files import SourceFile
from aragora_db.transfer.source.reasons import reason_of

__all__ = ["BrokenText", "Snapshot", "SourceTable", "quoted"]

_ROWS, _BYTES = 5_000, 2 << 20  # of a chunk, about


class BrokenText(bytes):
    """A TEXT value whose bytes are not UTF-8."""

    __slots__ = ()


@dataclass(frozen=True)
class SourceTable:
    """A table of a file.

    Attributes:
        name: as the file spells it.
        columns: in the file's order.
        key: those of its primary key.
        rowid: what the row's number is called; None for a table WITHOUT ROWID.
        rows: how many there are.
        sequence: the highest number that AUTOINCREMENT gave out.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...] = ()
    rowid: str | None = "rowid"
    rows: int = 0
    sequence: int = 0


def quoted(name: str) -> str:
    """An identifier as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


class Snapshot:
    """A file's tables and rows. Every read sees the moment of opening, whatever a writer does meanwhile.

    May be shared by threads: the tables of a file take turns, a chunk each.
    """

    def __init__(self, file: SourceFile, connection: apsw.Connection, content_hash: str) -> None:
        self.file = file
        self.content_hash = content_hash
        """XXH3-128 of the file's bytes and its WAL's: says whether it changed since, and nothing about trust."""
        self.damaged: dict[str, str] = {}
        """Tables that could not be counted, and why."""
        self._connection: Any = connection  # apsw's annotations name types that nothing defines
        self._lock = threading.Lock()
        self._codec = _CODECS[self._connection.execute("PRAGMA encoding").get]
        self.is_utf8 = self._codec == "utf-8"

    def tables(self) -> list[SourceTable]:
        """Every table with rows of its own, sorted by name.

        No views, no full-text indexes (``..._fts``) and none of the tables that virtual ones are made of.
        """
        listed = list(self._connection.execute("SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main'"))
        sequences: dict[str, Any] = {}
        with suppress(apsw.SQLError):  # made with the first AUTOINCREMENT
            sequences = dict(self._connection.execute("SELECT name, seq FROM sqlite_sequence"))
        found: list[SourceTable] = []
        for name, kind, without_rowid in sorted(listed):
            # A full-text index says what its table says; any other virtual table has rows of its own.
            is_own = kind == "table" or (kind == "virtual" and not name.endswith("_fts"))
            if is_own and not name.startswith("sqlite_"):
                try:
                    no_rowid = bool(without_rowid) or kind == "virtual"
                    found.append(self._table(name, no_rowid, sequences.get(name)))
                except apsw.Error as error:
                    self.damaged[name] = reason_of(error)
        return found

    def _table(self, name: str, without_rowid: bool, sequence: Any) -> SourceTable:
        described = list(
            self._connection.execute("SELECT name, pk FROM pragma_table_xinfo(?) WHERE hidden <> 1", (name,))
        )
        columns = tuple(column for column, _ in described)
        key = tuple(column for column, place in sorted(described, key=lambda each: each[1]) if place)
        lower = {column.lower() for column in columns}
        rowid = None if without_rowid else next((n for n in ("_rowid_", "oid", "rowid") if n not in lower), None)
        rows: Any = self._connection.execute(f"SELECT count(*) FROM {quoted(name)}").get
        return SourceTable(name, columns, key, rowid, rows, sequence if isinstance(sequence, int) else 0)

    # -- rows, a chunk at a time --------------------------------------------------------------------------------------

    def select(self, table: SourceTable, expressions: str, after: int | None) -> list[tuple[Any, ...]]:
        """The next rows: their number, then these expressions.

        Args:
            table: one that has a rowid.
            expressions: SQL; the first is a text, by whose length the chunk is bounded.
            after: the number of the last row of the chunk before.

        Raises:
            UnicodeDecodeError: a text of the chunk is not UTF-8.
        """
        where = "" if after is None else f" WHERE {table.rowid} > ?"
        sql = f"SELECT {table.rowid}, {expressions} FROM {quoted(table.name)}{where} ORDER BY {table.rowid}"
        with self._lock:
            cursor = self._connection.execute(sql, () if after is None else (after,))
            rows = _some(cursor, _ROWS)
            cursor.close(force=True)
            return rows

    def chunks(self, table: SourceTable) -> Iterator[list[tuple[Any, ...]]]:
        """Whole rows, each with its number first; a text that is not UTF-8 comes as `BrokenText`."""
        if table.rowid is None:
            yield from self._numbered(table)
            return
        after: int | None = None
        while rows := self.chunk(table, after):
            yield rows
            after = rows[-1][0]

    def chunk(self, table: SourceTable, after: int | None, limit: int = 1_000) -> list[tuple[Any, ...]]:
        """The next whole rows of a table that has a rowid."""
        where, bindings = ("", ()) if after is None else (f"WHERE {table.rowid} > ? ", (after,))
        return self._read(table, f"{where}ORDER BY {table.rowid}", bindings, limit)

    def row(self, table: SourceTable, number: int) -> tuple[Any, ...]:
        """The whole row of this number."""
        if table.rowid is None:
            return next(row for rows in self._numbered(table) for row in rows if row[0] == number)
        (row,) = self._read(table, f"WHERE {table.rowid} = ?", (number,), 1)
        return row

    def rows(self, table: SourceTable, numbers: Iterable[int]) -> Iterator[tuple[Any, ...]]:
        """The whole rows of these numbers, which ascend."""
        if table.rowid is not None:
            yield from (self.row(table, number) for number in numbers)
            return
        every = (row for rows in self._numbered(table) for row in rows)
        for number in numbers:
            yield next(row for row in every if row[0] == number)

    def _read(self, table: SourceTable, which: str, bindings: Sequence[int], limit: int) -> list[tuple[Any, ...]]:
        source = f"FROM {quoted(table.name)} {which}"
        with self._lock:
            try:
                columns = ", ".join(map(quoted, table.columns))
                return _some(
                    self._connection.cursor().execute(f"SELECT {table.rowid}, {columns} {source}", bindings), limit
                )
            except UnicodeDecodeError:
                typed = f"SELECT {table.rowid}, {_typed(table.columns)} {source}"
                rows = _some(self._connection.cursor().execute(typed, bindings), limit)
        return [(number, *_untyped(row, self._codec)) for number, *row in rows]

    def _numbered(self, table: SourceTable) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a table WITHOUT ROWID, numbered in order of its key."""
        order = ", ".join(map(quoted, table.key or table.columns))
        sql = f"SELECT {_typed(table.columns)} FROM {quoted(table.name)} ORDER BY {order}"
        with self._lock:
            cursor = iter(self._connection.cursor().execute(sql))
        number = 0
        while True:
            with self._lock:
                some = _some(cursor, 1_000)
            if not some:
                return
            yield [(number + place, *_untyped(row, self._codec)) for place, row in enumerate(some, 1)]
            number += len(some)


def _some(cursor: Any, limit: int) -> list[tuple[Any, ...]]:
    """The next rows: no more than `limit`, and when they are large about `_BYTES`, told by two rows out of 16."""
    rows: list[tuple[Any, ...]] = []
    size = 0
    while len(rows) < limit and size < _BYTES:
        some: list[tuple[Any, ...]] = list(islice(cursor, min(16, limit - len(rows))))
        if not some:
            break
        rows += some
        size += 8 * (_weight(some[0]) + _weight(some[-1]))
    return rows


def _weight(row: Sequence[Any]) -> int:
    return sum(len(value) for value in row if isinstance(value, str | bytes))


def _typed(columns: Sequence[str]) -> str:
    """Each column and whether it is text, whose bytes come as they are."""
    one = "typeof({0}), CASE typeof({0}) WHEN 'text' THEN CAST({0} AS BLOB) ELSE {0} END"
    return ", ".join(one.format(quoted(column)) for column in columns)


_CODECS = {"UTF-8": "utf-8", "UTF-16le": "utf-16-le", "UTF-16be": "utf-16-be"}
"""A text's bytes are in the file's encoding."""


def _untyped(row: Sequence[Any], codec: str) -> Iterator[Any]:
    for kind, value in zip(row[::2], row[1::2], strict=True):
        if kind != "text":
            yield value
            continue
        try:
            yield value.decode(codec)
        except UnicodeDecodeError:
            yield BrokenText(value)
