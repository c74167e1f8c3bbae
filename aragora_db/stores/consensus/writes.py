"""Rows that are inserted exactly once."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy.orm import Session

from aragora_db.engine.dialects import insert
from aragora_db.models.base import Base

__all__ = ["insert_if_absent"]

M = TypeVar("M", bound=Base)


def insert_if_absent(session: Session, model: type[M], row: dict[str, Any]) -> M | None:
    """Insert a row and return it, or return None if its key exists."""
    statement = insert(session, model).values(**row).on_conflict_do_nothing().returning(model)
    # The session may still hold a row of this key that clean-up or a foreign key has deleted.
    return session.scalars(statement, execution_options={"populate_existing": True}).one_or_none()
