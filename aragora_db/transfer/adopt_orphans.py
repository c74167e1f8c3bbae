"""Rows that wait in ``legacy_rows`` for their parents, and leave it when these have come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from aragora_db.models import Base, ImportedTable, LegacyRow
from aragora_db.transfer.options import zone
from aragora_db.transfer.rows.converters import Refused, copy_line
from aragora_db.transfer.rows.digest import Digest
from aragora_db.transfer.rows.stream import Block, Translated, without_a_place
from aragora_db.transfer.rows.translate import Translator
from aragora_db.transfer.source.shapes import shape_of
from aragora_db.transfer.source.snapshot import SourceTable
from aragora_db.transfer.target import merge
from aragora_db.transfer.target.loaders import loader_of
from aragora_db.transfer.target.merge_policy import judge
from aragora_db.transfer.target.parking import from_json
from aragora_db.transfer.target.proof import prove_staged
from aragora_db.transfer.target.staging_tables import parked_numbers, stage

__all__ = ["attach", "waiting"]

_ORPHAN = "orphan:"
_SLICE = 500

_legacy: Any = LegacyRow.__table__
_ledger: Any = ImportedTable.__table__
_waits = _legacy.c.reason.startswith(_ORPHAN, autoescape=True)


def waiting(connection: Connection) -> list[tuple[str, str]]:
    """The files and tables that have rows waiting for a parent, parents' tables first."""
    found = connection.execute(sa.select(_legacy.c.source_file, _legacy.c.table_name).where(_waits).distinct())
    order = {table.name: place for place, table in enumerate(Base.metadata.sorted_tables)}
    return sorted(((file, table) for file, table in found), key=lambda each: (order.get(each[1], 0), each))


def attach(connection: Connection, source_file: str, table_name: str, zone_name: str) -> int:
    """Move the rows of one file's table whose parents are there by now; in the connection's transaction.

    Args:
        connection: where.
        source_file: the file that they came from.
        table_name: their table there.
        zone_name: of naive timestamps, for rows whose import is not on record here.

    Returns:
        How many there were.
    """
    attached = 0
    while found := _attach_some(connection, source_file, table_name, zone_name):  # again: some are parents of others
        attached += found
    if attached:
        moved = {"parked": _ledger.c.parked - attached, "carried": _ledger.c.carried + attached}
        newest = sa.select(sa.func.max(_ledger.c.id)).where(
            _ledger.c.source_file == source_file, _ledger.c.table_name == table_name
        )
        connection.execute(sa.update(_ledger).where(_ledger.c.id == newest.scalar_subquery()).values(moved))
    return attached


def _attach_some(connection: Connection, source_file: str, table_name: str, zone_name: str) -> int:
    which = [_legacy.c.source_file == source_file, _legacy.c.table_name == table_name, _waits]
    attached = after = 0
    while rows := _next(connection, which, after):
        after = rows[-1].id
        by_columns: dict[tuple[str, ...], list[Any]] = {}
        for row in rows:
            by_columns.setdefault(tuple(sorted(row.row)), []).append(row)
        for columns, some in by_columns.items():
            attached += _attach(connection, source_file, SourceTable(table_name, columns), some, zone_name)
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
    return zone(name or otherwise)[1]


def _attach(connection: Connection, source_file: str, source: SourceTable, rows: Sequence[Any], zone_name: str) -> int:
    shape = shape_of(source)
    if shape is None or shape.parts:
        return 0
    stream = _Parked(Translator(source, shape, _zone_of(connection, source_file, zone_name)), rows)
    (main,) = stage(connection, shape, stream, lambda table: table)
    loader = loader_of(connection)
    loader.load(connection, {shape.target: main.staging}, stream.block)
    loader.settle(connection, main.target, main.staging)
    judge(connection, main, [], Base.metadata.tables, parked_numbers(source_file))
    merge.write(connection, main, [])
    prove_staged(connection, main, [], stream.digests)
    settled = merge.is_any(main.staging, *merge.CARRIED, *merge.MERGED)
    there = _legacy.c.id.in_(sa.select(main.staging.c.source_key).where(settled))
    found = 0
    for row in rows:  # a value in a column that has no place stays where it is
        surplus = [name for name in shape.unknown if row.row[name] is not None]
        if surplus:
            noted = sa.update(_legacy).where(_legacy.c.id == row.id, there).values(reason=without_a_place(surplus))
            found += connection.execute(noted).rowcount
    found += connection.execute(sa.delete(_legacy).where(there, _waits)).rowcount
    loader.after(connection, main.target, 0)
    main.staging.drop(connection)
    return found


class _Parked:
    """What `Stream` is for a file: columns, one block of rows, and their checksum. A row's number is its id here."""

    def __init__(self, translate: Translator, rows: Sequence[Any]) -> None:
        self.columns = translate.columns
        (table,) = self.columns
        translated = Translated()
        for row in rows:
            values = [from_json(row.row[name]) for name in translate.source.columns]
            try:
                ((made,),) = translate(values).values()
            except Refused:
                continue  # the rules have become stricter since: it stays where it is, whole
            translated.keys.append(row.id)
            translated.values.append(made)
            translated.lines.append(copy_line(made, self.columns[table]))
        self.block = Block(len(rows), {table: translated})
        self.digests = {table: Digest()}
        self.digests[table].add(translated.lines)
