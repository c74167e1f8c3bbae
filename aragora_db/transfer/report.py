"""What an import did, table by table: figures that add up, checksums, and what was left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from aragora_db.transfer.source.files import UnreadFile
from aragora_db.transfer.target.proof import Checksum

__all__ = ["ImportReport", "TableReport"]

_COUNTS = ("rows", "carried", "merged", "rejected", "parked")


@dataclass
class TableReport:
    """One table of one file.

    Attributes:
        source_file: the file's path below the source folder.
        table: its name there.
        target: our table; ``legacy_rows`` for a table that we do not know.
        rows: in the source.
        carried: written into the target.
        merged: there already, the same or changed since.
        rejected: in the rejects file.
        parked: whole in ``legacy_rows``, for want of a parent, a free key or a table.
        noted: carried, and whole in ``legacy_rows`` as well, because a column has no place.
        checksums: of the rows in the target, equal on both sides; a line for each table of ours.
        reasons: why rows were rejected or parked, and how many.
        seconds: how long it took.
        load_seconds: how long of that until the rows were there; then come indexes, foreign keys and the proof.
        already: an earlier run did it.
        failed: why nothing of it was done, if so.
    """

    source_file: str
    table: str
    target: str
    rows: int = 0
    carried: int = 0
    merged: int = 0
    rejected: int = 0
    parked: int = 0
    noted: int = 0
    checksums: list[Checksum] = field(default_factory=list[Checksum])
    reasons: Counter[str] = field(default_factory=Counter[str])
    seconds: float = 0.0
    load_seconds: float = 0.0
    already: bool = False
    failed: str | None = None

    @property
    def adds_up(self) -> bool:
        """Whether every row of the source is accounted for."""
        return self.rows == self.carried + self.merged + self.rejected + self.parked

    @property
    def proven(self) -> bool:
        """Whether it was done, and every row is accounted for."""
        return self.failed is None and self.adds_up


@dataclass
class ImportReport:
    """A whole run.

    Attributes:
        mode: ``import``, ``dry run``, ``validation only`` or ``verify``.
        source_dir: the folder.
        target: the database, without its password; None when there was none.
        timezone: what naive timestamps were taken for.
        tables: each table of each file.
        left: files that were not read, and why.
        attached: rows parked by earlier runs that found their parents, by table.
        foreign_keys: whether the database was asked for rows without parents after the move: True, and there are none.
        rejects_file: where the rejected rows are.
        report_file: where this is kept as Markdown.
        archived: files that were moved away.
        notes: what else an operator should know.
    """

    mode: str
    source_dir: str
    target: str | None
    timezone: str
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds: float = 0.0
    tables: list[TableReport] = field(default_factory=list[TableReport])
    left: list[UnreadFile] = field(default_factory=list[UnreadFile])
    attached: dict[str, int] = field(default_factory=dict[str, int])
    foreign_keys: bool | None = None
    rejects_file: str | None = None
    report_file: str | None = None
    archived: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])

    @property
    def good(self) -> bool:
        """Whether everything was carried: nothing left, failed, rejected, and no row without its parent."""
        return (
            self.foreign_keys is not False
            and not self.left
            and all(table.proven and not table.rejected for table in self.tables)
        )

    @property
    def nothing_to_do(self) -> bool:
        """Whether earlier runs had done all of it."""
        return bool(self.tables) and all(table.already for table in self.tables)

    def total(self, count: str) -> int:
        """The sum of ``rows``, ``carried``, ``merged``, ``rejected``, ``parked`` or ``noted``."""
        return sum(int(getattr(table, count)) for table in self.tables)

    def as_dict(self) -> dict[str, Any]:
        """The versioned document of ``--json``."""
        return {
            "version": 1,
            "good": self.good,
            "mode": self.mode,
            "source_dir": self.source_dir,
            "target": self.target,
            "timezone": self.timezone,
            "started_at": self.started_at.isoformat(),
            "seconds": round(self.seconds, 3),
            "totals": {count: self.total(count) for count in _COUNTS},
            "tables": [
                {**asdict(table), "reasons": dict(table.reasons), "adds_up": table.adds_up} for table in self.tables
            ],
            "left": [asdict(file) for file in self.left],
            "attached": self.attached,
            "foreign_keys_hold": self.foreign_keys,
            "rejects_file": self.rejects_file,
            "report_file": self.report_file,
            "archived": self.archived,
            "notes": self.notes,
        }

    def markdown(self) -> str:
        """The report to keep beside the archive."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield f"# Import of {self.source_dir}, {self.started_at:%Y-%m-%d %H:%M:%S} UTC"
        yield ""
        yield f"Into {self.target or 'no database'} ({self.mode}), in {self.seconds:.1f} s."
        yield f"Naive timestamps were taken for local times of {self.timezone}."
        yield ""
        yield from _table(
            ["file", "table", "target", *_COUNTS, "checksum (source = target)"],
            [
                [
                    each.source_file,
                    each.table,
                    each.target,
                    *(str(getattr(each, name)) for name in _COUNTS),
                    _sums(each),
                ]
                for each in self.tables
            ]
            + [["", "all", "", *(str(self.total(name)) for name in _COUNTS), ""]],
        )
        for title, lines in self._sections():
            if lines:
                yield ""
                yield f"## {title}"
                yield ""
                yield from (f"- {line}" for line in lines)

    def _sections(self) -> Iterator[tuple[str, list[str]]]:
        yield "Not read", [f"{file.name}: {file.reason}" for file in self.left]
        yield "Failed", [f"{each.source_file}, {each.table}: {each.failed}" for each in self.tables if each.failed]
        yield (
            "Why rows were rejected or parked",
            [
                f"{each.source_file}, {each.table}: {count} {reason}"
                for each in self.tables
                for reason, count in sorted(each.reasons.items())
            ],
        )
        yield "Parked earlier, attached now", [f"{table}: {rows} rows" for table, rows in self.attached.items()]
        yield "Archived", self.archived
        yield "Notes", self.notes + ([f"rejected rows: {self.rejects_file}"] if self.rejects_file else [])


def _sums(table: TableReport) -> str:
    if table.failed:
        return "failed"
    shown = [
        each.checksum if len(table.checksums) == 1 else f"{each.table} {each.checksum}" for each in table.checksums
    ]
    return ", ".join(shown) or "-"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for cells in (head, ["---"] * len(head), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
