"""Times that never move backward, whatever order transactions commit in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from aragora_db.types import UtcDateTime

__all__ = ["later_of"]


def later_of(column: Any, at: datetime) -> Any:
    """Return an expression for the later of a column's value and a time; the time where the column is NULL."""
    instant = sa.literal(at, UtcDateTime())
    return sa.case((column > instant, column), else_=instant)
