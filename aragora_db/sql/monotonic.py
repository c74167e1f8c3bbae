"""Times that never move backward, whatever order transactions commit in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from aragora_db.types import UtcDateTime

__all__ = ["later_of", "later_of_excluded"]


def later_of(column: Any, at: datetime) -> Any:
    """Return an expression for the later of a column's value and a time; the time where the column is NULL."""
    instant = sa.literal(at, UtcDateTime())
    return sa.case((column > instant, column), else_=instant)


def later_of_excluded(table: str, column: str = "updated_at") -> str:
    """Return the same for ``ON CONFLICT DO UPDATE`` in textual SQL: the later of the stored and the new value.

    Args:
        table: the name of the table that the statement inserts into.
        column: a time that is never NULL.
    """
    stored, new = f"{table}.{column}", f"excluded.{column}"
    return f"CASE WHEN {stored} < {new} THEN {new} ELSE {stored} END"
