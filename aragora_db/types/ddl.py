"""Pieces of DDL that mean the same on both dialects: checks, defaults and orders that need a form for each."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from aragora_db.types import UtcDateTime

__all__ = [
    "FULL_TEXT",
    "GIN_OPTIONS",
    "CheckKind",
    "SQLiteCheck",
    "fts5",
    "keyword_index",
    "lexemes",
    "newest_first",
    "now",
]

CheckKind = Literal["boolean", "json", "utc"]

_CONDITIONS: dict[CheckKind, str] = {
    "boolean": "{0} IN (0, 1)",
    "json": "{0} IS NULL OR json_valid({0})",  # json_valid(NULL) is 0 before SQLite 3.45
    # GLOB fixes the form. "+0 days" makes SQLite count the date out, so that a 30th of February or 24:00 comes back as
    # another day; IS, because a month 13 comes back as NULL, which a CHECK would let through. The fraction stays out of
    # that: strftime() would round it to milliseconds. PostgreSQL has no year 0.
    "utc": (
        "{0} GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9]"
        ".[0-9][0-9][0-9][0-9][0-9][0-9]+00:00'"
        " AND {0} >= '0001'"
        " AND strftime('%Y-%m-%d %H:%M:%S', substr({0}, 1, 19), '+0 days') IS substr({0}, 1, 19)"
    ),
}


class SQLiteCheck(sa.CheckConstraint):
    """What PostgreSQL's boolean, jsonb and timestamptz refuse by themselves, for rows not written through our types.

    Not created on PostgreSQL. A class of its own, because a copy of a constraint (Alembic makes many) forgets what
    ``ddl_if`` said.
    """

    inherit_cache = True

    def __init__(self, kind: CheckKind, column: str, *, name: Any) -> None:
        super().__init__(_CONDITIONS[kind].format(column), name=name)
        self.kind: CheckKind = kind
        self.column_name = column
        self.ddl_if(dialect="sqlite")

    def _copy(self, **_: Any) -> SQLiteCheck:
        return SQLiteCheck(self.kind, self.column_name, name=self.name)


class now(FunctionElement[datetime]):  # noqa: N801 -- an SQL function, spelled like one
    """The database's clock, as a column default, in the form `UtcDateTime` stores."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(now)
def _now_postgresql(*_: object, **__: object) -> str:
    return "now()"


@compiles(now, "sqlite")
def _now_sqlite(*_: object, **__: object) -> str:
    # SQLite's clock has milliseconds: the last three digits are always zero.
    return "(strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now'))"


class newest_first(FunctionElement[Any]):  # noqa: N801 -- as now
    """A nullable column in an index, largest first and NULLs last: the order that ``.desc().nulls_last()`` asks for.

    SQLite sorts NULLs last when descending and knows no other order in an index. PostgreSQL sorts them first unless
    told, and an index of the other order does not serve the query.
    """

    inherit_cache = True


@compiles(newest_first)
def _newest_first_postgresql(element: newest_first, compiler: Any, **keywords: Any) -> str:
    return f"{compiler.process(next(iter(element.clauses)), **keywords)} DESC NULLS LAST"


@compiles(newest_first, "sqlite")
def _newest_first_sqlite(element: newest_first, compiler: Any, **keywords: Any) -> str:
    return f"{compiler.process(next(iter(element.clauses)), **keywords)} DESC"


def lexemes(words: sa.ColumnElement[str]) -> sa.ColumnElement[Any]:
    """The tsvector of words separated by spaces: as they are, for no parser of the server's would agree with SQLite."""
    return sa.func.array_to_tsvector(sa.func.string_to_array(words, sa.literal_column("' '")))


GIN_OPTIONS = {"fastupdate": "off"}
"""New words go into the index at once: every search would read those that wait, up to 4 MB of them
(https://www.postgresql.org/docs/current/gin.html#GIN-FAST-UPDATE)."""

FULL_TEXT = "_keywords_fts"
"""In the names of SQLite's full-text indexes and of the tables that FTS5 makes for them."""


def fts5(table: str) -> list[str]:
    """SQLite's full-text index over a table of `id` and `words`, named ``<table>_fts``, and what keeps it in step.

    Splits at spaces only: ASCII letters, digits, the underscore and everything beyond ASCII belong to words. Without
    positions (``detail=none``), which nobody asks for. External content and its triggers are as in
    https://www.sqlite.org/fts5.html#external_content_tables.
    """
    remove = f"INSERT INTO {table}_fts ({table}_fts, rowid, words) VALUES ('delete', old.id, old.words);"
    put = f"INSERT INTO {table}_fts (rowid, words) VALUES (new.id, new.words);"
    return [
        f"""CREATE VIRTUAL TABLE {table}_fts USING fts5(words, content='{table}', content_rowid='id',
            tokenize="ascii tokenchars '_'", detail='none', columnsize=0)""",
        f"CREATE TRIGGER {table}_added AFTER INSERT ON {table} BEGIN {put} END",
        f"CREATE TRIGGER {table}_removed AFTER DELETE ON {table} BEGIN {remove} END",
        f"CREATE TRIGGER {table}_changed AFTER UPDATE ON {table} BEGIN {remove} {put} END",
    ]


def keyword_index(table: sa.Table) -> None:
    """Give a table of `id` and `words` its full-text index: GIN over a tsvector on PostgreSQL, FTS5 on SQLite."""
    name = f"ix_{table.name}_words"
    path = {"path": "keyword search (GIN); an FTS5 table on SQLite"}
    options: dict[str, Any] = {"postgresql_using": "gin", "postgresql_with": GIN_OPTIONS}
    sa.Index(name, lexemes(table.c.words), info=path, **options).ddl_if(dialect="postgresql")
    for statement in fts5(table.name):
        event.listen(table, "after_create", sa.DDL(statement).execute_if(dialect="sqlite"))  # type: ignore[no-untyped-call]
