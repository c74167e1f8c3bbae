"""A checksum of rows that does not depend on their order."""

from __future__ import annotations

from collections.abc import Sequence

import xxhash

__all__ = ["Digest"]

_MODULUS = 1 << 64


class Digest:
    """The sum of the rows' XXH3-64 hashes, modulo 2^64, and their number.

    A row is the line that ``COPY ... TO STDOUT`` prints for it, without the newline. Equal sets of rows have equal
    sums; that unequal ones have as well takes a coincidence of 1 in 2^64. It finds faults, not forgers.
    """

    def __init__(self, rows: int = 0, total: int = 0) -> None:
        self.rows, self._sum = rows, total

    def copy(self) -> Digest:
        """Another one with the same rows."""
        return Digest(self.rows, self._sum)

    def add(self, lines: Sequence[bytes]) -> None:
        """Count rows in."""
        self.rows += len(lines)
        self._sum = (self._sum + sum(map(xxhash.xxh3_64_intdigest, lines))) % _MODULUS

    def remove(self, lines: Sequence[bytes]) -> None:
        """Take rows out again that were counted in."""
        self.rows -= len(lines)
        self._sum = (self._sum - sum(map(xxhash.xxh3_64_intdigest, lines))) % _MODULUS

    def __eq__(self, other: object) -> bool:
        """Whether the rows are the same."""
        return isinstance(other, Digest) and (self.rows, self._sum) == (other.rows, other._sum)

    __hash__ = None  # type: ignore[assignment] # they change: they are no keys

    def __str__(self) -> str:
        """The sum, as 16 hexadecimal digits."""
        return f"{self._sum:016x}"
