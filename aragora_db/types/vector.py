"""The column type of embeddings: arrays of float32, kept bit for bit."""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from aragora_db.types.base import ValidatedType

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import Dialect
    from sqlalchemy.types import TypeEngine

__all__ = ["MAX_DIMENSIONS", "Floats", "Vector"]

if TYPE_CHECKING:
    Floats: TypeAlias = array[float]
else:
    Floats = array  # takes no type argument before Python 3.12

MAX_DIMENSIONS = 16_000
"""What pgvector takes (https://github.com/pgvector/pgvector#vector-type)."""


class Vector(ValidatedType[Floats]):
    """An array of float32: any sequence of numbers goes in, an ``array('f')`` comes out.

    ``BLOB`` on SQLite, little-endian, as Aragora packs its embeddings; ``real[]`` on PostgreSQL, which pgvector casts
    to its own type. NumPy reads the result without a copy: ``numpy.asarray(embedding)``.
    """

    impl = sa.LargeBinary
    cache_ok = True
    variants: ClassVar[dict[str, TypeEngine[Any]]] = {"sqlite": sa.LargeBinary(), "postgresql": ARRAY(sa.REAL[Any]())}

    def process_bind_param(self, value: Any, dialect: Dialect) -> bytes | list[float] | None:
        """Round to float32; refuse what is empty, too long, infinite or NaN."""
        if value is None:
            return None
        if isinstance(value, bytes | bytearray):  # each byte would count as a number
            raise self.refuse(value, "a sequence of numbers, such as array('f', packed)")
        try:
            given: Any = value
            numbers = array("f", iter(given))
        except (TypeError, ValueError, OverflowError):
            raise self.refuse(value, "a sequence of numbers that float32 can hold") from None
        if not 1 <= len(numbers) <= MAX_DIMENSIONS or not all(map(math.isfinite, numbers)):
            raise self.refuse(value, f"1 to {MAX_DIMENSIONS} finite numbers")
        return _STORED[dialect.name](numbers)

    def process_result_value(self, value: Any, dialect: Dialect) -> Floats | None:  # noqa: ARG002 -- told by type
        """Return the numbers."""
        if value is None:
            return None
        if not isinstance(value, bytes):
            return array("f", value)
        numbers = array("f")
        numbers.frombytes(value)
        return _little_endian(numbers)


def _packed(numbers: Floats) -> bytes:
    return _little_endian(numbers).tobytes()


def _listed(numbers: Floats) -> list[float]:
    return numbers.tolist()


def _little_endian(numbers: Floats) -> Floats:
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers


_STORED: dict[str, Callable[[Floats], bytes | list[float]]] = {"sqlite": _packed, "postgresql": _listed}
