"""Many values at once as COPY writes them, at the speed of C: text that is escaped by the chunk, numbers by orjson."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import orjson

from aragora_db.transfer.rows.converters import float_text

__all__ = ["FIELD", "NULL", "ROW", "escaped", "numbers"]

FIELD, NULL, ROW = "\x1f", "\x1d", "\x1e"
"""How a row of text is handed over: each value followed by FIELD, NULL alone for none; ROW between rows."""

_ESCAPES = (
    # What COPY escapes, the backslash first.
    *((b"\\", rb"\\"), (b"\t", rb"\t"), (b"\n", rb"\n"), (b"\r", rb"\r"), (b"\b", rb"\b"), (b"\f", rb"\f")),
    *((b"\v", rb"\v"), (b"\x1d", b"\\N\x1f")),
)
_SEPARATORS = bytes.maketrans(b"\x1f\x1e", b"\t\n")

_PLAIN = 1e15
"""From here on PostgreSQL writes an exponent, where Python and orjson do not."""


def escaped(text: bytes, rows: int, fields: int) -> list[bytes] | None:
    """Rows of text as COPY writes them; None when one holds a separator, NUL or what is not UTF-8.

    Args:
        text: the rows, written as `FIELD`, `NULL` and `ROW` say.
        rows: how many there are.
        fields: how many values each has.
    """
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError:
            return None
    for old, new in _ESCAPES:
        text = text.replace(old, new)
    text = text.translate(_SEPARATORS)
    # What the rows held of these is escaped by now, so that each one left is a separator.
    if text.count(b"\t") != rows * fields or text.count(b"\n") != rows - 1 or b"\x00" in text:
        return None
    return text.removesuffix(b"\t").split(b"\t\n")


def numbers(rows: Sequence[Sequence[float | None]]) -> list[bytes] | None:
    """Rows of numbers as COPY writes them; None when one is no number, not finite or 1e15 and more.

    orjson spells a float with the digits that Python's `repr` has, which are PostgreSQL's; it differs where there is
    an exponent or four zeros after the point, and those are spelled again.
    """
    flat: list[Any] = list(chain.from_iterable(rows))
    kinds = set(map(type, flat))
    if not kinds <= {float, int, type(None)}:
        return None
    there: Iterable[Any] = flat if type(None) not in kinds else [each for each in flat if each is not None]
    if not all(-_PLAIN < bound < _PLAIN for bound in (max(there, default=0.0), min(there, default=0.0))):
        return None  # NaN compares with nothing, but orjson writes null for it: see below
    text = orjson.dumps(rows)
    if text.count(b"null") != flat.count(None):
        return None
    text = text.replace(b".0,", b",").replace(b".0]", b"]")
    for needle in (b"e", b"0.0000"):
        if needle in text:
            text = _spelled_again(text, needle)
    text = text.replace(b"-0,", b"0,").replace(b"-0]", b"0]").replace(b"null", rb"\N").replace(b",", b"\t")
    return text[2:-2].split(b"]\t[")


def _spelled_again(text: bytes, needle: bytes) -> bytes:
    pieces: list[bytes] = []
    done = 0
    found = text.find(needle)
    while found != -1:
        start = 1 + max(text.rfind(b",", done, found), text.rfind(b"[", done, found), done - 1)
        end = min(place for place in (text.find(b",", found), text.find(b"]", found)) if place != -1)
        pieces += [text[done:start], float_text(float(text[start:end])).encode()]
        done = end
        found = text.find(needle, done)
    return b"".join(pieces) + text[done:]
