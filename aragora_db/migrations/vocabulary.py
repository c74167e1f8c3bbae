"""What revisions say instead of importing models: column types and operations that are right on both dialects.

A revision runs for years after the models have moved on, so a name here never changes its meaning; a new meaning gets
a new name. A test holds the DDL of each against `aragora_db.types` as it is today.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from aragora_db import ddl
from aragora_db.ddl import CheckKind, SQLiteCheck, now
from aragora_db.types import Json

__all__ = [
    "bigint",
    "blob",
    "boolean",
    "create_index_concurrently",
    "double",
    "json",
    "json_string",
    "newest_first",
    "now",
    "sqlite_check",
    "text",
    "utc",
]


def text() -> TypeEngine[str]:
    """TEXT, sorted by code point."""
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def bigint() -> TypeEngine[int]:
    """A whole number of 64 bits."""
    return sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")


def double() -> TypeEngine[Any]:
    """An IEEE 754 double."""
    return sa.Double[Any]().with_variant(sa.REAL(), "sqlite")


def boolean() -> TypeEngine[bool]:
    """A boolean; 0 or 1 on SQLite, where `sqlite_check` keeps it so."""
    return sa.Boolean().with_variant(sa.INTEGER(), "sqlite")


def utc() -> TypeEngine[Any]:
    """An instant; on SQLite text of fixed width, in UTC."""
    return sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")


def json() -> TypeEngine[Any]:
    """A JSON value."""
    return JSONB().with_variant(sa.Text(), "sqlite")


def blob() -> TypeEngine[bytes]:
    """Bytes."""
    return sa.LargeBinary()


def sqlite_check(kind: CheckKind, column: str, *, name: str) -> SQLiteCheck:
    """A CHECK for what PostgreSQL's boolean, jsonb and timestamptz refuse by themselves; only on SQLite."""
    return SQLiteCheck(kind, column, name=name)


def newest_first(column: str) -> ddl.newest_first:
    """A nullable column in an index, descending, NULLs last."""
    return ddl.newest_first(sa.column(column))


def json_string(column: str, key: str) -> sa.ColumnElement[str]:
    """A key of a `json` column as text, for an index."""
    expression: sa.ColumnElement[str] = sa.column(column, Json())[key].as_string()
    return expression


def create_index_concurrently(name: str, table: str, columns: Sequence[str | Any], **options: Any) -> None:
    """CREATE INDEX without blocking writers on PostgreSQL; a plain one on SQLite. Nothing else in the same revision.

    It cannot run in a transaction, so a killed run leaves an index behind, valid or not: the next run drops it first.
    """
    context = op.get_context()
    if context.dialect.name != "postgresql":
        op.create_index(name, table, columns, **options)
        return
    with context.autocommit_block():
        op.drop_index(name, table_name=table, if_exists=True, postgresql_concurrently=True)
        op.create_index(name, table, columns, postgresql_concurrently=True, **options)
