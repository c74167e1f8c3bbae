"""``docs/reference/schema.svg``: a box for each table, grouped by domain, and an arrow for each foreign key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from typing import Any

import sqlalchemy as sa
from schema_tables import Domain, uniques

from aragora_db import types

COLUMNS = 4
MARGIN, GAP = 28, 20
GUTTER, LANE = 22, 7  # where the arrows run, left of the boxes, and how far apart
BOX = 268
PANEL = GUTTER + BOX + 14
TITLE, NAME, ROW, FOOT, SPACE = 34, 26, 19, 19, 12
HEADER = 74

# (class, light, dark); no CSS variables, because librsvg and some viewers do not know them.
_FILLS = (
    ("page", "#ffffff", "#0d1117"),
    ("panel", "#f4f6f9", "#161b22"),
    ("box", "#ffffff", "#0d1117"),
    ("name", "#2f4a7d", "#28406e"),
    ("on-name", "#ffffff", "#e8eefb"),
    ("ink", "#1f2733", "#d7dee8"),
    ("dim", "#69758a", "#8b97aa"),
    ("pk", "#a0660a", "#e0a84a"),
    ("fk", "#2563c9", "#74a7ff"),
    ("uq", "#3f7d4f", "#7cc08f"),
)
_LINES = (
    ("panel", "#dde3ec", "#2a3340"),
    ("box", "#c3ccd9", "#36414f"),
    ("rule", "#e6eaf0", "#232b36"),
    ("arrow", "#2563c9", "#74a7ff"),
)
_TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path class="fk" d="M0 0.5 L8 4 L0 7.5 Z"/></marker></defs>'
)
_TYPE_NAMES = {
    types.Integer: "integer",
    types.Double: "double",
    types.Boolean: "boolean",
    types.UtcDateTime: "instant",
    types.Json: "json",
    types.Blob: "bytes",
}


@dataclass
class Canvas:
    """The elements so far, and where the rows of key columns ended up."""

    parts: list[str] = field(default_factory=list)
    rows: dict[tuple[str, str], float] = field(default_factory=dict)

    def rectangle(self, style: str, x: float, y: float, width: float, height: float, *, radius: float = 6) -> None:
        """A rectangle with round corners."""
        self.parts.append(
            f'<rect class="{style}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}"/>'
        )

    def text(self, style: str, x: float, y: float, text: str, anchor: str = "start") -> None:
        """One line of text, ``y`` being its base line."""
        place = "" if anchor == "start" else f' text-anchor="{anchor}"'
        self.parts.append(f'<text class="{style}" x="{x:g}" y="{y:g}"{place}>{escape(text)}</text>')

    def path(self, style: str, data: str, more: str = "") -> None:
        """A line."""
        self.parts.append(f'<path class="{style}" d="{data}"{more}/>')


def diagram(found: list[Domain]) -> str:
    """The whole picture: domains one after the other, each into the column that is shortest so far."""
    canvas = Canvas()
    bottoms = [float(HEADER)] * COLUMNS
    for domain in sorted(found, key=_height, reverse=True):
        column = bottoms.index(min(bottoms))
        _draw_domain(canvas, domain, MARGIN + column * (PANEL + GAP), bottoms[column])
        bottoms[column] += _height(domain) + GAP
    width = 2 * MARGIN + COLUMNS * PANEL + (COLUMNS - 1) * GAP
    height = max(bottoms) - GAP + MARGIN
    count = sum(len(domain.tables) for domain in found)
    head = Canvas()
    head.rectangle("page", 0, 0, width, height, radius=0)
    head.text("ink title", MARGIN, 40, "aragora_db")
    head.text("dim", MARGIN, 60, f"{count} tables in {len(found)} domains; keys only, every column is in schema.md")
    _draw_legend(head, width - MARGIN)
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="Entity diagram of aragora_db">',
        f"<style>{_style()}</style>",
        _TIP,
        *head.parts,
        *canvas.parts,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _style() -> str:
    def rules(shade: int) -> str:
        fills = "".join(f".{each[0]}{{fill:{each[shade]}}}" for each in _FILLS)
        return fills + "".join(f".{each[0]}{{stroke:{each[shade]}}}" for each in _LINES)

    fixed = (
        "text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}"
        ".title,.domain{font-family:system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;font-weight:600}"
        ".title{font-size:22px}.domain{font-size:15px}.on-name{font-weight:600}.badge{font-size:10px;font-weight:700}"
        ".small{font-size:11px}.arrow{fill:none;stroke-width:1.4}.rule{fill:none}"
    )
    return f"{fixed}{rules(1)}@media (prefers-color-scheme:dark){{{rules(2)}}}"


def _draw_legend(canvas: Canvas, right: float) -> None:
    x = right
    for style, badge, meaning in (("uq", "UQ", "unique"), ("fk", "FK", "foreign key"), ("pk", "PK", "primary key")):
        canvas.text("dim small", x, 60, meaning, "end")
        x -= 6.8 * len(meaning) + 6
        canvas.text(f"{style} badge", x, 60, badge, "end")
        x -= 34


def _draw_domain(canvas: Canvas, domain: Domain, x: float, y: float) -> None:
    canvas.rectangle("panel", x, y, PANEL, _height(domain), radius=10)
    canvas.text("ink domain", x + GUTTER, y + 23, domain.title)
    top = y + TITLE
    for table, _ in domain.tables:
        _draw_table(canvas, table, x + GUTTER, top)
        top += _table_height(table) + SPACE
    ends = [(canvas.rows[source], canvas.rows[target]) for source, target in _arrows(domain)]
    for (start, end), lane in zip(ends, _lanes(ends), strict=True):
        _draw_arrow(canvas, start, end, x + GUTTER, 8 + LANE * lane)


def _draw_table(canvas: Canvas, table: sa.Table, x: float, y: float) -> None:
    canvas.rectangle("box", x, y, BOX, _table_height(table))
    # The name's background: round above, straight below.
    canvas.path("name", f"M{x:g} {y + NAME:g} v-{NAME - 6} q0 -6 6 -6 h{BOX - 12} q6 0 6 6 v{NAME - 6} Z")
    canvas.text("on-name", x + 10, y + 17.5, table.name)
    top = y + NAME
    for column, badges in _keys(table):
        canvas.rows[table.name, column.name] = top + ROW / 2
        left = x + 10
        for badge in badges:
            canvas.text(f"{badge.lower()} badge", left, top + 13.5, badge)
            left += 17
        canvas.text("ink", x + 48, top + 13.5, column.name)
        canvas.text("dim small", x + BOX - 10, top + 13.5, _type_name(column), "end")
        top += ROW
        canvas.path("rule", f"M{x + 1:g} {top:g} h{BOX - 2}")
    canvas.text("dim small", x + 48, top + 13.5, _rest(table))


def _draw_arrow(canvas: Canvas, start: float, end: float, x: float, out: float) -> None:
    """Out of a box's left side, up or down the gutter, and in again, with round corners."""
    turn = 5 if end > start else -5
    canvas.path(
        "arrow",
        f"M{x:g} {start:g} H{x - out + 5:g} q-5 0 -5 {turn} V{end - turn:g} q0 {turn} 5 {turn} H{x - 1:g}",
        ' marker-end="url(#tip)"',
    )


