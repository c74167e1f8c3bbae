"""Column types that take and return the same values on SQLite and on PostgreSQL.

Each type refuses, with `InvalidValue` and before anything is sent, every value that one of the two databases would
refuse, change or lose. What a database column looks like:

| type          | Python      | SQLite (STRICT)                             | PostgreSQL                 |
|---------------|-------------|---------------------------------------------|----------------------------|
| `Text`, `Key` | `str`       | `TEXT`                                      | `text COLLATE "C"`         |
| `EnumText`    | a `StrEnum` | `TEXT`                                      | `text COLLATE "C"`         |
| `Integer`     | `int`       | `INTEGER`                                   | `bigint`                   |
| `Double`      | `float`     | `REAL`                                      | `double precision`         |
| `Boolean`     | `bool`      | `INTEGER`, 0 or 1                           | `boolean`                  |
| `UtcDateTime` | `datetime`  | `TEXT`, `2026-01-15 09:30:00.000000+00:00`  | `timestamp with time zone` |
| `Json`        | JSON values | `TEXT`                                      | `jsonb`                    |
| `Blob`        | `bytes`     | `BLOB`                                      | `bytea`                    |
"""

from __future__ import annotations

import math
import operator
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles

from aragora_db.types import json_text
from aragora_db.types.base import ValidatedType

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import Dialect
    from sqlalchemy.types import TypeEngine

__all__ = [
    "KEY_BYTES",
    "Blob",
    "Boolean",
    "Double",
    "EnumText",
    "Integer",
    "Json",
    "Key",
    "Text",
    "UtcDateTime",
]

E = TypeVar("E", bound=StrEnum)

# A PostgreSQL btree refuses an index row over 2,704 bytes ("index row size exceeds btree version 4 maximum"); two keys
# of this size and an integer fit. SQLite would take any length, so the type has to say no on both.
KEY_BYTES = 1024


class Text(ValidatedType[str]):
    r"""Text without NUL and without lone surrogates, sorted by code point.

    PostgreSQL cannot store ``\x00`` and UTF-8 has no lone surrogates; SQLite's shell cuts a string at the first NUL.
    The "C" collation makes ORDER BY, comparisons and prefix LIKE mean the same on both, whatever locale the server has.
    """

    impl = sa.Text
    cache_ok = True
    variants: ClassVar[dict[str, TypeEngine[Any]]] = {"sqlite": sa.Text(), "postgresql": sa.Text(collation="C")}
    max_bytes: ClassVar[int | None] = None

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 -- same on both
        """Check the text."""
        if value is None:
            return None
        if not isinstance(value, str):
            raise self.refuse(value, "text (str)")
        if "\x00" in value:
            raise self.refuse(value, r"text without the character NUL (\x00)")
        try:
            size = len(value.encode())
        except UnicodeEncodeError:
            raise self.refuse(value, "text that UTF-8 can encode (no lone surrogates)") from None
        if self.max_bytes is not None and size > self.max_bytes:
            raise self.refuse(value, f"at most {self.max_bytes} bytes of UTF-8, because it is indexed")
        # A StrEnum member is a str, but drivers pick their adapter by exact type.
        return value if type(value) is str else str.__str__(value)


class Key(Text):
    """Text that an index holds: at most `KEY_BYTES` bytes of UTF-8."""

    cache_ok = True
    max_bytes: ClassVar[int | None] = KEY_BYTES


class EnumText(ValidatedType[E]):
    """The value of a `StrEnum` as text; the table carries a CHECK with the same values."""

    impl = sa.Text
    cache_ok = True
    variants: ClassVar[dict[str, TypeEngine[Any]]] = Text.variants

    def __init__(self, enum_class: type[E]) -> None:
        super().__init__()
        self.enum_class = enum_class

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 -- same on both
        """Accept a member or the exact text of one."""
        if value is None:
            return None
        try:
            return self.enum_class(value).value
        except ValueError:
            raise self.refuse(value, "one of " + ", ".join(self.enum_class)) from None

    def process_result_value(self, value: str | None, dialect: Dialect) -> E | None:  # noqa: ARG002 -- same on both
        """Return the member."""
        return None if value is None else self.enum_class(value)


class Integer(ValidatedType[int]):
    """A whole number of at most 64 bits with sign. True and False are no numbers here: PostgreSQL refuses them."""

    impl = sa.BigInteger
    cache_ok = True
    variants: ClassVar[dict[str, TypeEngine[Any]]] = {"sqlite": sa.INTEGER(), "postgresql": sa.BigInteger()}

    def process_bind_param(self, value: Any, dialect: Dialect) -> int | None:  # noqa: ARG002 -- same on both
        """Check kind and range."""
        if value is None:
            return None
        if isinstance(value, bool):
            raise self.refuse(value, "a whole number")
        try:
            number = int(operator.index(value))  # an IntEnum's index is itself, and drivers go by exact type
        except TypeError:
            raise self.refuse(value, "a whole number") from None
        if not json_text.INT64_MIN <= number <= json_text.INT64_MAX:
            raise self.refuse(value, "a whole number of 64 bits")
        return number


