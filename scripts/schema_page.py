"""``docs/reference/schema.md``: every table, column, constraint and access path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from schema_tables import POSTGRESQL, SQLITE, Domain, default_of, names, spelled, type_on, uniques

from aragora_db.types import EnumText, Text
from aragora_db.types.ddl import SQLiteCheck

HEAD = """\
# Schema

Generated from `aragora_db/models` by `make docs`; do not edit. {count} tables in {domains} domains.

- SQLite tables are `STRICT`. Text sorts by code point on both databases.
- Time is UTC: text that ends in `+00:00` on SQLite, `timestamp with time zone` on PostgreSQL.
- Access paths are the ways in which a table is read, each with the index that serves it. Primary keys and unique
  constraints are access paths too.

![Entity diagram](schema.svg)

| Domain | Tables |
|---|---|
"""

_SQLITE_ONLY = {"boolean": "0 or 1", "json": "valid JSON", "utc": "an instant in UTC"}


def page(found: list[Domain]) -> str:
    """The whole page."""
    head = HEAD.format(count=sum(len(domain.tables) for domain in found), domains=len(found))
    lines = [head.rstrip()]
    anchors = _anchors(found)
    for domain in found:
        links = ", ".join(f"[`{table.name}`](#{anchors[domain.title, table.name]})" for table, _ in domain.tables)
        lines.append(f"| [{domain.title}](#{anchors[domain.title, None]}) | {links} |")
    for domain in found:
        lines += ["", f"## {domain.title}", "", domain.about]
        for table, about in domain.tables:
            lines += ["", f"### {table.name}", "", about, "", *_columns(table), "", *_constraints(table)]
            lines += ["", *_paths(table)]
    return "\n".join(lines) + "\n"


def _anchors(found: list[Domain]) -> dict[tuple[str, str | None], str]:
    """The headings' anchors: where two are the same (a domain and its first table), the later one gets a number."""
    headings = [
        (domain.title, name) for domain in found for name in (None, *(table.name for table, _ in domain.tables))
    ]
    anchors: dict[tuple[str, str | None], str] = {}
    for heading in headings:
        plain = (heading[1] or heading[0]).lower().replace(" ", "-")
        anchors[heading] = f"{plain}-1" if plain in anchors.values() else plain
    return anchors


def _columns(table: sa.Table) -> Iterator[str]:
    yield "| Column | SQLite | PostgreSQL | Null | Default | Meaning |"
    yield "|---|---|---|---|---|---|"
    for column in table.columns:
        default = default_of(column)
        cells = (
            f"`{column.name}`",
            _code(type_on(column, SQLITE)),
            _code(type_on(column, POSTGRESQL)),
            "yes" if column.nullable else "no",
            default if default in {"", "now", "the next number"} else _code(default),
            _meaning(column),
        )
        yield "| " + " | ".join(cells) + " |"


def _meaning(column: sa.Column[Any]) -> str:
    parts = [f"→ `{key.target_fullname}`" for key in column.foreign_keys]
    if isinstance(column.type, EnumText):
        members = ", ".join(f"`{member}`" for member in column.type.enum_class)
        parts.append(f"{(column.type.enum_class.__doc__ or '').strip()} {members}")
    elif isinstance(column.type, Text) and column.type.max_bytes is not None:
        parts.append(f"at most {column.type.max_bytes} bytes")
    return "; ".join(parts)


def _constraints(table: sa.Table) -> Iterator[str]:
    yield "Constraints:"
    yield ""
    yield f"- `{table.primary_key.name}`: primary key ({names(table.primary_key.columns)})"
    for unique in uniques(table):
        yield f"- `{unique.name}`: unique ({names(unique.columns)})"
    for key in sorted(table.foreign_key_constraints, key=lambda each: str(each.name)):
        target = f"{key.referred_table.name} ({names(element.column for element in key.elements)})"
        action = f", ON DELETE {key.ondelete}" if key.ondelete else ""
        yield f"- `{key.name}`: ({names(key.columns)}) → {target}{action}"
    checks = sorted(
        (each for each in table.constraints if isinstance(each, sa.CheckConstraint)), key=lambda each: str(each.name)
    )
    for check in checks:
        if isinstance(check, SQLiteCheck):
            yield f"- `{check.name}`, on SQLite: `{check.column_name}` is {_SQLITE_ONLY[check.kind]}"
        else:
            yield f"- `{check.name}`: {_code(str(check.sqltext))}"


def _paths(table: sa.Table) -> Iterator[str]:
    yield "| Access path | Index | Columns |"
    yield "|---|---|---|"
    yield f"| one row by its key | `{table.primary_key.name}` | {_code(names(table.primary_key.columns))} |"
    for unique in uniques(table):
        columns = names(unique.columns)
        yield f"| one row by {columns.replace(', ', ' and ')} | `{unique.name}` | {_code(columns)} |"
    for index in sorted(table.indexes, key=lambda each: str(each.name)):
        yield f"| {index.info['path']} | `{index.name}` | {_index_columns(index)} |"


def _index_columns(index: sa.Index) -> str:
    spellings = []
    for dialect in (POSTGRESQL, SQLITE):
        text = ", ".join(spelled(expression, dialect) for expression in index.expressions)
        where = index.dialect_options[dialect.name]["where"]
        spellings.append(_code(text) + ("" if where is None else f" where {_code(spelled(where, dialect))}"))
    theirs, ours = spellings
    return theirs if theirs == ours else f"{theirs}; on SQLite {ours}"


def _code(text: str) -> str:
    """Code inside a cell of a table, where a bar would end the cell."""
    return f"`{text}`".replace("|", "\\|")
