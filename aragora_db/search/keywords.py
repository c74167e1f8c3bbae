"""Keyword search over a full-text index: FTS5 on SQLite, GIN over a tsvector on PostgreSQL, with the same results."""

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


def matches(table: Any, keywords: Sequence[str]) -> sa.ColumnElement[bool]:
    """Whether a row of a keyword table, such as `ContinuumKeywords`, has any of these keywords.

    Case does not count, in any script. A keyword of several words (``gpt-4``) asks for all of them; one that ends in
    ``*`` for words that begin so. Keywords without a letter or digit are left out, and none at all match nothing.

    Raises:
        InvalidValue: more than `MAX_KEYWORDS` keywords, or one that is no text.
    """
    given: Sequence[Any] = keywords
    if isinstance(given, str) or len(given) > MAX_KEYWORDS or not all(isinstance(each, str) for each in given):
        raise InvalidValue(f"keywords must be a list of at most {MAX_KEYWORDS} texts")
    query = tuple(found for keyword in keywords if (found := tuple(terms(keyword))))
    if not query:
        return sa.false()
    return _Matches(table.id, table.words, sa.literal(query, _Query()))


def _from_array(session: Session, rows: Any, owner: Any, table: Any, keywords: Sequence[str]) -> Any:  # noqa: ARG001 -- as below
    # As a join, PostgreSQL expects 0.5 % of all rows for a word it has not heard of, reads all owners and calls for
    # workers; an array it looks up one by one.
    found = sa.select(table.owner_id).where(matches(table, keywords)).scalar_subquery()
    return rows.where(owner == sa.func.any(sa.func.array(found)))


def _joined(session: Session, rows: Any, owner: Any, table: Any, keywords: Sequence[str]) -> Any:  # noqa: ARG001 -- as above
    return rows.join(table, table.owner_id == owner).where(matches(table, keywords))


with_words = by_dialect(postgresql=_from_array, sqlite=_joined)
"""A SELECT, of those rows only whose words match.

Args:
    session: where it will run.
    rows: the SELECT.
    owner: the key of its rows.
    table: their keyword table.
    keywords: see `matches`.
"""


class _Query(TypeDecorator[Query]):
    """A search in the syntax of each database's full-text index. Words hold no quotes."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Query | None, dialect: Any) -> str:
        """Terms of a keyword are all wanted, any keyword is enough."""
        spell, both, either = _SPELLINGS[dialect.name]
        return either.join("(" + both.join(map(spell, keyword)) + ")" for keyword in value or ())


def _fts5(term: Term) -> str:
    return f'"{term.word}" *' if term.prefix else f'"{term.word}"'


def _tsquery(term: Term) -> str:
    return f"'{term.word}':*" if term.prefix else f"'{term.word}'"


_SPELLINGS = {"sqlite": (_fts5, " AND ", " OR "), "postgresql": (_tsquery, " & ", " | ")}


class _Matches(FunctionElement[bool]):
    """Key, words and query."""

    type = sa.Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> _Matches:  # noqa: ARG002 -- SQLAlchemy's signature
        """As it is: SQLAlchemy would add ``= 1`` on SQLite, which then reads every row."""
        return self


@compiles(_Matches, "sqlite")
def _match_fts5(element: _Matches, compiler: SQLCompiler, **options: Any) -> str:
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
