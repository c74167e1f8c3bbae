"""How results look on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from aragora_db.migrations import scripts
from aragora_db.migrations.state import Verdict

if TYPE_CHECKING:
    from aragora_db.migrations.status import Status

__all__ = ["check", "status"]

_NEXT = {
    Verdict.EMPTY: "run aragora-db migrate",
    Verdict.BEHIND: "run aragora-db migrate",
    Verdict.AHEAD: "deploy the newer version: this one does not know the database's revision",
    Verdict.DIVERGED: "deploy a version that has both lines of revisions, or merge them into one",
    Verdict.UNVERSIONED: "tables of ours without a version table: restore a backup or use an empty database",
    Verdict.AT_HEAD: "",
}


def status(found: Status) -> RenderableType:
    """The schema's state, its history and what is wrong with it."""
    state = found.state
    facts = Table.grid(padding=(0, 2))
    facts.add_row("database", escape(found.database))
    facts.add_row("backend", found.backend)
    facts.add_row("current", state.current or "-")
    facts.add_row("head", scripts.head())
    facts.add_row("schema", Text(state.verdict.value, style="green" if found.good else "bold red"))
    if state.verdict in {Verdict.AHEAD, Verdict.DIVERGED}:
        facts.add_row("last common", state.last_common or "-")
    if state.pending:
        facts.add_row("pending", "\n".join(state.pending))
    parts: list[RenderableType] = [facts]
    if state.history:
        parts.append(_history(found))
    parts += [Text(f"drift: {difference}", style="red") for difference in found.drift]
    if state.edited:
        parts.append(Text(f"edited since they were applied: {', '.join(state.edited)}", style="red"))
    if _NEXT[state.verdict]:
        parts.append(Text(f"next: {_NEXT[state.verdict]}", style="bold"))
    return Group(*parts)


def check(found: Status, problems: list[str]) -> RenderableType:
    """One line per finding, or one line that all is well."""
    lines: list[RenderableType] = [Text(f"revisions: {problem}", style="red") for problem in problems]
    if found.state.verdict is not Verdict.AT_HEAD:
        lines.append(Text(f"schema: {found.state.verdict.value}; {_NEXT[found.state.verdict]}", style="red"))
    lines += [Text(f"schema: {difference}", style="red") for difference in found.drift]
    lines += [Text(f"schema: {stem} was edited after it was applied", style="red") for stem in found.state.edited]
    well = f"{found.database}: {len(scripts.chain())} revisions, models and database agree"
    return Group(*lines) if lines else Text(well, style="green")


def _history(found: Status) -> Table:
    table = Table("applied revision", "at (UTC)", "by", "ms", "checksum", box=None, pad_edge=False)
    for column in table.columns[:2]:
        column.no_wrap = True
    for row in found.state.history:
        table.add_row(
            row.revision,
            f"{row.applied_at:%Y-%m-%d %H:%M:%S}",
            escape(row.applied_by.partition(" ")[0]),
            "-" if row.duration_ms is None else f"{row.duration_ms:.1f}",
            Text("edited", style="red") if row.edited else row.checksum[:8],
        )
    return table
