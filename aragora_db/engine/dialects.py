"""One name for what has a form per dialect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Dialect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

__all__ = ["Insert", "by_dialect", "insert", "insert_into"]

P = ParamSpec("P")
R = TypeVar("R")

Insert = postgresql.Insert
"""What `insert` returns: SQLite's has the same methods, ``on_conflict_do_update`` and the rest."""


def by_dialect(
    *, postgresql: Callable[Concatenate[Session, P], R], sqlite: Callable[Concatenate[Session, P], R]
) -> Callable[Concatenate[Session, P], R]:
    """The form of the session's dialect, under one name."""
    forms = {"postgresql": postgresql, "sqlite": sqlite}

    def call(session: Session, /, *arguments: P.args, **keywords: P.kwargs) -> R:
        return forms[session.get_bind().dialect.name](session, *arguments, **keywords)

    return call


_INSERTS: dict[str, Callable[[Any], Any]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def insert(session: Session, table: Any) -> Insert:
    """An INSERT into a model or table that can say ON CONFLICT."""
    return insert_into(session.get_bind().dialect, table)


def insert_into(dialect: Dialect, table: Any) -> Insert:
    """The same, where there is no session."""
    statement: Insert = _INSERTS[dialect.name](table)
    return statement
