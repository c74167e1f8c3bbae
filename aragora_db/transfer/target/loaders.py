"""Rows on their way: temporary tables beside ours, filled in bulk, and what each dialect needs for that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy import Connection

from aragora_db.engine.translate import translated_driver_errors
from aragora_db.models import Base
from aragora_db.transfer.rows.converters import copy_line
from aragora_db.transfer.rows.stream import Block
from aragora_db.types.vector import Vector

__all__ = ["Loader", "copy_into", "loader_of", "quoted_names", "staging_table"]

_PARTITION = 2_000  # rows


def staging_table(target: sa.Table, columns: Sequence[sa.Column[Any]]) -> sa.Table:
    """A temporary table for rows of `target`.

    Beside `columns` it has the number of the source row, the verdict on the row
    (`aragora_db.transfer.target.merge_policy`) and, where that differs from its own, the id that the row has in the
    target.
    """
    return sa.Table(
        f"moving_{target.name}",
        sa.MetaData(),
        sa.Column("source_key", sa.BigInteger()),
        sa.Column("verdict", sa.Text()),
        sa.Column("target_id", sa.BigInteger()),
        *(sa.Column(column.name, column.type) for column in columns),
        # PostgreSQL hashes; SQLite looks parts' rows up by an index of the target that half of its rows may share.
        sa.Index(f"moving_{target.name}_source_key", "source_key").ddl_if(dialect="sqlite"),
        prefixes=["TEMPORARY"],
    )


class Loader(Protocol):
    """What loading and reading back take on one dialect.

    Attributes:
        takes_values: whether a `Stream` has to give rows as values.
        copies: whether rows can be copied straight into a table (`aragora_db.transfer.target.bulk_load`).
        connections: how many may write at the same time.
    """

    takes_values: bool
    copies: bool
    connections: int

    def load(self, connection: Connection, tables: Mapping[str, sa.Table], block: Block) -> None:
        """Write rows into staging tables, by the name of the table that they are for."""
        ...

    def lines(self, connection: Connection, select: Any) -> Iterator[list[bytes]]:
        """The rows of a SELECT as COPY prints them, without newlines, some at a time."""
        ...

    def settle(self, connection: Connection, table: sa.Table, staging: sa.Table) -> None:
        """Keep others from writing to a table until the transaction ends; tell the planner about the staged rows."""
        ...

    def after(self, connection: Connection, table: sa.Table, sequence: int) -> None:
        """Move the table's sequence past `sequence` and its highest number, and tell the planner about its rows."""
        ...

    def sequence(self, connection: Connection, table: sa.Table) -> int:
        """The highest number that the table's sequence gave out; 0 without one."""
        ...

    def fill(self, connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows of one kind into a table of ours, past the ORM."""
        ...

    def foreign_keys_hold(self, connection: Connection) -> bool:
        """Whether every foreign key of the database is in force, and no row is without its parent."""
        ...


class _PostgreSQL:
    takes_values = False
    copies = True
    connections = 64

    def load(self, connection: Connection, tables: Mapping[str, sa.Table], block: Block) -> None:
        for name, rows in block.rows.items():
            if rows.lines:
                table = tables[name]
                columns = ["source_key", *(each.name for each in table.columns if each.name not in _OURS)]
                keyed = b"\n".join(b"%d\t%b" % pair for pair in zip(rows.keys, rows.lines, strict=True))
                copy_into(connection, table, columns, keyed + b"\n")

    def lines(self, connection: Connection, select: Any) -> Iterator[list[bytes]]:
        # A vector's float32 as doubles: then one rule says how numbers are printed.
        selected: Any = select.with_only_columns(
            *(sa.cast(each, _DOUBLES) if isinstance(each.type, Vector) else each for each in select.selected_columns)
        )
        statement = str(selected.compile(connection, compile_kwargs={"literal_binds": True})).replace("%%", "%")
        with translated_driver_errors(), _cursor(connection) as cursor:
            cursor.execute("SET LOCAL TimeZone = 'UTC'")
            with cursor.copy(f"COPY ({statement}) TO STDOUT") as copy:
                rest = b""
                for block in copy:
                    *lines, rest = (rest + bytes(block)).split(b"\n")
                    yield lines

    def settle(self, connection: Connection, table: sa.Table, staging: sa.Table) -> None:
        name = connection.dialect.identifier_preparer.format_table(table)
        connection.exec_driver_sql(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")
        connection.exec_driver_sql(f"ANALYZE {connection.dialect.identifier_preparer.format_table(staging)}")

    def after(self, connection: Connection, table: sa.Table, sequence: int) -> None:
        name = connection.dialect.identifier_preparer.format_table(table)
        column = _serial(table)
        if column is not None:
            highest = connection.scalar(sa.select(sa.func.max(column))) or 0
            if max(highest, sequence) > 0:
                connection.execute(_PAST, {"table": name, "column": column.name, "past": max(highest, sequence)})
        connection.exec_driver_sql(f"ANALYZE {name}")

    def sequence(self, connection: Connection, table: sa.Table) -> int:
        column = _serial(table)
        if column is None:
            return 0
        name = connection.dialect.identifier_preparer.format_table(table)
        return connection.scalar(_LAST, {"table": name, "column": column.name}) or 0

    def fill(self, connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        columns = [table.c[name] for name in rows[0]]
        lines = (copy_line([row[column.name] for column in columns], columns) for row in rows)
        copy_into(connection, table, list(rows[0]), b"\n".join(lines) + b"\n")

    def foreign_keys_hold(self, connection: Connection) -> bool:
        # A validated foreign key was checked against every row, and every change since.
        there = set(connection.scalars(_VALIDATED))
        ours = {key.name for table in Base.metadata.tables.values() for key in table.foreign_key_constraints}
        return ours <= there


class _SQLite:
    takes_values = True
    copies = False
    connections = 1

    def load(self, connection: Connection, tables: Mapping[str, sa.Table], block: Block) -> None:
        for name, rows in block.rows.items():
            if rows.values:
                table = tables[name]
                names = ["source_key", *(each.name for each in table.columns if each.name not in _OURS)]
                keyed = [
                    dict(zip(names, (key, *values), strict=True))
                    for key, values in zip(rows.keys, rows.values, strict=True)
                ]
                connection.execute(sa.insert(table), keyed)

    def lines(self, connection: Connection, select: Any) -> Iterator[list[bytes]]:
        columns = list(select.selected_columns)
        for some in connection.execution_options(yield_per=_PARTITION).execute(select).partitions(_PARTITION):
            yield [copy_line(row, columns) for row in some]

    def settle(self, connection: Connection, table: sa.Table, staging: sa.Table) -> None:
        """BEGIN IMMEDIATE keeps everybody else out already."""

    def after(self, connection: Connection, table: sa.Table, sequence: int) -> None:
        if _serial(table) is not None and sequence > 0:
            for statement in _AT_LEAST:
                connection.execute(statement, {"name": table.name, "past": sequence})

    def sequence(self, connection: Connection, table: sa.Table) -> int:
        return 0 if _serial(table) is None else connection.scalar(_LAST_ROW, {"name": table.name}) or 0

    def fill(self, connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        connection.execute(sa.insert(table), list(rows))

    def foreign_keys_hold(self, connection: Connection) -> bool:
        return connection.exec_driver_sql("PRAGMA foreign_key_check").first() is None


_OURS = frozenset({"source_key", "verdict", "target_id"})
_DOUBLES: Any = sa.ARRAY(sa.Double[Any]())
_PAST = sa.text("""
    SELECT setval(pg_get_serial_sequence(:table, :column), :past)
    WHERE :past < 9223372036854775807
      AND :past > coalesce(pg_sequence_last_value(pg_get_serial_sequence(:table, :column)::regclass), 0)
""").bindparams(sa.bindparam("past", type_=sa.BigInteger))
_VALIDATED = sa.text("SELECT conname::text FROM pg_constraint WHERE contype = 'f' AND convalidated")
_LAST = sa.text("SELECT pg_sequence_last_value(pg_get_serial_sequence(:table, :column)::regclass)")
_LAST_ROW = sa.text("SELECT seq FROM sqlite_sequence WHERE name = :name")
_AT_LEAST = (
    sa.text("UPDATE sqlite_sequence SET seq = :past WHERE name = :name AND seq < :past"),
    # There is no row before the table's first one, and no key for ON CONFLICT.
    sa.text(
        "INSERT INTO sqlite_sequence (name, seq) SELECT :name, :past"
        " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = :name)"
    ),
)
_LOADERS: dict[str, Loader] = {"postgresql": _PostgreSQL(), "sqlite": _SQLite()}


def loader_of(connection: Connection) -> Loader:
    """The form of this connection's dialect."""
    return _LOADERS[connection.dialect.name]


def copy_into(connection: Connection, table: sa.Table, columns: Sequence[str], text: bytes) -> None:
    """Send whole lines of COPY's text.

    Raises:
        DatabaseError: the server refused a row, or was lost.
    """
    statement = f"COPY {quoted_names(connection, [table.name])} ({quoted_names(connection, columns)}) FROM STDIN"
    with translated_driver_errors(), _cursor(connection) as cursor, cursor.copy(statement) as copy:
        copy.write(text)


def quoted_names(connection: Connection, names: Sequence[str]) -> str:
    """Identifiers, quoted where they must be, with commas between."""
    return ", ".join(map(connection.dialect.identifier_preparer.quote, names))


def _serial(table: sa.Table) -> sa.Column[Any] | None:
    return next((each for each in table.columns if each.identity is not None), None)


def _cursor(connection: Connection) -> Any:
    driver: Any = connection.connection.driver_connection
    return driver.cursor()
