"""Staged rows, and writing them as `merge_policy` says. The same statements on both dialects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.sql.selectable import FromClause

from aragora_db.engine.dialects import insert_into

__all__ = ["CARRIED", "MERGED", "PARKED", "Staged", "final_columns", "is_any", "write"]

CARRIED = (None, "renumbered", "newer")
MERGED = ("same", "older")
PARKED = ("conflict", "orphan")


@dataclass(frozen=True)
class Staged:
    """A table of ours and the rows for it.

    Attributes:
        target: the table.
        staging: the rows.
        columns: what they bring.
        there: what they meet: the table, or in a dry run the table and what would be in it by now.
        parent: the column that names the source row's main row, in a part.
        keeps_numbers: whether rows elsewhere refer to its numbers, so that it cannot get another.
    """

    target: sa.Table
    staging: sa.Table
    columns: tuple[str, ...]
    there: FromClause
    parent: str | None = None
    keeps_numbers: bool = False

    @property
    def key(self) -> tuple[str, ...]:
        """The primary key's columns; none when the database numbers the rows and the source does not."""
        names = tuple(each.name for each in self.target.primary_key)
        return names if set(names) <= set(self.columns) else ()

    @property
    def serial(self) -> str | None:
        """The column that the database numbers."""
        return next((each.name for each in self.target.columns if each.identity is not None), None)

    @property
    def uniques(self) -> list[tuple[str, ...]]:
        """The unique constraints, as far as the rows bring all their columns."""
        named = [
            tuple(column.name for column in constraint.columns)
            for constraint in self.target.constraints
            if isinstance(constraint, sa.UniqueConstraint)
        ]
        return sorted(each for each in named if set(each) <= set(self.columns))


def write(connection: Connection, main: Staged, parts: Sequence[Staged], *, keys_live: bool = True) -> None:
    """Insert and replace what the verdicts say; without live keys there is nothing to replace."""
    staging = main.staging
    written = is_any(staging, *CARRIED)
    for part in parts:
        (key,) = main.key
        replaced = sa.select(staging.c[key]).where(staging.c.verdict == "newer")
        connection.execute(sa.delete(part.target).where(part.target.c[str(part.parent)].in_(replaced)))
    _insert(connection, main, sa.select(*final_columns(main, main)).where(written), replaces=keys_live)
    for part in parts:
        same_row = part.staging.c.source_key == staging.c.source_key
        _insert(connection, part, sa.select(*final_columns(main, part)).where(same_row, written), replaces=False)


def _insert(connection: Connection, staged: Staged, chosen: Any, *, replaces: bool) -> None:
    statement: Any = insert_into(connection.dialect, staged.target).from_select(list(staged.columns), chosen)
    others = [name for name in staged.columns if name not in staged.key]
    if replaces and staged.key and others:
        statement = statement.on_conflict_do_update(
            index_elements=list(staged.key), set_={name: statement.excluded[name] for name in others}
        )
    connection.execute(statement)


def final_columns(main: Staged, staged: Staged) -> Iterator[Any]:
    """The columns of `main` or of a part, with the number that the main row has in the target."""
    number = main.serial if staged is main else staged.parent
    for name in staged.columns:
        column = staged.staging.c[name]
        is_number = main.serial is not None and main.serial in main.columns and name == number
        yield sa.func.coalesce(main.staging.c.target_id, column).label(name) if is_number else column


def is_any(staging: sa.Table, *verdicts: str | None) -> sa.ColumnElement[bool]:
    """Whether a row's verdict is one of these; None is no verdict."""
    found = staging.c.verdict.in_([each for each in verdicts if each is not None])
    return sa.or_(staging.c.verdict.is_(None), found) if None in verdicts else found
