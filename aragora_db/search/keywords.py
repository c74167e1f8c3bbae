"""Search keywords in a full-text index: FTS5 on SQLite, GIN over a tsvector on PostgreSQL, with the same results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from aragora_db.engine.dialects import by_dialect
from aragora_db.errors import InvalidValue
from aragora_db.rules.words import Term, terms
from aragora_db.types.ddl import lexemes

__all__ = ["MAX_KEYWORDS", "matches", "with_words"]

MAX_KEYWORDS = 50
"""The most keywords of one search (Aragora 2.8.0, memory/continuum)."""

Query = tuple[tuple[Term, ...], ...]
"""The terms of each keyword: a row matches if it has all terms of any keyword."""


def matches(table: Any, keywords: Sequence[str]) -> sa.ColumnElement[bool]:
    """Return whether a row of a keyword table, such as `ContinuumKeywords`, has any of these keywords.

    Case does not count, in any script. A keyword of several words (``gpt-4``) asks for all of them; one that ends in
    ``*`` asks for words with this prefix. Keywords without a letter or digit are left out; if none is left, nothing
    matches.

    Raises:
        InvalidValue: more than `MAX_KEYWORDS` keywords, or one that is no text.
    """
    given: Sequence[Any] = keywords
    if isinstance(given, str) or len(given) > MAX_KEYWORDS or not all(isinstance(each, str) for each in given):
        raise InvalidValue(f"keywords must be a list of at most {MAX_KEYWORDS} texts")
    query = tuple(found for keyword in keywords if (found := tuple(terms(keyword))))
    if not query:
        return sa.false()
    return _Matches(table.id, table.words, sa.literal(query, _QueryText()))


def _by_array_of_keys(session: Session, rows: Any, owner: Any, table: Any, keywords: Sequence[str]) -> Any:  # noqa: ARG001 -- one signature
    # For a word without statistics the planner expects 0.5 % of all rows, and would plan a join as a parallel scan of
    # all owners. The keys of an array are looked up one by one.
    matching_keys = sa.select(table.owner_id).where(matches(table, keywords)).scalar_subquery()
    return rows.where(owner == sa.func.any(sa.func.array(matching_keys)))


def _by_join(session: Session, rows: Any, owner: Any, table: Any, keywords: Sequence[str]) -> Any:  # noqa: ARG001 -- one signature
    return rows.join(table, table.owner_id == owner).where(matches(table, keywords))


with_words = by_dialect(postgresql=_by_array_of_keys, sqlite=_by_join)
"""Restrict a SELECT to the rows whose words match, and return it.

Args:
    session: the transaction it will run in.
    rows: the SELECT.
    owner: the primary key of its rows.
    table: their keyword table.
    keywords: see `matches`.
"""


class _QueryText(TypeDecorator[Query]):
    """A query as text in the syntax of the database's full-text index. Words have no quotes to escape."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Query | None, dialect: Any) -> str:
        """Join the terms of a keyword by AND, the keywords by OR."""
        term_text, and_, or_ = _SYNTAX[dialect.name]
        return or_.join("(" + and_.join(map(term_text, keyword)) + ")" for keyword in value or ())


def _fts5_term(term: Term) -> str:
    return f'"{term.word}" *' if term.prefix else f'"{term.word}"'


def _tsquery_term(term: Term) -> str:
    return f"'{term.word}':*" if term.prefix else f"'{term.word}'"


_SYNTAX = {"sqlite": (_fts5_term, " AND ", " OR "), "postgresql": (_tsquery_term, " & ", " | ")}


class _Matches(FunctionElement[bool]):
    """Whether a row of a keyword table matches. Clauses: its key, its words, the query."""

    type = sa.Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> _Matches:  # noqa: ARG002 -- SQLAlchemy's signature
        """Return this element: SQLAlchemy would add ``= 1`` on SQLite, which then scans the table."""
        return self


@compiles(_Matches, "sqlite")
def _match_fts5(element: _Matches, compiler: SQLCompiler, **options: Any) -> str:
    # The index names rows by the key of the keyword table, and MATCH takes its own table's name as the column.
    key, _words, query = element.clauses
    index = f"{key.table.name}_fts"
    return (
        f"{compiler.process(key, **options)} IN "
        f"(SELECT rowid FROM {index} WHERE {index} MATCH {compiler.process(query, **options)})"
    )


@compiles(_Matches, "postgresql")
def _match_tsvector(element: _Matches, compiler: SQLCompiler, **options: Any) -> str:
    _key, words, query = element.clauses
    vector = compiler.process(lexemes(words), **options)
    return f"{vector} @@ CAST({compiler.process(query, **options)} AS tsquery)"
