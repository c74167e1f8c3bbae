"""JSON arrays of texts: added to without reading them first, and looked into."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, SQLColumnExpression
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from aragora_db.sql.text import contains
from aragora_db.types import Json, Text

__all__ = ["any_contains", "appended_once", "has"]


def appended_once(column: SQLColumnExpression[Any], text: str) -> ColumnElement[Any]:
    """The array with the text at its end, or as it is when the text is in it. NULL counts as the empty array.

    What is no array stays as it is.

    One expression of an UPDATE, so that two transactions that add to one array do not undo each other.

    Raises:
        InvalidValue: at execution, for text that no column can hold (NUL, lone surrogates).
    """
    return sa.case((has(column, text), column), else_=_appended(column, sa.literal(text, Text())))


def has(column: SQLColumnExpression[Any], text: str) -> ColumnElement[bool]:
    """Whether the array holds exactly this text. False for NULL. No index serves this."""
    return _has(column, sa.literal(text, Text()))


def any_contains(column: SQLColumnExpression[Any], text: str, *, ignore_case: bool = False) -> ColumnElement[bool]:
    """Whether a text of the array has this text somewhere in it; see `aragora_db.sql.text.contains`.

    False for NULL and for what is no array.
    """
    elements = _elements(column).table_valued(sa.column("value", Text()))
    found = contains(elements.c.value, text, ignore_case=ignore_case)
    return sa.exists(sa.select(1).select_from(elements).where(found))


class _appended(FunctionElement[Any]):  # noqa: N801 -- an SQL function, spelled like one
    type = Json()
    inherit_cache = True


class _has(FunctionElement[bool]):  # noqa: N801 -- as above
    type = sa.Boolean()
    inherit_cache = True


class _elements(FunctionElement[Any]):  # noqa: N801 -- as above
    inherit_cache = True


def _operands(element: FunctionElement[Any], compiler: SQLCompiler, options: dict[str, Any]) -> list[str]:
    return [compiler.process(clause, **options) for clause in element.clauses]


@compiles(_appended, "postgresql")
def _appended_postgresql(element: _appended, compiler: SQLCompiler, **options: Any) -> str:
    array, text = _operands(element, compiler, options)
    # || would make an array of two values that are none; SQLite's function leaves those as they are.
    whole = f"coalesce({array}, '[]'::jsonb)"
    longer = f"{whole} || to_jsonb(CAST({text} AS text))"
    return f"(CASE jsonb_typeof({whole}) WHEN 'array' THEN {longer} ELSE {array} END)"


@compiles(_appended, "sqlite")
def _appended_sqlite(element: _appended, compiler: SQLCompiler, **options: Any) -> str:
    array, text = _operands(element, compiler, options)
    return f"json_insert(coalesce({array}, '[]'), '$[#]', {text})"


@compiles(_has, "postgresql")
def _has_postgresql(element: _has, compiler: SQLCompiler, **options: Any) -> str:
    array, text = _operands(element, compiler, options)
    return f"coalesce(jsonb_typeof({array}) = 'array' AND {array} @> to_jsonb(CAST({text} AS text)), false)"


@compiles(_has, "sqlite")
def _has_sqlite(element: _has, compiler: SQLCompiler, **options: Any) -> str:
    array, text = _operands(element, compiler, options)
    return f"EXISTS (SELECT 1 FROM {_each(array)} AS each WHERE each.type = 'text' AND each.value = {text})"


# What is no array has no elements: PostgreSQL's function would refuse it, SQLite's take it apart.
@compiles(_elements, "postgresql")
def _elements_postgresql(element: _elements, compiler: SQLCompiler, **options: Any) -> str:
    (array,) = _operands(element, compiler, options)
    return f"jsonb_array_elements_text(CASE jsonb_typeof({array}) WHEN 'array' THEN {array} ELSE '[]'::jsonb END)"


@compiles(_elements, "sqlite")
def _elements_sqlite(element: _elements, compiler: SQLCompiler, **options: Any) -> str:
    (array,) = _operands(element, compiler, options)
    return _each(array)


def _each(array: str) -> str:
    return f"json_each(CASE json_type({array}) WHEN 'array' THEN {array} ELSE '[]' END)"
