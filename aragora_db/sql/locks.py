"""Locks on what is no row: one transaction at a time does the work that goes by a name."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.engine.dialects import by_dialect

__all__ = ["serialize"]

_LOCK = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")


def _advisory(session: Session, name: str) -> None:
    session.execute(_LOCK, {"name": f"aragora:{name}"})


def _already(session: Session, name: str) -> None:
    """A writer holds the whole database since BEGIN IMMEDIATE."""


serialize = by_dialect(postgresql=_advisory, sqlite=_already)
"""Wait until no other transaction holds this name; it is free again when this transaction ends."""
