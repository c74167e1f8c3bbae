"""Move orphans out of ``legacy_rows`` once their parents have been imported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from aragora_db.models import Base, ImportedTable, LegacyRow
from aragora_db.transfer.options import resolve_timezone
from aragora_db.transfer.rows.converters import ValueRefused
from aragora_db.transfer.rows.copy_format import copy_line
from aragora_db.transfer.rows.digest import Digest
from aragora_db.transfer.rows.stream import Block, TranslatedRows, unknown_columns_reason
from aragora_db.transfer.rows.translate import Translator
from aragora_db.transfer.source.shapes import shape_of
from aragora_db.transfer.source.snapshot import SourceTable
from aragora_db.transfer.target import merge
from aragora_db.transfer.target.loaders import loader_of
from aragora_db.transfer.target.merge import decide
from aragora_db.transfer.target.parking import from_json
from aragora_db.transfer.target.proof import prove_staged
from aragora_db.transfer.target.staging_tables import parked_numbers, stage

__all__ = ["adopt_orphans", "tables_with_orphans"]

_ORPHAN = "orphan:"
_SLICE = 500

_legacy: Any = LegacyRow.__table__
_ledger: Any = ImportedTable.__table__
_is_orphan = _legacy.c.reason.startswith(_ORPHAN, autoescape=True)


def tables_with_orphans(connection: Connection) -> list[tuple[str, str]]:
    """Return the source files and tables that have parked orphans, parents' tables first."""
    found = connection.execute(sa.select(_legacy.c.source_file, _legacy.c.table_name).where(_is_orphan).distinct())
    order = {table.name: place for place, table in enumerate(Base.metadata.sorted_tables)}
    return sorted(((file, table) for file, table in found), key=lambda each: (order.get(each[1], 0), each))


def adopt_orphans(connection: Connection, source_file: str, table_name: str, zone_name: str) -> int:
    """Move the parked rows of one source table whose parents exist by now, in the connection's transaction.

    Args:
        connection: of the target database.
        source_file: the source file's name.
        table_name: the source table's name.
        zone_name: the time zone of naive timestamps, for rows whose import is not recorded here.

    Returns:
        The number of rows moved.
    """
    attached = 0
    while found := _adopt_some(connection, source_file, table_name, zone_name):  # again: some are parents of others
        attached += found
    if attached:
        moved = {"parked": _ledger.c.parked - attached, "carried": _ledger.c.carried + attached}
        newest = sa.select(sa.func.max(_ledger.c.id)).where(
            _ledger.c.source_file == source_file, _ledger.c.table_name == table_name
        )
        connection.execute(sa.update(_ledger).where(_ledger.c.id == newest.scalar_subquery()).values(moved))
    return attached


def _adopt_some(connection: Connection, source_file: str, table_name: str, zone_name: str) -> int:
    which = [_legacy.c.source_file == source_file, _legacy.c.table_name == table_name, _is_orphan]
    attached = after = 0
    while rows := _next(connection, which, after):
        after = rows[-1].id
        by_columns: dict[tuple[str, ...], list[Any]] = {}
        for row in rows:
            by_columns.setdefault(tuple(sorted(row.row)), []).append(row)
        for columns, some in by_columns.items():
            attached += _adopt_rows(connection, source_file, SourceTable(table_name, columns), some, zone_name)
    return attached


def _next(connection: Connection, which: Sequence[Any], after: int) -> Sequence[Any]:
    some = sa.select(_legacy.c.id, _legacy.c.row).where(*which, _legacy.c.id > after)
    return connection.execute(some.order_by(_legacy.c.id).limit(_SLICE)).all()


def _zone_of(connection: Connection, source_file: str, otherwise: str) -> Any:
    """The zone of the file's import; rows that came by way of another database have none on record."""
    name = connection.scalar(
        sa.select(_ledger.c.source_timezone)
        .where(_ledger.c.source_file == source_file)
        .order_by(_ledger.c.id.desc())
        .limit(1)
    )
    return resolve_timezone(name or otherwise)[1]


def _adopt_rows(
    connection: Connection, source_file: str, source: SourceTable, rows: Sequence[Any], zone_name: str
) -> int:
    shape = shape_of(source)
    if shape is None or shape.parts:
        return 0
    stream = _ParkedRows(Translator(source, shape, _zone_of(connection, source_file, zone_name)), rows)
    (main,) = stage(connection, shape, stream, lambda table: table)
    loader = loader_of(connection)
    loader.load(connection, {shape.target: main.staging}, stream.block)
    loader.lock_and_analyze(connection, main.target, main.staging)
    decide(connection, main, [], Base.metadata.tables, parked_numbers(source_file))
    merge.write(connection, main, [])
    prove_staged(connection, main, [], stream.digests)
    settled = merge.is_any(main.staging, *merge.CARRIED, *merge.MERGED)
    there = _legacy.c.id.in_(sa.select(main.staging.c.source_key).where(settled))
    found = 0
    for row in rows:  # a value in a column that has no place stays where it is
        surplus = [name for name in shape.unknown if row.row[name] is not None]
        if surplus:
            noted = (
                sa.update(_legacy).where(_legacy.c.id == row.id, there).values(reason=unknown_columns_reason(surplus))
            )
            found += connection.execute(noted).rowcount
    found += connection.execute(sa.delete(_legacy).where(there, _is_orphan)).rowcount
    loader.finish_load(connection, main.target, 0)
    main.staging.drop(connection)
    return found


class _ParkedRows:
    """Parked rows as `Stream` gives a file's rows: columns, one block and a checksum. A row's number is its id."""

    def __init__(self, translate: Translator, rows: Sequence[Any]) -> None:
        self.columns = translate.columns
        (table,) = self.columns
        translated = TranslatedRows()
        for row in rows:
            values = [from_json(row.row[name]) for name in translate.source.columns]
            try:
                ((made,),) = translate(values).values()
            except ValueRefused:
                continue  # the rules have become stricter since: it stays where it is, whole
            translated.keys.append(row.id)
            translated.values.append(made)
            translated.lines.append(copy_line(made, self.columns[table]))
        self.block = Block(len(rows), {table: translated})
        self.digests = {table: Digest()}
        self.digests[table].add(translated.lines)
