"""Text search that means the same on both databases. The one place for what others write as LIKE.

LIKE folds case on SQLite and does not on PostgreSQL, and its ``%``, ``_`` and backslash have to be escaped. Here the
text is searched for as it is, and case counts unless ``ignore_case`` says otherwise.
"""

from __future__ import annotations

import sys
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from aragora_db.types import Text

__all__ = ["contains", "starts_with"]

_LAST = chr(sys.maxunicode)
_BEFORE_SURROGATES, _AFTER_SURROGATES = "\ud7ff", "\ue000"


def contains(column: ColumnElement[Any], text: str, *, ignore_case: bool = False) -> ColumnElement[bool]:
    """Whether the column's text has this text somewhere in it. NULL stays NULL.

    Args:
        column: a text column or expression. No index serves this.
        text: what to look for; every character stands for itself. The empty text is in every text.
        ignore_case: A to Z equal a to z. Other letters keep their case: the databases disagree about them.

    Raises:
        InvalidValue: at execution, for text that no column can hold (NUL, lone surrogates).
    """
    if not ignore_case:
        return _position(column, sa.literal(text, Text())) > 0
    return _position(_ascii_lower(column), sa.literal(_fold(text), Text())) > 0


def starts_with(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """Whether the column's text begins with this text, case counting. NULL stays NULL.

    A range, so that an index that begins with the column serves it on both databases.

    Args:
        column: a text column or expression.
        text: the prefix; every character stands for itself. Every text begins with the empty text.

    Raises:
        InvalidValue: at execution, for text that no column can hold (NUL, lone surrogates).
    """
    # On PostgreSQL a bound `Text` is written with COLLATE "C", which decides for the whole comparison: code points.
    beginning = column >= sa.literal(text, Text())
    end = _successor(text)
    return beginning if end is None else sa.and_(beginning, column < sa.literal(end, Text()))


def _successor(text: str) -> str | None:
    """The smallest text after every text that begins with this one; None when there is no such text."""
    text = text.rstrip(_LAST)
    if not text:
        return None
    last = text[-1]
    return text[:-1] + (_AFTER_SURROGATES if last == _BEFORE_SURROGATES else chr(ord(last) + 1))


def _fold(text: str) -> str:
    return "".join(character.lower() if character.isascii() else character for character in text)


class _position(FunctionElement[int]):  # noqa: N801 -- an SQL function, spelled like one
    """Where the second text begins in the first, from 1; 0 when it is not there."""

    type = sa.Integer()
    inherit_cache = True


@compiles(_position, "sqlite")
def _instr(element: _position, compiler: SQLCompiler, **options: Any) -> str:
    return f"instr{compiler.process(element.clause_expr, **options)}"


@compiles(_position, "postgresql")
def _strpos(element: _position, compiler: SQLCompiler, **options: Any) -> str:
    return f"strpos{compiler.process(element.clause_expr, **options)}"


class _ascii_lower(FunctionElement[str]):  # noqa: N801 -- an SQL function, spelled like one
    """The text with A to Z in lower case and everything else as it is."""

    type = Text()
    inherit_cache = True


@compiles(_ascii_lower, "sqlite")
def _lower(element: _ascii_lower, compiler: SQLCompiler, **options: Any) -> str:
    return f"lower({compiler.process(element.clauses, **options)})"


@compiles(_ascii_lower, "postgresql")
def _lower_c(element: _ascii_lower, compiler: SQLCompiler, **options: Any) -> str:
    # An expression, such as a field of a JSON value, has the server's locale, whose lower() knows more letters.
    return f'lower(({compiler.process(element.clauses, **options)}) COLLATE "C")'
