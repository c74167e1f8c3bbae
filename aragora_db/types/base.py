"""The base of the column types: validates values and names the column in the error."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.types import TypeDecorator

from aragora_db.errors import InvalidValue

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import Dialect
    from sqlalchemy.types import TypeEngine

__all__ = ["ValidatedType"]

T = TypeVar("T")


class ValidatedType(TypeDecorator[T]):
    """A column type that validates what is bound to it and knows its column, which the error names."""

    cache_ok = True
    column: sa.Column[Any] | None = None

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the column's type on this dialect.

        Not passed through ``dialect.type_descriptor``: psycopg's dialect would make ``text`` a ``varchar`` of it.
        """
        return self.variants.get(dialect.name, self.variants["postgresql"])

    variants: ClassVar[dict[str, TypeEngine[Any]]]

    def refuse(self, value: object, expected: str) -> InvalidValue:
        """Return the error for a value. It describes the value by its type only, since it may be a secret."""
        column = self.column
        name = f"{column.table.name}.{column.name}" if column is not None else "this column"
        return InvalidValue(f"{name} takes {expected}; got {_describe(value)}")


@event.listens_for(ValidatedType, "after_parent_attach", propagate=True)
def _remember_column(target: ValidatedType[Any], parent: Any) -> None:
    if isinstance(parent, sa.Column):
        target.column = parent


def _describe(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if isinstance(value, datetime) and value.tzinfo is None:
        return "a naive datetime"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, str):
        return f"a string of {len(value)} characters"
    return f"a value of type {type(value).__name__}"
