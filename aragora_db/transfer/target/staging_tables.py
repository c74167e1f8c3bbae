"""Create the staging tables of a source table, and name the reasons why staged rows are parked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy import Connection

from aragora_db.models import Base, LegacyRow
from aragora_db.transfer.source.shapes import Shape
from aragora_db.transfer.target import merge
from aragora_db.transfer.target.loaders import staging_table
from aragora_db.transfer.target.merge import RowSources, StagedTable

__all__ = ["REASONS", "VisibleTables", "parked_numbers", "parked_rows", "stage"]

_SLICE = 5_000  # decisions read at once


class HasColumns(Protocol):
    """What knows which columns its rows have, by table: a `Stream`."""

    columns: dict[str, tuple[sa.Column[Any], ...]]


def stage(
    connection: Connection, shape: Shape, stream: HasColumns, existing: Callable[[sa.Table], sa.FromClause]
) -> list[StagedTable]:
    """Make staging tables for a shape: the main one, then those of its parts."""
    found: list[StagedTable] = []
    for name, columns in stream.columns.items():
        target = Base.metadata.tables[name]
        staging = staging_table(target, columns)
        staging.create(connection)
        parent = None if name == shape.target else _parent(target, shape.target)
        names = tuple(column.name for column in columns)
        keeps = not shape.parts and _is_referred_to_by_number(target)
        found.append(StagedTable(target, staging, names, existing(target), parent, keeps))
    return found


def parked_rows(connection: Connection, staging: sa.Table) -> Iterator[tuple[int, str]]:
    """Yield the numbers of source rows to park, with their decisions."""
    which = (
        sa.select(staging.c.source_key, staging.c.decision)
        .where(staging.c.decision.in_(merge.PARKED))
        .order_by(staging.c.source_key)
        .limit(_SLICE)
    )
    rows = connection.execute(which).all()
    while rows:
        yield from ((number, decision) for number, decision in rows)
        rows = connection.execute(which.where(staging.c.source_key > rows[-1][0])).all()


def _orphan_reason(target: sa.Table) -> str:
    """Why a row waits in ``legacy_rows`` for its parent."""
    parents = sorted({f"{key.parent.name} -> {key.column.table.name}" for key in target.foreign_keys})
    return f"orphan: the row that it belongs to is not there ({', '.join(parents)})"


def _conflict_reason(_target: sa.Table) -> str:
    return "conflict: another row has its key, and nothing says which of them is right"


REASONS: Mapping[str, Callable[[sa.Table], str]] = {"orphan": _orphan_reason, "conflict": _conflict_reason}


def _parent(part: sa.Table, main: str) -> str:
    return next(key.parent.name for key in part.foreign_keys if key.column.table.name == main)


def _is_referred_to_by_number(table: sa.Table) -> bool:
    return any(
        key.column.table is table and key.column.identity is not None
        for other in Base.metadata.tables.values()
        for key in other.foreign_keys
    )


class VisibleTables(RowSources):
    """The rows of any table that are visible to the import, by the table's name."""

    def __init__(self, existing: Callable[[sa.Table], sa.FromClause]) -> None:
        self._existing = existing

    def __getitem__(self, name: str) -> sa.FromClause:
        return self._existing(Base.metadata.tables[name])

    def __iter__(self) -> Iterator[str]:
        return iter(Base.metadata.tables)

    def __len__(self) -> int:
        return len(Base.metadata.tables)


def parked_numbers(source_file: str) -> Callable[[str], Any]:
    """The numbers of a file's rows that were parked, by their table, as SQL."""

    def parked(table: str) -> Any:
        return sa.select(LegacyRow.row_key).where(LegacyRow.source_file == source_file, LegacyRow.table_name == table)

    return parked
