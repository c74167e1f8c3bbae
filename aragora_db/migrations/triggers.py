"""Whether the guard's triggers and the full-text indexes are as the revisions made them, and nothing else fires."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.util import module_from_spec, spec_from_file_location
from typing import TYPE_CHECKING

import sqlalchemy as sa

from aragora_db.migrations import scripts
from aragora_db.migrations.catalogue import Difference
from aragora_db.migrations.catalogue.compare import Change
from aragora_db.models import Base
from aragora_db.types import ddl

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["trigger_differences"]

# (table, trigger, definition): on PostgreSQL the function's body; rules and row level security act on rows as well.
_FOUND = {
    # 'D' is a disabled trigger, 'R' one that fires only in replicas.
    "postgresql": """
        SELECT c.relname, t.tgname, p.prosrc FROM pg_trigger t
            JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
            WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND pg_table_is_visible(c.oid)
        UNION ALL SELECT c.relname, r.rulename, pg_get_ruledef(r.oid) FROM pg_rewrite r
            JOIN pg_class c ON c.oid = r.ev_class WHERE c.relkind = 'r' AND pg_table_is_visible(c.oid)
        UNION ALL SELECT relname, 'row level security', 'enabled' FROM pg_class
            WHERE relkind = 'r' AND relrowsecurity AND pg_table_is_visible(oid)
    """,
    # A full-text index is a virtual table, <table>_fts, and three triggers.
    "sqlite": """
        SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'trigger'
        UNION ALL SELECT substr(name, 1, length(name) - 4), name, sql FROM sqlite_master
            WHERE type = 'table' AND name LIKE '%\\_fts' ESCAPE '\\'
    """,
}

_GUARD_REVISION = "20260101_schema_history"
_NAMES = re.compile(r"CREATE TRIGGER (\w+) BEFORE .*? ON (\w+)", re.DOTALL)


def trigger_differences(connection: Connection) -> list[Difference]:
    """Triggers and full-text indexes that are gone, disabled or changed, and what else fires on our tables."""
    expected = _guard(connection.dialect.name) | _full_text(connection.dialect.name)
    rows = connection.execute(sa.text(_FOUND[connection.dialect.name]))
    found = {(str(table), str(name)): _one_line(text) for table, name, text in rows if _ours(str(table))}
    differences: list[Difference] = []
    for table, name in sorted(expected.keys() | found.keys()):
        here, there = found.get((table, name)), expected.get((table, name))
        if here != there:
            change: Change = "missing" if here is None else "unexpected" if there is None else "changed"
            differences.append(Difference("trigger", table, name, change, there, here))
    return differences


def _ours(table: str) -> bool:
    return table in Base.metadata.tables or table == "aragora_schema_version"


@lru_cache(maxsize=2)
def _guard(dialect: str) -> dict[tuple[str, str], str]:
    """The guard's triggers as the revision has them; read from its file, so that they stand in one place."""
    path = scripts.script_location() / "versions" / f"{_GUARD_REVISION}.py"
    spec = spec_from_file_location(_GUARD_REVISION, path)
    assert spec is not None  # noqa: S101 -- for the type checker: a path that ends in .py has one
    assert spec.loader is not None  # noqa: S101 -- as above
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    statements: list[str] = module._GUARD[dialect]  # noqa: SLF001 -- a revision has no public names
    body = next((text.split("$body$")[1] for text in statements if "$body$" in text), None)
    triggers = [(match, text) for text in statements if (match := _NAMES.search(text))]
    return {(match[2], match[1]): _one_line(text if body is None else body) for match, text in triggers}


def _full_text(dialect: str) -> dict[tuple[str, str], str]:
    """What SQLite has for the index that PostgreSQL's catalogue lists with the others."""
    if dialect != "sqlite":
        return {}
    tables = [table for table in Base.metadata.tables if table.endswith("_keywords")]
    made = re.compile(r"CREATE (?:VIRTUAL TABLE|TRIGGER) (\w+)")
    return {(table, made.findall(text)[0]): _one_line(text) for table in tables for text in ddl.fts5(table)}


def _one_line(text: object) -> str:
    return " ".join(str(text).split())
