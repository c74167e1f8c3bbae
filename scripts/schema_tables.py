"""The tables by domain, in an order to read them in, and how their parts are spelled on each database."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from aragora_db import models
from aragora_db.types import ddl

# A story rather than an alphabet: what agents earn, what they remember, who they are, what they say.
_ORDER = (
    *("elo", "tournaments", "calibration", "continuum", "consensus", "debates", "positions", "personas", "persona_lab"),
    *("insights", "critique_store", "memory_streams", "calibration_tracker", "prompts", "meta_learning", "genesis"),
    *("nomic_evolution", "traces", "embeddings", "access", "imports", "schema_history"),
)
_TITLES = {"elo": "ELO", "persona_lab": "Persona lab", "schema_history": "Schema history"}

SQLITE, POSTGRESQL = sqlite.dialect(), postgresql.dialect()


@dataclass(frozen=True)
class Domain:
    """A module of `aragora_db.models`: its title, its docstring, and its tables, each with its model's docstring."""

    name: str
    title: str
    about: str
    tables: tuple[tuple[sa.Table, str], ...]


def domains() -> list[Domain]:
    """Every domain; a new module of models comes last until it is given a place in the order."""
    found: dict[str, list[tuple[sa.Table, str]]] = {}
    for mapper in models.Base.registry.mappers:
        table = mapper.local_table
        found.setdefault(mapper.class_.__module__, []).append((table, inspect.cleandoc(mapper.class_.__doc__ or "")))
    result = []
    for module in sorted(found, key=lambda module: (_place(module), module)):
        name = module.rpartition(".")[2]
        about = inspect.getdoc(sys.modules[module]) or ""
        title = _TITLES.get(name, name.capitalize())
        result.append(Domain(name, title, about, tuple(sorted(found[module], key=_as_declared))))
    return result


def _place(module: str) -> int:
    name = module.rpartition(".")[2]
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)


def _as_declared(entry: tuple[sa.Table, str]) -> int:
    return list(models.Base.metadata.tables).index(entry[0].name)


def type_on(column: sa.Column[Any], dialect: sa.Dialect) -> str:
    """The column's type as DDL spells it."""
    return dialect.type_compiler_instance.process(column.type)


def default_of(column: sa.Column[Any]) -> str:
    """What the database fills in."""
    if column.identity is not None:
        return "the next number"
    if column.server_default is None:
        return ""
    value = column.server_default.arg
    if isinstance(value, ddl.now):
        return "now"
    return str(value.compile(dialect=POSTGRESQL, compile_kwargs={"literal_binds": True}))


def spelled(expression: Any, dialect: sa.Dialect) -> str:
    """An expression of an index or a constraint, as DDL spells it."""
    compiler = dialect.ddl_compiler(dialect, None).sql_compiler
    return str(compiler.process(expression, include_table=False, literal_binds=True))


def names(columns: Any) -> str:
    """The columns' names, separated by commas."""
    return ", ".join(column.name for column in columns)


def uniques(table: sa.Table) -> list[sa.UniqueConstraint]:
    """The unique constraints, by name."""
    found = [each for each in table.constraints if isinstance(each, sa.UniqueConstraint)]
    return sorted(found, key=lambda each: str(each.name))
