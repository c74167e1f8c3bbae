"""Bulk loading and reading back, in a form for each dialect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy import Connection

from aragora_db.engine.translate import translated_driver_errors
from aragora_db.models import Base
from aragora_db.transfer.rows.copy_format import copy_line
from aragora_db.transfer.rows.stream import Block
from aragora_db.types.vector import Vector

__all__ = ["Loader", "copy_into", "loader_of", "quoted_names", "staging_table"]

_PARTITION = 2_000  # rows


def staging_table(target: sa.Table, columns: Sequence[sa.Column[Any]]) -> sa.Table:
    """A temporary table for rows of `target`.

    Beside `columns` it has the number of the source row, the decision on the row
    (`aragora_db.transfer.target.merge`) and, where that differs from its own, the id that the row has in the
    target.
    """
    return sa.Table(
        f"moving_{target.name}",
        sa.MetaData(),
        sa.Column("source_key", sa.BigInteger()),
        sa.Column("decision", sa.Text()),
        sa.Column("target_id", sa.BigInteger()),
        *(sa.Column(column.name, column.type) for column in columns),
        # PostgreSQL hashes; SQLite looks parts' rows up by an index of the target that half of its rows may share.
        sa.Index(f"moving_{target.name}_source_key", "source_key").ddl_if(dialect="sqlite"),
        prefixes=["TEMPORARY"],
    )


class Loader(Protocol):
    """Loads rows and reads them back on one dialect.

    Attributes:
        takes_values: whether a `Stream` has to give rows as values.
        supports_copy: whether rows can be loaded by COPY (`aragora_db.transfer.target.bulk_load`).
        max_connections: how many connections may write at the same time.
    """

    takes_values: bool
    supports_copy: bool
    max_connections: int

    def load(self, connection: Connection, tables: Mapping[str, sa.Table], block: Block) -> None:
        """Write rows into staging tables, by the name of the table that they are for."""
        ...

    def copy_lines(self, connection: Connection, select: Any) -> Iterator[list[bytes]]:
        """Yield the rows of a SELECT in COPY's format, without newlines, in lists."""
        ...

    def lock_and_analyze(self, connection: Connection, table: sa.Table, staging: sa.Table) -> None:
        """Lock a table against other writers until the transaction ends, and run ANALYZE on the staged rows."""
        ...

    def finish_load(self, connection: Connection, table: sa.Table, sequence: int) -> None:
        """Advance the table's sequence past `sequence` and its highest id, and run ANALYZE."""
        ...

    def last_id(self, connection: Connection, table: sa.Table) -> int:
        """Return the highest id that the table's sequence has assigned; 0 without a sequence."""
        ...

    def insert_rows(self, connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows with equal keys into a table of ours, past the ORM."""
        ...

    def foreign_keys_hold(self, connection: Connection) -> bool:
        """Whether every foreign key of the database is in force, and no row is without its parent."""
        ...


class _PostgreSQL:
    takes_values = False
    supports_copy = True
    max_connections = 64

    def load(self, connection: Connection, tables: Mapping[str, sa.Table], block: Block) -> None:
        for name, rows in block.rows.items():
            if rows.lines:
                table = tables[name]
                columns = ["source_key", *(each.name for each in table.columns if each.name not in _STAGING_COLUMNS)]
                keyed = b"\n".join(b"%d\t%b" % pair for pair in zip(rows.keys, rows.lines, strict=True))
                copy_into(connection, table, columns, keyed + b"\n")

    def copy_lines(self, connection: Connection, select: Any) -> Iterator[list[bytes]]:
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

    def lock_and_analyze(self, connection: Connection, table: sa.Table, staging: sa.Table) -> None:
        name = connection.dialect.identifier_preparer.format_table(table)
        connection.exec_driver_sql(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")
        connection.exec_driver_sql(f"ANALYZE {connection.dialect.identifier_preparer.format_table(staging)}")

    def finish_load(self, connection: Connection, table: sa.Table, sequence: int) -> None:
        name = connection.dialect.identifier_preparer.format_table(table)
        column = _serial(table)
        if column is not None:
            highest = connection.scalar(sa.select(sa.func.max(column))) or 0
            if max(highest, sequence) > 0:
                connection.execute(
                    _ADVANCE_SEQUENCE, {"table": name, "column": column.name, "past": max(highest, sequence)}
                )
        connection.exec_driver_sql(f"ANALYZE {name}")

    def last_id(self, connection: Connection, table: sa.Table) -> int:
        column = _serial(table)
        if column is None:
            return 0
        name = connection.dialect.identifier_preparer.format_table(table)
        return connection.scalar(_LAST_ID, {"table": name, "column": column.name}) or 0

    def insert_rows(self, connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
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
    supports_copy = False
    max_connections = 1

    def load(self, connection: Connection, tables: Mapping[str, sa.Table], block: Block) -> None:
        for name, rows in block.rows.items():
            if rows.values:
                table = tables[name]
                names = ["source_key", *(each.name for each in table.columns if each.name not in _STAGING_COLUMNS)]
                keyed = [
                    dict(zip(names, (key, *values), strict=True))
                    for key, values in zip(rows.keys, rows.values, strict=True)
                ]
                connection.execute(sa.insert(table), keyed)

    def copy_lines(self, connection: Connection, select: Any) -> Iterator[list[bytes]]:
        columns = list(select.selected_columns)
        for some in connection.execution_options(yield_per=_PARTITION).execute(select).partitions(_PARTITION):
            yield [copy_line(row, columns) for row in some]

    def lock_and_analyze(self, connection: Connection, table: sa.Table, staging: sa.Table) -> None:
        """BEGIN IMMEDIATE keeps everybody else out already."""

    def finish_load(self, connection: Connection, table: sa.Table, sequence: int) -> None:
        if _serial(table) is not None and sequence > 0:
            for statement in _ADVANCE_SQLITE_SEQUENCE:
                connection.execute(statement, {"name": table.name, "past": sequence})

    def last_id(self, connection: Connection, table: sa.Table) -> int:
        return 0 if _serial(table) is None else connection.scalar(_LAST_SQLITE_ID, {"name": table.name}) or 0

    def insert_rows(self, connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        connection.execute(sa.insert(table), list(rows))

    def foreign_keys_hold(self, connection: Connection) -> bool:
        return connection.exec_driver_sql("PRAGMA foreign_key_check").first() is None


_STAGING_COLUMNS = frozenset({"source_key", "decision", "target_id"})
_DOUBLES: Any = sa.ARRAY(sa.Double[Any]())
_ADVANCE_SEQUENCE = sa.text("""
    SELECT setval(pg_get_serial_sequence(:table, :column), :past)
    WHERE :past < 9223372036854775807
      AND :past > coalesce(pg_sequence_last_value(pg_get_serial_sequence(:table, :column)::regclass), 0)
""").bindparams(sa.bindparam("past", type_=sa.BigInteger))
_VALIDATED = sa.text("SELECT conname::text FROM pg_constraint WHERE contype = 'f' AND convalidated")
_LAST_ID = sa.text("SELECT pg_sequence_last_value(pg_get_serial_sequence(:table, :column)::regclass)")
_LAST_SQLITE_ID = sa.text("SELECT seq FROM sqlite_sequence WHERE name = :name")
_ADVANCE_SQLITE_SEQUENCE = (
    sa.text("UPDATE sqlite_sequence SET seq = :past WHERE name = :name AND seq < :past"),
    # There is no row before the table's first one, and no key for ON CONFLICT.
    sa.text(
        "INSERT INTO sqlite_sequence (name, seq) SELECT :name, :past"
        " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = :name)"
    ),
)
_LOADERS: dict[str, Loader] = {"postgresql": _PostgreSQL(), "sqlite": _SQLite()}


def loader_of(connection: Connection) -> Loader:
    """Return the loader of this connection's dialect."""
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
    """Return the identifiers, quoted where they must be, separated by commas."""
    return ", ".join(map(connection.dialect.identifier_preparer.quote, names))


def _serial(table: sa.Table) -> sa.Column[Any] | None:
    return next((each for each in table.columns if each.identity is not None), None)


def _cursor(connection: Connection) -> Any:
    driver: Any = connection.connection.driver_connection
    return driver.cursor()
