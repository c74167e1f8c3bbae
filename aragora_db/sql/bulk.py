"""Many rows in one statement, past SQLAlchemy's types: for values that were checked one by one before.

PostgreSQL gets one array per column and unnests them, the fastest way without COPY, which SQLAlchemy's async driver
hides; SQLite gets ``executemany``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from aragora_db.engine.dialects import by_dialect
from aragora_db.sql.monotonic import later_of_excluded
from aragora_db.types import UtcDateTime

__all__ = ["add_on_conflict", "insert_rows"]

_UTC = UtcDateTime()


def add_on_conflict(table: str, key: str, counts: Iterable[str], *, updated_at: bool = False) -> str:
    """Return the clause for `insert_rows` that adds counts to a row that exists, so that no process undoes another's.

    Args:
        table: its name.
        key: the columns of its primary key, separated by commas.
        counts: the columns to add.
        updated_at: whether to move the row's `updated_at`, forward only.
    """
    changes = [f"{column} = {table}.{column} + excluded.{column}" for column in counts]
    if updated_at:
        changes.append(f"updated_at = {later_of_excluded(table)}")
    return f"ON CONFLICT ({key}) DO UPDATE SET {', '.join(changes)}"


def _unnest(
    session: Session, table: str, columns: Mapping[str, str], rows: Sequence[tuple[Any, ...]], then: str = ""
) -> list[Any]:
    arrays = ", ".join(f"%s::{kind}[]" for kind in columns.values())
    names = ", ".join(columns)
    # In the order given, because identities are handed out and locks are taken in the order of the rows.
    statement = (
        f"INSERT INTO {table} ({names}) SELECT {names} FROM unnest({arrays}) WITH ORDINALITY AS given "
        f"({names}, ordinal) ORDER BY ordinal {then}"
    )
    result = session.connection().exec_driver_sql(statement, tuple(map(list, zip(*rows, strict=True))))
    return list(result) if result.returns_rows else []


def _executemany(
    session: Session, table: str, columns: Mapping[str, str], rows: Sequence[tuple[Any, ...]], then: str = ""
) -> list[Any]:
    connection = session.connection()
    if "timestamptz" in columns.values():
        rows = [tuple(_text(value, connection.dialect) for value in row) for row in rows]
    marks = ", ".join("?" * len(columns))
    connection.exec_driver_sql(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) {then}", list(rows))
    return []


def _text(value: Any, dialect: Any) -> Any:
    return _UTC.process_bind_param(value, dialect) if isinstance(value, datetime) else value


insert_rows = by_dialect(postgresql=_unnest, sqlite=_executemany)
"""Insert rows, in order; with ``then`` an ``ON CONFLICT`` clause, which reads alike on both.

Args:
    session: where.
    table: its name.
    columns: their names, with PostgreSQL's types.
    rows: at least one, a tuple for each.
    then: what follows the rows; on PostgreSQL it may be RETURNING, whose rows are returned.
"""
