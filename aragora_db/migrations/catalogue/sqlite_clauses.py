"""The clauses that follow a column or a table in SQLite's CREATE TABLE, each brought to one canonical form.

A constraint means the same whether it stands at its column or at the end of the table: all are written in the
table's form. What SQLite takes for granted (NO ACTION, VIRTUAL, NULL) is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from aragora_db.migrations.catalogue.cursor import Cursor, bare
from aragora_db.migrations.catalogue.snapshot import Kind
from aragora_db.migrations.catalogue.tokens import join

__all__ = ["CLAUSES", "Clause"]


class Clause(NamedTuple):
    """One clause; ``name`` is what it goes by in SQLite whatever name CONSTRAINT may give it."""

    kind: Kind
    definition: str
    name: str = ""


_TAKEN_FOR_GRANTED = frozenset({"on delete no action", "on update no action", "not deferrable"})

Parser: TypeAlias = Callable[[Cursor, str], Iterator[Clause]]


def _conflict(cursor: Cursor) -> str:
    return " " + join(cursor.take(3)) if cursor.at("on") else ""


def _primary(cursor: Cursor, column: str) -> Iterator[Clause]:
    cursor.take_if("key")
    order = cursor.take_if("asc", "desc")
    group = cursor.take_group()
    columns = [token for token in group if not token.is_word("autoincrement")]
    conflict = _conflict(cursor)
    key = join(columns) if columns else f"({' '.join([column, *(token.text for token in order)])})"
    # Its name has no use, and SQLAlchemy cannot give one to a key with AUTOINCREMENT.
    yield Clause("constraint", f"primary key {key}{conflict}", "primary key")
    if cursor.take_if("autoincrement") or len(columns) < len(group):
        yield Clause("identity", "autoincrement", column or columns[1].text)


def _unique(cursor: Cursor, column: str) -> Iterator[Clause]:
    yield Clause("constraint", f"unique {join(cursor.take_group()) or f'({column})'}{_conflict(cursor)}")


def _check(cursor: Cursor, _column: str) -> Iterator[Clause]:
    expression = join(bare(cursor.take_group()))
    yield Clause("constraint", f"check ({expression}){_conflict(cursor)}")


def _foreign(cursor: Cursor, _column: str) -> Iterator[Clause]:
    cursor.take_if("key")
    columns = join(cursor.take_group())
    cursor.take_if("references")
    yield _target(cursor, columns)


def _references(cursor: Cursor, column: str) -> Iterator[Clause]:
    yield _target(cursor, f"({column})")


def _target(cursor: Cursor, columns: str) -> Clause:
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
    return Clause("constraint", f"foreign key {columns} references {' '.join(parts)}")


def _not(cursor: Cursor, column: str) -> Iterator[Clause]:
    cursor.take_if("null")
    yield Clause("column", f"not null{_conflict(cursor)}", column)


def _null(cursor: Cursor, _column: str) -> Iterator[Clause]:
    _conflict(cursor)
    yield from ()


def _default(cursor: Cursor, column: str) -> Iterator[Clause]:
    sign = cursor.take_if("-", "+")
    yield Clause("column", f"default {join(bare([*sign, *cursor.take_term()]))}", column)


def _collate(cursor: Cursor, column: str) -> Iterator[Clause]:
    yield Clause("column", f"collate {join(cursor.take())}", column)


def _generated(cursor: Cursor, column: str) -> Iterator[Clause]:
    cursor.take_if("always")
    cursor.take_if("as")
    yield from _as(cursor, column)


def _as(cursor: Cursor, column: str) -> Iterator[Clause]:
    expression = join(bare(cursor.take_group()))
    storage = join(cursor.take_if("stored", "virtual")) or "virtual"
    yield Clause("column", f"as ({expression}) {storage}", column)


CLAUSES: Mapping[str, Parser] = MappingProxyType(
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
