"""Keyset pagination: a page and the token of the next one, whatever was written in between.

A page costs the same at any depth, because it begins where the last one ended in an index
(https://use-the-index-luke.com/no-offset).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.sql import operators

from aragora_db.errors import InvalidValue
from aragora_db.types import Double, Integer, UtcDateTime

__all__ = ["DEFAULT_LIMIT", "MAX_LIMIT", "Keyset", "Page", "check_limit"]

T = TypeVar("T")

MAX_LIMIT = 10_000
"""The most rows one call returns."""

DEFAULT_LIMIT = 50
"""Rows that one call returns when it does not say how many."""


@dataclass(frozen=True)
class Page(Generic[T]):
    """Rows in order; iterate over it, or take its length.

    Attributes:
        items: the rows.
        next: pass it as ``after`` for the rows that follow; None when these are the last.
    """

    items: tuple[T, ...]
    next: str | None

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def check_limit(limit: Any) -> int:
    """How many rows to return.

    Raises:
        InvalidValue: it is not between 1 and `MAX_LIMIT`.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_LIMIT:
        raise InvalidValue(f"limit is {limit!r}; ask for 1 to {MAX_LIMIT} rows")
    return limit


class Keyset:
    """A total order of rows, such as ``Keyset(EloRating.elo.desc(), EloRating.agent_name)``.

    A column that may be NULL is ``column.desc().nulls_last()``.
    """

    def __init__(self, *order: Any) -> None:
        self._order = order
        self._keys = tuple(_key(each) for each in order)

    def page(
        self,
        session: Session,
        statement: sa.Select[Any],
        *,
        limit: int,
        after: str | None,
        read: Callable[[Any], T] | None = None,
        key: Callable[[T], Sequence[Any]] | None = None,
    ) -> Page[T]:
        """Run a statement for one page.

        Without `read` and `key` the statement selects a model, and the items are its objects.

        Args:
            session: where.
            statement: what to select, without order or limit.
            limit: rows per page.
            after: the token of the page before; None begins.
            read: makes an item of a row.
            key: the item's values of the columns of this order.

        Raises:
            InvalidValue: the limit is out of range, or the token is none of this order.
        """
        check_limit(limit)
        if after is not None:
            statement = statement.where(_beyond(self._keys, self._decode(after)))
        rows = session.execute(statement.order_by(*self._order).limit(limit + 1)).all()
        items: tuple[T, ...] = tuple(row[0] if read is None else read(row) for row in rows[:limit])
        if len(rows) <= limit:
            return Page(items, None)
        return Page(items, _encode(self._values(items[-1]) if key is None else key(items[-1])))

    def _values(self, item: Any) -> list[Any]:
        return [getattr(item, each.column.key) for each in self._keys]

    def _decode(self, token: str) -> list[Any]:
        try:
            values: list[Any] = list(json.loads(base64.urlsafe_b64decode(token.encode())))
            return [key.read(value) for key, value in zip(self._keys, values, strict=True)]
        except (AttributeError, ValueError, TypeError, RecursionError, binascii.Error) as error:
            raise InvalidValue("`after` is not a token of this listing; pass the `next` of its last page") from error


@dataclass(frozen=True)
class _Key:
    column: Any
    descending: bool
    nullable: bool

    def read(self, value: Any) -> Any:
        if value is None and self.nullable:
            return None
        kind = self.column.type
        if isinstance(kind, UtcDateTime):
            return datetime.fromisoformat(str(value))
        expected: Any = str
        if isinstance(kind, Double | sa.Float):
            expected = (int, float)
        elif isinstance(kind, Integer | sa.Integer):  # a COUNT has SQLAlchemy's type
            expected = int
        if isinstance(value, bool) or not isinstance(value, expected):
            raise TypeError
        if isinstance(value, int) and abs(value) >= 2**63:
            raise ValueError  # beyond the column
        return value


def _key(order: Any) -> _Key:
    nullable = getattr(order, "modifier", None) is operators.nulls_last_op
    if nullable:
        order = order.element
    modifier = getattr(order, "modifier", None)
    descending = modifier is operators.desc_op
    return _Key(order.element if modifier is not None else order, descending, nullable)


def _encode(values: Sequence[Any]) -> str:
    plain = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    return base64.urlsafe_b64encode(json.dumps(plain, separators=(",", ":")).encode()).decode()


def _beyond(keys: Sequence[_Key], values: Sequence[Any]) -> Any:
    """Whether a row comes after these values: ``a < x OR (a = x AND ...)``, with a bound that an index can use."""
    key, value = keys[0], values[0]
    if value is None:
        return sa.and_(key.column.is_(None), _beyond(keys[1:], values[1:])) if keys[1:] else sa.false()
    past = key.column < value if key.descending else key.column > value
    if key.nullable:
        past = past | key.column.is_(None)
    if not keys[1:]:
        return past
    rest = _beyond(keys[1:], values[1:])
    if key.nullable:
        return past | ((key.column == value) & rest)
    # Databases use an index for the bound, and not for an OR.
    bound = key.column <= value if key.descending else key.column >= value
    return sa.and_(bound, past | rest)
