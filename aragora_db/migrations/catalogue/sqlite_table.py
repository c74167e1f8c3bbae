"""Takes a CREATE TABLE of SQLite apart, following https://www.sqlite.org/lang_createtable.html."""

from __future__ import annotations

from collections.abc import Iterator

from aragora_db.errors import MigrationError
from aragora_db.migrations.catalogue.cursor import Cursor, closing
from aragora_db.migrations.catalogue.snapshot import Entry
from aragora_db.migrations.catalogue.sqlite_clauses import CLAUSES, Clause
from aragora_db.migrations.catalogue.tokens import Token, join, plain, tokenize

__all__ = ["table_entries"]

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
    while cursor and not cursor.at(",", "constraint", *CLAUSES):
        declared += cursor.take_term()
    own: list[str] = []
    for name, clause in _clauses(cursor, column):
        if clause.kind == "column":
            own.append(clause.definition)
        else:
            yield _entry(table, name, clause), clause.definition
    yield Entry("column", table, plain(column)), " ".join([join(declared), *sorted(own)]).strip()


def _entry(table: str, name: str, clause: Clause) -> Entry:
    return Entry(clause.kind, table, plain(clause.name or name) or clause.definition)


def _clauses(cursor: Cursor, column: str) -> Iterator[tuple[str, Clause]]:
    """The clauses up to the next comma, each with the name that CONSTRAINT gave it."""
    name = ""
    while cursor.at("constraint", *CLAUSES):
        (keyword,) = cursor.take()
        if keyword.text == "constraint":
            name = join(cursor.take())
            continue
        for clause in CLAUSES[keyword.text](cursor, column):
            yield name, clause
        name = ""
