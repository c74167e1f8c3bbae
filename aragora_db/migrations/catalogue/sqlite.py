"""SQLite's side: parse the DDL in ``sqlite_master``, and the same of the models built in an empty in-memory database.

A constraint means the same whether it stands at its column or at the end of the table: all are written in the table's
form. What is SQLite's default (NO ACTION, VIRTUAL, NULL) is left out. The grammar is that of
https://www.sqlite.org/lang_createtable.html.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import sqlalchemy as sa

from aragora_db.errors import MigrationError
from aragora_db.migrations.catalogue.entries import Entries, Entry, Kind, gather
from aragora_db.migrations.catalogue.tokens import Cursor, Token, bare, closing, fold, join, plain, tokenize

__all__ = ["read_entries", "table_entries"]

# SQLite keeps no text for the indexes it makes itself, and writes every stored one as CREATE [UNIQUE] INDEX name ...
_CATALOGUE = sa.text(
    "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE type IN ('table', 'index') AND sql <> ''"
)


def read_entries(connection: sa.Connection, metadata: sa.MetaData, tables: Collection[str]) -> tuple[Entries, Entries]:
    """What the models build in an empty in-memory database, and what this database holds."""
    scratch = sa.create_engine("sqlite://")
    try:
        with scratch.connect() as fresh:
            metadata.create_all(fresh, checkfirst=False)
            expected = _read(fresh, tables)
    finally:
        scratch.dispose()
    if connection.in_transaction():
        return expected, _read(connection, tables)
    with connection.begin():
        return expected, _read(connection, tables)


def _read(connection: sa.Connection, tables: Collection[str]) -> Entries:
    return gather(_entries(connection, {fold(table) for table in tables}))


def _entries(connection: sa.Connection, tables: Collection[str]) -> Iterator[tuple[Entry, str]]:
    for kind, name, table_name, sql in connection.execute(_CATALOGUE):
        table = fold(table_name)
        tokens = list(tokenize(sql))
        if table not in tables or tokens[1].is_word("virtual"):
            continue
        if kind == "table":
            yield from table_entries(table, sql)
        else:
            yield Entry("index", table, fold(name)), join(tokens)


# -- CREATE TABLE ------------------------------------------------------------------------------------------------------

_TABLE_CONSTRAINTS = ("constraint", "primary", "unique", "check", "foreign")


def table_entries(table: str, sql: str) -> Iterator[tuple[Entry, str]]:
    """Every object that a CREATE TABLE statement defines.

    Args:
        table: the table's name, folded.
        sql: the statement as ``sqlite_master`` keeps it.

    Raises:
        MigrationError: when this is not the text of a table.
    """
    tokens = list(tokenize(sql))
    start = next((at for at, token in enumerate(tokens) if token.is_word("(")), len(tokens))
    end = closing(tokens, start)
    if end < 0:
        raise MigrationError(
            f'sqlite_master holds no readable definition of table "{table}": {sql!r}. '
            "Run PRAGMA integrity_check, and restore the file from a backup if it reports damage"
        )
    options = sorted(option.strip() for option in join(tokens[end + 1 :]).split(","))
    yield Entry("table", table, table), " ".join(["table", *options]).strip()
    yield from _items(table, Cursor(tokens[start + 1 : end]))


def _items(table: str, cursor: Cursor) -> Iterator[tuple[Entry, str]]:
    while cursor:
        if cursor.at(*_TABLE_CONSTRAINTS):
            for name, clause in _clauses(cursor, ""):
                yield _entry(table, name, clause), clause.definition
        else:
            yield from _column(table, cursor)
        cursor.take_if(",")


def _column(table: str, cursor: Cursor) -> Iterator[tuple[Entry, str]]:
    column = join(cursor.take())
    declared: list[Token] = []
    while cursor and not cursor.at(",", "constraint", *_CLAUSES):
        declared += cursor.take_term()
    own: list[str] = []
    for name, clause in _clauses(cursor, column):
        if clause.kind == "column":
            own.append(clause.definition)
        else:
            yield _entry(table, name, clause), clause.definition
    yield Entry("column", table, plain(column)), " ".join([join(declared), *sorted(own)]).strip()


def _entry(table: str, name: str, clause: _Clause) -> Entry:
    return Entry(clause.kind, table, plain(clause.name or name) or clause.definition)


def _clauses(cursor: Cursor, column: str) -> Iterator[tuple[str, _Clause]]:
    """The clauses up to the next comma, each with the name that CONSTRAINT gave it."""
    name = ""
    while cursor.at("constraint", *_CLAUSES):
        (keyword,) = cursor.take()
        if keyword.text == "constraint":
            name = join(cursor.take())
            continue
        for clause in _CLAUSES[keyword.text](cursor, column):
            yield name, clause
        name = ""


# -- clauses -----------------------------------------------------------------------------------------------------------


class _Clause(NamedTuple):
    """One clause; ``name`` is what it goes by in SQLite whatever name CONSTRAINT may give it."""

    kind: Kind
    definition: str
    name: str = ""


_TAKEN_FOR_GRANTED = frozenset({"on delete no action", "on update no action", "not deferrable"})

Parser: TypeAlias = Callable[[Cursor, str], Iterator[_Clause]]


def _conflict(cursor: Cursor) -> str:
    return " " + join(cursor.take(3)) if cursor.at("on") else ""


def _primary(cursor: Cursor, column: str) -> Iterator[_Clause]:
    cursor.take_if("key")
    order = cursor.take_if("asc", "desc")
    group = cursor.take_group()
    columns = [token for token in group if not token.is_word("autoincrement")]
    conflict = _conflict(cursor)
    key = join(columns) if columns else f"({' '.join([column, *(token.text for token in order)])})"
    # Its name has no use, and SQLAlchemy cannot give one to a key with AUTOINCREMENT.
    yield _Clause("constraint", f"primary key {key}{conflict}", "primary key")
    if cursor.take_if("autoincrement") or len(columns) < len(group):
        yield _Clause("identity", "autoincrement", column or columns[1].text)


def _unique(cursor: Cursor, column: str) -> Iterator[_Clause]:
    yield _Clause("constraint", f"unique {join(cursor.take_group()) or f'({column})'}{_conflict(cursor)}")


def _check(cursor: Cursor, _column: str) -> Iterator[_Clause]:
    expression = join(bare(cursor.take_group()))
    yield _Clause("constraint", f"check ({expression}){_conflict(cursor)}")


def _foreign(cursor: Cursor, _column: str) -> Iterator[_Clause]:
    cursor.take_if("key")
    columns = join(cursor.take_group())
    cursor.take_if("references")
    yield _target(cursor, columns)


def _references(cursor: Cursor, column: str) -> Iterator[_Clause]:
    yield _target(cursor, f"({column})")


def _target(cursor: Cursor, columns: str) -> _Clause:
    parts = [join([*cursor.take(), *cursor.take_group()])]
    actions: list[str] = []
    while cursor.at("on", "match", "not", "deferrable"):
        if cursor.at("match"):
            cursor.take(2)  # SQLite parses it and does nothing with it
        elif cursor.at("on"):
            event = cursor.take(2)
            actions.append(join([*event, *cursor.take(2 if cursor.at("set", "no") else 1)]))
        else:
            deferral = cursor.take(2 if cursor.at("not") else 1)
            if cursor.at("initially"):
                deferral += cursor.take(2)
            actions.append(join(deferral))
    parts += sorted(action for action in actions if action not in _TAKEN_FOR_GRANTED)
    return _Clause("constraint", f"foreign key {columns} references {' '.join(parts)}")


def _not(cursor: Cursor, column: str) -> Iterator[_Clause]:
    cursor.take_if("null")
    yield _Clause("column", f"not null{_conflict(cursor)}", column)


def _null(cursor: Cursor, _column: str) -> Iterator[_Clause]:
    _conflict(cursor)
    yield from ()


def _default(cursor: Cursor, column: str) -> Iterator[_Clause]:
    sign = cursor.take_if("-", "+")
    yield _Clause("column", f"default {join(bare([*sign, *cursor.take_term()]))}", column)


def _collate(cursor: Cursor, column: str) -> Iterator[_Clause]:
    yield _Clause("column", f"collate {join(cursor.take())}", column)


def _generated(cursor: Cursor, column: str) -> Iterator[_Clause]:
    cursor.take_if("always")
    cursor.take_if("as")
    yield from _as(cursor, column)


def _as(cursor: Cursor, column: str) -> Iterator[_Clause]:
    expression = join(bare(cursor.take_group()))
    storage = join(cursor.take_if("stored", "virtual")) or "virtual"
    yield _Clause("column", f"as ({expression}) {storage}", column)


_CLAUSES: Mapping[str, Parser] = MappingProxyType(
    {
        "primary": _primary,
        "unique": _unique,
        "check": _check,
        "foreign": _foreign,
        "references": _references,
        "not": _not,
        "null": _null,
        "default": _default,
        "collate": _collate,
        "generated": _generated,
        "as": _as,
    }
)
"""The parser of each clause, by the keyword it begins with. The cursor stands behind that keyword."""
