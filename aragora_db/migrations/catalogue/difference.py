"""One thing that the database has otherwise than the models say."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from aragora_db.migrations.catalogue.snapshot import Kind

__all__ = ["Change", "Difference"]

Change: TypeAlias = Literal["missing", "unexpected", "changed"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One object that is missing, that should not be there, or that is not as the models have it.

    Attributes:
        kind: table, column, identity, constraint or index.
        table: the table it belongs to.
        name: its name; of an identity its column's, of an unnamed constraint its definition.
        change: seen from the database.
        expected: the definition that the models build, normalised; None when they have no such object.
        found: the definition in the database, normalised; None when it has no such object.
    """

    kind: Kind
    table: str
    name: str
    change: Change
    expected: str | None
    found: str | None

    def __str__(self) -> str:
        """One line; for a changed object both definitions below it."""
        subject = f"table {self.table}" if self.kind == "table" else f"{self.kind} {self.name} of table {self.table}"
        if self.change == "changed":
            return f"{subject} is not as the models have it\n  expected: {self.expected}\n  found:    {self.found}"
        if self.change == "missing":
            return f"{subject} is missing: {self.expected}"
        return f"{subject} is not in the models: {self.found}"

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        return asdict(self)
