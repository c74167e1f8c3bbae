r"""SQL for SQLite's shell whose CSV ``psql \copy ... CSV HEADER`` loads exactly, for those who move tables by hand.

The shell prints REAL with 15 digits and cuts bytes at the first NUL, so that ``SELECT *`` loses what these keep.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from aragora_db.errors import UsageError
from aragora_db.transfer.export import exported_tables
from aragora_db.transfer.source.snapshot import quoted
from aragora_db.types import Blob, Double
from aragora_db.types.vector import Vector

__all__ = ["copy_command", "csv_script", "csv_select"]


def csv_script(names: Sequence[str] = ()) -> Iterator[str]:
    """Lines for ``sqlite3 FILE``: a SELECT into ``TABLE.csv`` for each table, parents first, and how to load it.

    Args:
        names: tables to choose; all of them when empty.

    Raises:
        UsageError: there is no such table.
    """
    known = {table.name for table in exported_tables()}
    unknown = set(names) - known
    if unknown:
        raise UsageError(f"there is no table {', '.join(sorted(unknown))}; there are: {', '.join(sorted(known))}")
    yield "-- aragora-db export --csv-sql | sqlite3 .nomic/aragora.db"
    yield "-- then, in this order and into tables that are empty, each psql line below; psql before 18 ends at a line"
    yield "-- of a text that is exactly \\. and says so: use aragora-db import then"
    yield ".mode csv"
    yield ".headers on"
    for table in exported_tables():
        if names and table.name not in names:
            continue
        yield ""
        yield f'-- psql "$DATABASE_URL" -c "{copy_command(table)}"'
        yield f".once {table.name}.csv"
        yield csv_select(table)
    yield ""
    yield "-- at last, so that new rows get fresh numbers:"
    for table in exported_tables():
        serial = next((column.name for column in table.columns if column.identity is not None), None)
        if serial is not None and (not names or table.name in names):
            yield f'-- psql "$DATABASE_URL" -c "{_sequence(table, serial)}"'


def csv_select(table: sa.Table) -> str:
    """The SELECT of one table."""
    columns = ", ".join(_column(column) for column in table.columns)
    return f"SELECT {columns} FROM {quoted(table.name)};"


def copy_command(table: sa.Table) -> str:
    r"""The ``\copy`` of one table, as psql's ``-c`` takes it inside double quotes."""
    names = ", ".join(column.name for column in table.columns)
    return rf"\copy {table.name} ({names}) FROM '{table.name}.csv' CSV HEADER"


def _sequence(table: sa.Table, serial: str) -> str:
    last = f"(SELECT max({serial}) FROM {table.name})"
    return f"SELECT setval(pg_get_serial_sequence('{table.name}', '{serial}'), coalesce({last}, 1), {last} IS NOT NULL)"


def _column(column: sa.Column[Any]) -> str:
    name = quoted(column.name)
    if isinstance(column.type, Double):
        return f"CASE WHEN {name} IS NOT NULL THEN printf('%!.20g', {name}) END AS {name}"
    if isinstance(column.type, Vector):
        return f"CASE WHEN {name} IS NOT NULL THEN {_FLOATS.replace('BLOB', name)} END AS {name}"
    if isinstance(column.type, Blob):
        return f"CASE WHEN {name} IS NOT NULL THEN '\\x' || lower(hex({name})) END AS {name}"
    return name


def _byte(place: int) -> str:
    """One byte of a little-endian float32 as a number; SQL reads bytes through their hexadecimal digits."""
    digits = f"hex(substr(BLOB, 4 * i + {place}, 1))"
    high, low = (f"(instr('0123456789ABCDEF', substr({digits}, {digit}, 1)) - 1)" for digit in (1, 2))
    return f"({high} * 16 + {low})"


_BITS = " + ".join(f"{_byte(place + 1)} * {1 << 8 * place}" for place in range(4))
# A float32 is (-1)^sign * mantissa * 2^(exponent - 150), its leading bit unwritten unless the exponent is 0
# (https://en.wikipedia.org/wiki/Single-precision_floating-point_format). Shifts stop at 62 bits, so they come in steps.
_UP = " * ".join(f"(1 << max(0, min(62, e - 150 - {step})))" for step in (0, 62)) + " * 1.0"
_DOWN = " / ".join(f"(1 << max(0, min(62, 150 - e - {step})))" for step in (0, 62, 124))
_FLOATS = (
    "'{' || (WITH RECURSIVE place(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM place WHERE 4 * i + 8 <= length(BLOB)),"
    f" word(i, w) AS (SELECT i, {_BITS} FROM place),"
    " part(i, s, e, m) AS (SELECT i, w >> 31, max(1, (w >> 23) & 255),"
    " (w & 8388607) + 8388608 * (((w >> 23) & 255) > 0) FROM word)"
    f" SELECT group_concat(printf('%!.20g', CASE s WHEN 1 THEN -1.0 ELSE 1.0 END * m * {_UP} / {_DOWN})) FROM part)"
    " || '}'"
)