class Double(ValidatedType[float]):
    """A finite IEEE 754 double. SQLite turns NaN into NULL; PostgreSQL sorts it above everything. Neither is kept."""

    impl = sa.Double
    cache_ok = True
    variants: ClassVar[dict[str, TypeEngine[Any]]] = {"sqlite": sa.REAL(), "postgresql": sa.Double()}

    def process_bind_param(self, value: Any, dialect: Dialect) -> float | None:  # noqa: ARG002 -- same on both
        """Check that the number is finite; -0.0 becomes 0.0, because SQLite does not keep the sign."""
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.refuse(value, "a finite number")
        try:
            number = float(value)
        except OverflowError:
            raise self.refuse(value, "a number that a double can hold") from None
        if not math.isfinite(number):
            raise self.refuse(value, "a finite number")
        return number + 0.0


class Boolean(ValidatedType[bool]):
    """True or False, and nothing that merely looks like it."""

    impl = sa.Boolean
    cache_ok = True
    # Written out: PostgreSQL's grammar takes IS TRUE, and no parameter there.
    coerce_to_is_types = (type(None), bool)
    variants: ClassVar[dict[str, TypeEngine[Any]]] = {"sqlite": sa.INTEGER(), "postgresql": sa.Boolean()}

    def process_bind_param(self, value: Any, dialect: Dialect) -> bool | int | None:
        """Check the type; SQLite stores 0 and 1."""
        if value is None:
            return None
        if not isinstance(value, bool):
            raise self.refuse(value, "True or False")
        return int(value) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> bool | None:  # noqa: ARG002 -- same on both
        """Return a real bool."""
        return None if value is None else bool(value)


class UtcDateTime(ValidatedType[datetime]):
    r"""An instant, to the microsecond. Naive datetimes are refused: nobody can tell which instant they mean.

    SQLite keeps fixed-width UTC text that sorts in time order and that PostgreSQL's ``\copy`` reads as it is.
    """

    impl = sa.DateTime
    cache_ok = True
    variants: ClassVar[dict[str, TypeEngine[Any]]] = {
        "sqlite": sa.Text(),
        "postgresql": sa.DateTime(timezone=True),
    }

    def process_bind_param(self, value: Any, dialect: Dialect) -> datetime | str | None:
        """Check that the instant is known and bring it to UTC."""
        if value is None:
            return None
        try:
            instant = value.astimezone(UTC) if isinstance(value, datetime) and value.utcoffset() is not None else None
        except OverflowError:
            raise self.refuse(value, "an instant from year 1 to year 9999 in UTC") from None
        if instant is None:
            raise self.refuse(value, "a datetime with a time zone, such as datetime.now(UTC)")
        return instant.isoformat(" ", "microseconds") if dialect.name == "sqlite" else instant

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002 -- told by type
        """Return an aware datetime in UTC."""
        if value is None:
            return None
        return datetime.fromisoformat(value) if isinstance(value, str) else value.astimezone(UTC)


class _JsonAsText(sa.JSON):
    """`sa.JSON` whose SQLite column is TEXT: STRICT tables know no type JSON."""


@compiles(_JsonAsText, "sqlite")
def _render_text(*_: object, **__: object) -> str:
    return "TEXT"


class Json(ValidatedType[Any]):
    """A JSON value. None is SQL NULL; a null inside a value stays one.

    Numbers compare by value after a round trip and the order of keys is not kept (jsonb sorts them); see
    `aragora_db.types.json_text` for what is refused and how numbers are spelled so that both databases return the same.
    """

    impl = sa.JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Jsonb, or TEXT that still answers ``column["key"].as_string()``."""
        return _JsonAsText(none_as_null=True) if dialect.name == "sqlite" else JSONB(none_as_null=True)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002 -- same on both
        """Check the value all the way down."""
        if value is None:
            return None
        try:
            return json_text.portable(value)
        except ValueError as problem:
            raise self.refuse(value, f"JSON that both databases keep: {problem}") from None


class Blob(ValidatedType[bytes]):
    """Bytes."""

    impl = sa.LargeBinary
    cache_ok = True
    variants: ClassVar[dict[str, TypeEngine[Any]]] = {"sqlite": sa.LargeBinary(), "postgresql": sa.LargeBinary()}

    def process_bind_param(self, value: Any, dialect: Dialect) -> bytes | None:  # noqa: ARG002 -- same on both
        """Check the type."""
        if value is not None and not isinstance(value, bytes):
            raise self.refuse(value, "bytes")
        return value

    def process_result_value(self, value: Any, dialect: Dialect) -> bytes | None:  # noqa: ARG002 -- same on both
        """Return bytes, never a memoryview."""
        return None if value is None else bytes(value)
