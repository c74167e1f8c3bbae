"""Render an import's report for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from aragora_db.cli.output import stdout

if TYPE_CHECKING:
    from aragora_db.transfer import ImportReport, TableReport

__all__ = ["summary"]


def summary(report: ImportReport) -> RenderableType:
    """The tables that had rows, what became of them, and everything that was left."""
    title = f"{report.mode}: {report.source_dir} -> {report.target or 'no database'}"
    facts = Text.assemble((title, "bold"), f"\nnaive timestamps are local times of {report.timezone}")
    wide = stdout.width >= _WIDE
    table = Table("file: table", *_COUNTS, *(["checksum"] if wide else []), box=None, pad_edge=False)
    table.columns[0].overflow = "fold"
    for column in table.columns[1:6]:
        column.justify, column.no_wrap = "right", True
    for each in report.tables:
        if each.rows or each.failed:
            table.add_row(*(_cells(each) if wide else _cells(each)[:-1]))
    table.add_row(Text("all", style="bold"), *(f"{report.total(name):,}" for name in _COUNTS))
    parts: list[RenderableType] = [facts, table]
    parts += [Text(f"not read: {file.name}: {file.reason}", style="red") for file in report.left]
    for each in report.tables:
        if each.failed:
            parts.append(Text(f"failed: {each.source_file}, {each.table}: {each.failed}", style="red"))
        parts += [
            Text(f"{each.source_file}, {each.table}: {count:,} {reason}", style="yellow")
            for reason, count in sorted(each.reasons.items())
        ]
    parts += [Text(f"attached: {rows:,} rows of {name} found their parents") for name, rows in report.attached.items()]
    if report.foreign_keys is False:
        parts.append(Text("foreign keys: some rows are without their parents", style="red"))
    if report.archived:
        parts.append(Text(f"archived: {', '.join(report.archived)}"))
    if report.rejects_file:
        parts.append(Text(f"rejected rows: {report.rejects_file}", style="yellow"))
    if report.report_file:
        parts.append(Text(f"report: {report.report_file}"))
    parts += [Text(note) for note in report.notes]
    parts.append(_conclusion(report))
    return Group(*parts)


_WIDE = 110  # characters; narrower, the checksums are in the report file and in --json
_COUNTS = ("rows", "carried", "merged", "rejected", "parked")


def _cells(each: TableReport) -> list[str | Text]:
    name = f"{each.source_file}: {each.table}" + ("" if each.table == each.target else f" -> {each.target}")
    counts: list[str | Text] = [f"{getattr(each, count):,}" for count in _COUNTS]
    if each.failed:
        return [escape(name), *counts, Text("failed", style="red")]
    done = "earlier" if each.already else "\n".join(checksum.checksum for checksum in each.checksums)
    return [escape(name), *counts, Text(done, style="dim", no_wrap=True)]


def _conclusion(report: ImportReport) -> Text:
    seconds = f" ({report.seconds:.1f} s)"
    if not report.good:
        failed = sum(each.failed is not None for each in report.tables)
        found = {"files not read": len(report.left), "tables failed": failed, "rows rejected": report.total("rejected")}
        left = ", ".join(f"{count:,} {what}" for what, count in found.items() if count)
        return Text(f"left: {left or 'rows without their parents'}; everything else is done{seconds}", style="bold red")
    if report.nothing_to_do:
        return Text("nothing to do: everything was imported before", style="green")
    if report.mode == "validation only":
        return Text(f"every value has a place{seconds}; nothing was written", style="green")
    parked = f", {report.total('parked'):,} of them parked in legacy_rows" if report.total("parked") else ""
    done = "every row would be accounted for" if report.mode == "dry run" else "every row is accounted for"
    return Text(f"{done}{parked}{seconds}", style="green")
