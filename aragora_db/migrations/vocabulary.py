"""What revisions say instead of importing models: column types and operations that are right on both dialects.

A revision runs for years after the models have moved on, so a name here never changes its meaning; a new meaning gets
a new name. A test holds the DDL of each against `aragora_db.types` as it is today.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import TypeEngine

from aragora_db.rules.words import words
from aragora_db.types import Json, ddl
from aragora_db.types.ddl import CheckKind, SQLiteCheck, now

__all__ = [
    "bigint",
    "blob",
    "boolean",
    "create_fts5",
    "create_gin",
    "create_index_concurrently",
    "double",
    "fill_keywords",
    "json",
    "json_string",
    "newest_first",
    "now",
    "sqlite_check",
    "text",
    "utc",
    "vector",
]


_SLICE = 5_000  # rows of a data migration that are in memory at once


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


def vector() -> TypeEngine[Any]:
    """An array of float32; little-endian bytes on SQLite."""
    return ARRAY(sa.REAL[Any]()).with_variant(sa.LargeBinary(), "sqlite")


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


def create_fts5(table: str) -> None:
    """SQLite's full-text index over a table of `id` and `words`; nothing on PostgreSQL, which has an index for it."""
    if op.get_context().dialect.name == "sqlite":
        for statement in ddl.fts5(table):
            op.execute(sa.text(statement))


def create_gin(name: str, table: str) -> None:
    """PostgreSQL's full-text index over the same kind of table; nothing on SQLite. Faster after the table is filled."""
    if op.get_context().dialect.name == "postgresql":
        op.create_index(
            name,
            table,
            [ddl.lexemes(sa.column("words", sa.Text()))],
            postgresql_using="gin",
            postgresql_with=ddl.GIN_OPTIONS,
        )


def fill_keywords(table: str, owner: str, columns: Sequence[str], *, json_columns: Sequence[str] = ()) -> None:
    """Fill a table of `owner_id` and `words` with the words of these columns, in slices of the owner's key.

    Of JSON, the texts in it count. Python decides what a word is, so ``--sql`` leaves this out; `aragora-db reindex`
    does it later.
    """
    if op.get_context().as_sql:
        return
    connection = op.get_bind()
    texts = [*map(sa.column, columns), *(sa.column(name, Json()) for name in json_columns)]
    source = sa.table(owner, sa.column("id"), *texts)
    target = sa.table(table, sa.column("owner_id"), sa.column("words"))
    slice_of_rows = sa.select(source).order_by(source.c.id).limit(_SLICE)
    rows = connection.execute(slice_of_rows).all()
    while rows:
        found = [{"owner_id": row[0], "words": " ".join(words(" ".join(_texts(list(row[1:])))))} for row in rows]
        connection.execute(target.insert(), found)
        rows = connection.execute(slice_of_rows.where(source.c.id > rows[-1][0])).all()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in cast("Any", value).values() if isinstance(value, dict) else cast("Any", value):
            yield from _texts(each)


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
