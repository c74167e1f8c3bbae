"""The entries of a catalogue, in a form in which two databases can be compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import sqlalchemy as sa

__all__ = ["KINDS", "Entries", "Entry", "Kind", "Reader", "gather"]

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


Entries: TypeAlias = dict[Entry, str]
"""The normalised definition of every object. The order of columns is not part of it."""

Reader: TypeAlias = Callable[[sa.Connection, sa.MetaData, Collection[str]], tuple[Entries, Entries]]
"""Takes a connection, the models and table names; returns the entries that the models build and those that exist."""


def gather(found: Iterable[tuple[Entry, str]]) -> Entries:
    """Gather definitions by entry; all are kept where names repeat, as SQLite allows for constraints."""
    definitions: defaultdict[Entry, list[str]] = defaultdict(list)
    for entry, definition in found:
        definitions[entry].append(definition)
    return {entry: "; ".join(sorted(texts)) for entry, texts in definitions.items()}
