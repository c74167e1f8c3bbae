"""Rules for the revision files themselves: one line, in order, forward only, and never edited once released."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from aragora_db.migrations import scripts

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["lint"]


def lint() -> list[str]:
    """What is wrong with the revision files, a sentence each."""
    return [*_order(), *_immutable(), *(problem for stem in scripts.chain() for problem in _no_way_back(stem))]


def _order() -> Iterator[str]:
    from alembic.script import ScriptDirectory  # noqa: PLC0415 -- takes 160 ms, and `status` does not need it

    directory = ScriptDirectory(scripts.script_location())
    heads = directory.get_heads()
    if len(heads) != 1:
        yield f"the revisions have {len(heads)} heads ({', '.join(heads)}): make the later one follow the earlier"
        return
    line = [each.revision for each in directory.walk_revisions()][::-1]
    if tuple(line) != scripts.chain():
        first = next(((a, b) for a, b in zip(line, scripts.chain(), strict=False) if a != b), (line[-1], "nothing"))
        yield f"file names do not sort in chain order: {first[0]} comes where {first[1]} sorts; rename the newer one"


def _immutable() -> Iterator[str]:
    known = scripts.released()
    for stem, checksum in known.items():
        if stem not in scripts.chain():
            yield f"{stem} was released and its file is gone: restore it"
        elif scripts.checksum(stem) != checksum:
            yield f"{stem} was released and edited since: restore it and write a new revision"
    unreleased = [stem for stem in scripts.chain() if stem not in known]
    if unreleased and known and unreleased[0] < max(known):
        yield f"{unreleased[0]} sorts before {max(known)}, which is released: rename it"


def _no_way_back(stem: str) -> Iterator[str]:
    tree = ast.parse((scripts.script_location() / "versions" / f"{stem}.py").read_text())
    for node in ast.walk(tree):
        if "downgrade" in _bound(node):
            yield f"{stem} has a downgrade(): delete it, going back is a new revision"
        if any(name.startswith("aragora_db.models") for name in _imported(node)):
            yield f"{stem} imports the models, which move on: use aragora_db.migrations.vocabulary"
    if not any(getattr(node, "asname", None) == "__getattr__" for node in ast.walk(tree)):
        yield f"{stem} lacks the import of no_way_back as __getattr__ (see script.py.mako)"


def _bound(node: ast.AST) -> list[str | None]:
    """Names that a piece of source gives to something."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return [node.id]
    return [node.asname or node.name] if isinstance(node, ast.alias) else []


def _imported(node: ast.AST) -> list[str]:
    """Full names of what it imports."""
    if isinstance(node, ast.Import):
        return [each.name for each in node.names]
    return [f"{node.module}.{each.name}" for each in node.names] if isinstance(node, ast.ImportFrom) else []
