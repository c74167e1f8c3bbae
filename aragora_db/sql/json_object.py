"""JSON objects: one member as a number, whatever its name and whatever else is in the column."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, SQLColumnExpression
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from aragora_db.types import Double, Text

__all__ = ["number"]


def number(column: SQLColumnExpression[Any], name: str) -> ColumnElement[float]:
    """The member of this name; NULL when there is none, when it is no number, and for what is no object.

    ``column[name].as_float()`` fails on PostgreSQL for a member that is no number, and on SQLite it misreads names
    with a quotation mark.

    Raises:
        InvalidValue: at execution, for a name that no column can hold (NUL, lone surrogates).
    """
    return _number(column, sa.literal(name, Text()))


class _number(FunctionElement[float]):  # noqa: N801 -- an SQL function, spelled like one
    type = Double()
    inherit_cache = True


def _operands(element: _number, compiler: SQLCompiler, options: dict[str, Any]) -> list[str]:
    return [compiler.process(clause, **options) for clause in element.clauses]


@compiles(_number, "postgresql")
def _number_postgresql(element: _number, compiler: SQLCompiler, **options: Any) -> str:
    column, name = _operands(element, compiler, options)
    member = f"{column} -> CAST({name} AS text)"
    return f"(CASE WHEN jsonb_typeof({member}) = 'number' THEN CAST({member} AS double precision) END)"


@compiles(_number, "sqlite")
def _number_sqlite(element: _number, compiler: SQLCompiler, **options: Any) -> str:
    column, name = _operands(element, compiler, options)
    members = f"json_each(CASE json_type({column}) WHEN 'object' THEN {column} ELSE '{{}}' END)"
    return (
        f"(SELECT CAST(each.value AS REAL) FROM {members} AS each"
        f" WHERE each.key = {name} AND each.type IN ('integer', 'real'))"
    )
