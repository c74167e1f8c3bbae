"""Read a source table as blocks of translated rows, with checksums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from aragora_db.transfer.rows import sql_projection
from aragora_db.transfer.rows.converters import ValueRefused
from aragora_db.transfer.rows.copy_format import copy_line
from aragora_db.transfer.rows.digest import Digest
from aragora_db.transfer.rows.translate import Translator
from aragora_db.transfer.source.shapes import Shape
from aragora_db.transfer.source.snapshot import Snapshot, SourceTable

__all__ = ["Block", "RefusedRow", "Stream", "TranslatedRows", "unknown_columns_reason"]


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A source row (its number first) that cannot be imported, the column at fault if it is one, and the reason."""

    row: Sequence[Any]
    column: str | None
    reason: str


@dataclass(slots=True)
class TranslatedRows:
    """Rows for one table: the number of each one's source row, and the row, as COPY writes it or as values."""

    keys: list[int] = field(default_factory=list[int])
    lines: list[bytes] = field(default_factory=list[bytes])
    values: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])


@dataclass(slots=True)
class Block:
    """Some source rows: what they become, which of them cannot go, and which hold columns that have no place."""

    read: int
    rows: dict[str, TranslatedRows]
    refused: list[RefusedRow] = field(default_factory=list[RefusedRow])
    noted: list[RefusedRow] = field(default_factory=list[RefusedRow])


def unknown_columns_reason(columns: Sequence[str]) -> str:
    """Return the reason why an imported row is kept whole in ``legacy_rows`` as well."""
    return f"columns without a place: {', '.join(columns)}"


class Stream:
    """The rows of one source table in our terms.

    Args:
        snapshot: the file.
        source: the table.
        shape: what it is.
        local: the time zone of naive timestamps.
        as_values: rows as values, for a database that has no COPY.
    """

    def __init__(
        self, snapshot: Snapshot, source: SourceTable, shape: Shape, local: tzinfo, *, as_values: bool = False
    ) -> None:
        self._snapshot, self._source, self._shape, self._as_values = snapshot, source, shape, as_values
        self._translate = Translator(source, shape, local)
        self._projection = (
            sql_projection.projection_of(source, shape, local) if snapshot.is_utf8 and not as_values else None
        )
        self.columns = self._translate.columns
        """The columns of the rows, by table, in their order."""
        self.digests = {table: Digest() for table in self.columns}
        """Checksums of the rows so far, by table."""

    def __iter__(self) -> Iterator[Block]:
        """Read everything, once."""
        return self._project(self._projection) if self._projection is not None else self._translate_rows()

    def _block(self, read: int) -> Block:
        return Block(read, {table: TranslatedRows() for table in self.columns})

    def _translate_rows(self) -> Iterator[Block]:
        for rows in self._snapshot.chunks(self._source):
            block = self._block(len(rows))
            for row in rows:
                self._add(block, row)
            self._count(block)
            yield block

    def _project(self, plan: sql_projection.SqlProjection) -> Iterator[Block]:
        after: int | None = None
        while True:
            try:
                rows = self._snapshot.select(self._source, plan.expressions, after)
            except UnicodeDecodeError:
                rows = self._snapshot.chunk(self._source, after)
                block = self._block(len(rows))
                for row in rows:
                    self._add(block, row)
            else:
                if not rows:
                    return
                block = self._format(plan, rows)
            after = rows[-1][0]
            self._count(block)
            yield block

    def _format(self, plan: sql_projection.SqlProjection, rows: Sequence[Sequence[Any]]) -> Block:
        block = self._block(len(rows))
        lines, parts = plan.lines(rows)
        for table, (keys, some) in zip((self._shape.target, *self._shape.parts), (lines, parts), strict=False):
            block.rows[table].keys, block.rows[table].lines = keys, some
        if len(lines[0]) < len(rows):
            plain = set(lines[0])
            for row in rows:
                if row[0] not in plain:
                    self._add(block, self._snapshot.row(self._source, row[0]))
        return block

    def _add(self, block: Block, row: Sequence[Any]) -> None:
        """Translate a row by itself."""
        try:
            translated = self._translate(row[1:])
        except ValueRefused as refused:
            block.refused.append(RefusedRow(row, refused.column, refused.reason))
            return
        for table, some in translated.items():
            columns, rows = self.columns[table], block.rows[table]
            for values in some:
                rows.keys.append(row[0])
                rows.lines.append(copy_line(values, columns))
                if self._as_values:
                    rows.values.append(values)
        if self._shape.unknown:
            self._note(block, row)

    def _note(self, block: Block, row: Sequence[Any]) -> None:
        held = dict(zip(self._source.columns, row[1:], strict=True))
        unknown = [name for name in self._shape.unknown if held[name] is not None]
        if unknown:
            block.noted.append(RefusedRow(row, None, unknown_columns_reason(unknown)))

    def _count(self, block: Block) -> None:
        for table, rows in block.rows.items():
            self.digests[table].add(rows.lines)
