"""HTML from values. What comes from outside is escaped here, at the leaves, and nowhere else."""

from __future__ import annotations

import html
from collections.abc import Iterable

__all__ = ["Markup", "element", "join", "text"]


class Markup(str):
    """Text that is HTML already. Everything else is escaped when it becomes part of an element."""

    __slots__ = ()


def text(value: object) -> Markup:
    """A value as HTML; `Markup` stays as it is."""
    return value if isinstance(value, Markup) else Markup(html.escape(str(value)))


def join(parts: Iterable[object]) -> Markup:
    """Values one after the other, as HTML."""
    return Markup("".join(text(part) for part in parts))


def element(name: str, *content: object, **attributes: object) -> Markup:
    """An element: ``element("td", 3, class_="number", aria_label="three")``.

    Args:
        name: of the element.
        content: what is inside.
        attributes: a trailing ``_`` is dropped, others become ``-``; None is left out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>{join(content)}</{name}>")
