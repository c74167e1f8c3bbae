"""What a catalogue holds, in a form that two databases can be compared by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import sqlalchemy as sa

__all__ = ["KINDS", "Entry", "Kind", "Reader", "Snapshot", "snapshot"]

Kind: TypeAlias = Literal["table", "column", "identity", "constraint", "index", "trigger"]

KINDS: tuple[Kind, ...] = get_args(Kind)
"""Every kind, in the order a report lists them."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of a schema.

    Attributes:
        kind: ``identity`` is whatever numbers a table's rows by itself: AUTOINCREMENT, IDENTITY, a serial's sequence.
        table: the table it belongs to.
        name: its name; the column's for an identity, the table's for a table, the definition for an unnamed
            constraint.
    """

    kind: Kind
    table: str
    name: str


Snapshot: TypeAlias = dict[Entry, str]
"""The normalised definition of every object. The order of columns is not part of it."""

Reader: TypeAlias = Callable[[sa.Connection, sa.MetaData, Collection[str]], tuple[Snapshot, Snapshot]]
"""Takes a connection, the models and the names of the tables; returns what the models build and what is there."""


def snapshot(found: Iterable[tuple[Entry, str]]) -> Snapshot:
    """Gather definitions by entry; all are kept where names repeat, as SQLite allows for constraints."""
    definitions: defaultdict[Entry, list[str]] = defaultdict(list)
    for entry, definition in found:
        definitions[entry].append(definition)
    return {entry: "; ".join(sorted(texts)) for entry, texts in definitions.items()}