def _lanes(ends: list[tuple[float, float]]) -> list[int]:
    """For each arrow the lane nearest to the boxes in which it meets no other."""
    lanes: list[int] = []
    for top, bottom in (sorted(each) for each in ends):
        taken = {
            lane
            for (start, end), lane in zip(ends, lanes, strict=False)
            if min(start, end) <= bottom and top <= max(start, end)
        }
        lanes.append(next(lane for lane in range(len(ends)) if lane not in taken))
    return lanes


def _arrows(domain: Domain) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    for table, _ in domain.tables:
        for column in table.columns:
            for key in column.foreign_keys:
                yield (table.name, column.name), (key.column.table.name, key.column.name)


def _keys(table: sa.Table) -> list[tuple[sa.Column[Any], list[str]]]:
    unique = {column.name for constraint in uniques(table) for column in constraint.columns}
    found = []
    for column in table.columns:
        flags = {"PK": column.primary_key, "FK": bool(column.foreign_keys), "UQ": column.name in unique}
        badges = [badge for badge, there in flags.items() if there]
        if badges:
            found.append((column, badges[:2]))
    return found


def _rest(table: sa.Table) -> str:
    more = len(table.columns) - len(_keys(table))
    return f"+ {more} more" if more else "no other columns"


def _type_name(column: sa.Column[Any]) -> str:
    return next((name for kind, name in _TYPE_NAMES.items() if isinstance(column.type, kind)), "text")


def _table_height(table: sa.Table) -> float:
    return NAME + ROW * len(_keys(table)) + FOOT


def _height(domain: Domain) -> float:
    return TITLE + sum(_table_height(table) + SPACE for table, _ in domain.tables) + 2
