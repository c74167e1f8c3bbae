"""COPY straight into empty tables of PostgreSQL: indexes, keys and foreign keys are built when the rows are there.

With live indexes a million matches took four times as long as COPY alone, building them afterwards twice as long
(docs/decisions/0019). Everything happens in the caller's transaction: until it commits, others wait for the table, and
if it does not, nothing has happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from aragora_db.transfer.rows.stream import Block
from aragora_db.transfer.target.loaders import copy_into

__all__ = ["DroppedIndexes", "are_empty", "copy_block", "drop_indexes", "may_drop_indexes"]

_CONSTRAINTS = sa.text("""
    SELECT c.conrelid::regclass::text AS owner, c.conname, pg_get_constraintdef(c.oid) AS definition, c.contype
    FROM pg_constraint c
    WHERE (c.conrelid = to_regclass(:name) AND c.contype IN ('p', 'u', 'f'))
       OR (c.confrelid = to_regclass(:name) AND c.contype = 'f')
    ORDER BY c.conrelid::regclass::text, c.conname
""")

_INDEXES = sa.text("""
    SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS definition
    FROM pg_index i
    WHERE i.indrelid = to_regclass(:name) AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid)
    ORDER BY 1
""")

_OWNED = sa.text("SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass(:name)")

_DEPENDENT_OBJECTS = "2BP01"  # dependent_objects_still_exist
_WORK_MEMORY = "SET LOCAL maintenance_work_mem = '256MB'"  # 64 MB sorts a million rows in several passes


def are_empty(connection: Connection, tables: Iterable[sa.Table]) -> bool:
    """Whether none of the tables has a row."""
    return not any(connection.scalar(sa.select(sa.exists(sa.select(table)))) for table in tables)


def may_drop_indexes(connection: Connection, tables: Iterable[sa.Table]) -> bool:
    """Whether the tables are empty and this role owns them, so that it may drop their indexes."""
    tables = list(tables)
    names = [connection.dialect.identifier_preparer.format_table(table) for table in tables]
    return all(connection.scalar(_OWNED, {"name": name}) for name in names) and are_empty(connection, tables)


@dataclass(frozen=True)
class DroppedIndexes:
    """The statements that build the dropped keys, indexes and foreign keys again."""

    keys: tuple[str, ...]
    indexes: tuple[str, ...]
    foreign_keys: tuple[str, ...]

    def rebuild(self, connection: Connection) -> None:
        """Build the keys, indexes and foreign keys again.

        Raises:
            UniqueViolation, ForeignKeyViolation: the rows do not fit; roll back to before `drop_indexes`.
        """
        connection.exec_driver_sql(_WORK_MEMORY)
        for statement in (*self.keys, *self.indexes, *self.foreign_keys):
            connection.exec_driver_sql(statement.replace("%", "%%"))


def drop_indexes(connection: Connection, tables: Sequence[sa.Table]) -> DroppedIndexes | None:
    """Lock empty tables exclusively and drop their indexes, keys and foreign keys.

    Returns:
        None, with nothing dropped, if they are not empty because another session wrote before the lock was granted, or
        if another object depends on a key, such as a view that groups by it.
    """
    savepoint = connection.begin_nested()
    try:
        dropped = _drop_indexes(connection, tables)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _DEPENDENT_OBJECTS:
            raise
        dropped = None
    if dropped is None:
        savepoint.rollback()
    else:
        savepoint.commit()
    return dropped


def _drop_indexes(connection: Connection, tables: Sequence[sa.Table]) -> DroppedIndexes | None:
    keys: dict[str, str] = {}
    foreign_keys: dict[str, str] = {}
    indexes: list[str] = []
    names = [connection.dialect.identifier_preparer.format_table(table) for table in tables]
    connection.exec_driver_sql(f"LOCK TABLE {', '.join(names)} IN ACCESS EXCLUSIVE MODE")
    if not are_empty(connection, tables):
        return None
    constraints = [row for name in names for row in connection.execute(_CONSTRAINTS, {"name": name})]
    # Foreign keys first: they hold on to the keys that they refer to.
    for owner, name, definition, kind in sorted(constraints, key=lambda row: row.contype != "f"):
        quoted = connection.dialect.identifier_preparer.quote(name)
        built = keys if kind != "f" else foreign_keys
        if f"{owner}.{name}" not in built:
            built[f"{owner}.{name}"] = f"ALTER TABLE {owner} ADD CONSTRAINT {quoted} {definition}"
            connection.exec_driver_sql(f"ALTER TABLE {owner} DROP CONSTRAINT {quoted}")
    for table in names:
        for name, definition in connection.execute(_INDEXES, {"name": table}).all():
            indexes.append(definition)
            connection.exec_driver_sql(f"DROP INDEX {name}")
    return DroppedIndexes(tuple(keys.values()), tuple(indexes), tuple(foreign_keys.values()))


def copy_block(connection: Connection, tables: Sequence[sa.Table], columns: dict[str, list[str]], block: Block) -> None:
    """Copy a block's rows into their tables.

    Raises:
        DatabaseError: the server refused a row, or was lost.
    """
    for table in tables:
        lines = block.rows[table.name].lines
        if lines:
            copy_into(connection, table, columns[table.name], b"\n".join(lines) + b"\n")
