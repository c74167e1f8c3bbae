"""Fencing: a number from the database for each holder of a lock, which the database compares before it takes a write.

A lock in Redis runs out while its holder is paused, and Redis may lose it. So the lock only keeps others from trying;
what keeps an old holder from writing is the row of `FencingToken`.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.engine.dialects import insert
from aragora_db.errors import Fenced, InvalidValue
from aragora_db.models import FencingToken
from aragora_db.models.base import utcnow
from aragora_db.types import KEY_BYTES

__all__ = ["Transact", "check_name", "guard", "next_token", "process_name"]

T = TypeVar("T")

Transact: TypeAlias = Callable[[Callable[[Session], Any]], Any]
"""`Database.transact`: runs a unit of work in one transaction and returns its value."""


def next_token(session: Session, name: str, holder: str) -> int:
    """Become the newest holder: from here on the database refuses every holder before.

    Waits for a transaction that holds the row by `guard`: what an old holder is just committing comes before.
    """
    statement = insert(session, FencingToken).values(name=name, token=1, holder=holder, acquired_at=utcnow())
    statement = statement.on_conflict_do_update(
        index_elements=[FencingToken.name],
        set_={
            "token": FencingToken.token + 1,
            "holder": statement.excluded.holder,
            "acquired_at": statement.excluded.acquired_at,
        },
    )
    return int(session.execute(statement.returning(FencingToken.token)).scalar_one())


def guard(session: Session, name: str, token: int) -> None:
    """Refuse to go on in this transaction if a newer holder exists, and let none appear until it ends.

    Raises:
        Fenced: there is one.
    """
    # FOR SHARE on PostgreSQL, which next_token() waits for; on SQLite a writer is alone anyway.
    statement = sa.select(FencingToken.token, FencingToken.holder).where(FencingToken.name == name)
    newest = session.execute(statement.with_for_update(read=True)).one_or_none()
    if newest is None or newest.token != token:
        by = "its record is gone" if newest is None else f"{newest.holder} took it"
        raise Fenced(
            f"The lock {name!r} is not ours any more: {by}. Nothing of this transaction was written; "
            "take the lock again and start over from what is stored now"
        )


def process_name() -> str:
    """Return the host and process id, which people see as the holder in the table of fencing tokens."""
    return f"{platform.node()}:{os.getpid()}"


def check_name(name: str) -> str:
    """The name of a lock.

    Raises:
        InvalidValue: no database could keep it.
    """
    try:
        size = len(name.encode())
    except UnicodeEncodeError:  # a lone surrogate
        size = 0
    if not 0 < size <= KEY_BYTES or "\x00" in name:
        raise InvalidValue(f"name is {name!r}; a lock needs 1 to {KEY_BYTES} bytes of UTF-8 text without NUL")
    return name
