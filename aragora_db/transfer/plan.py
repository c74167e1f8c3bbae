"""Select the files and tables to import, and order them: parents before children."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import apsw

from aragora_db.errors import UsageError
from aragora_db.models import Base
from aragora_db.transfer.source.files import SourceFile, UnreadFile, discover
from aragora_db.transfer.source.opening import open_snapshot
from aragora_db.transfer.source.reasons import reason_of
from aragora_db.transfer.source.shapes import is_excluded, shape_of
from aragora_db.transfer.source.snapshot import Snapshot
from aragora_db.transfer.table_import import Job

__all__ = ["DEMO", "dependency_levels", "jobs_of", "open_snapshots", "select_files"]

DEMO = "demo.db"
"""What `aragora-db demo` makes up, in the same folder: no source unless it is named."""


def select_files(
    folder: Path, databases: Sequence[str], target: Path | None, archive: Path | None = None
) -> tuple[list[SourceFile], list[UnreadFile]]:
    """Return the databases below a folder, and the files that look like databases but are not.

    Args:
        folder: where to look.
        databases: names to choose, as in ``--database debates``; all when empty.
        target: the database that is imported into, which is no source of itself.
        archive: where files go that were imported, which may lie below the folder.

    Raises:
        UsageError: there is no such folder, or nothing of a chosen name in it.
    """
    if folder.is_file():
        raise UsageError(f"{folder} is a file: say --source-dir {folder.parent} --database {folder.stem}")
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}; name the one with Aragora's files: --source-dir DIR")
    found, left = discover(folder, None if archive is None else archive.resolve())
    found = [file for file in found if target is None or not _is_same(file.path, target)]
    if not databases:
        return [file for file in found if file.name != DEMO], left
    there_are = [*(file.name for file in found), *(file.name for file in left)]
    unknown = [name for name in databases if not any(_is_called(path, name) for path in there_are)]
    if unknown:
        names = sorted({Path(file.name).stem for file in found})
        near = difflib.get_close_matches(unknown[0].lower(), names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there is: {', '.join(names) or 'no SQLite database at all'}"
        raise UsageError(f"there is no database called {', '.join(unknown)} in {folder}; {hint}")
    return (
        [file for file in found if any(_is_called(file.name, name) for name in databases)],
        [file for file in left if any(_is_called(file.name, name) for name in databases)],
    )


def _is_same(one: Path, other: Path) -> bool:
    return other.exists() and one.samefile(other)


def _is_called(path: str, name: str) -> bool:
    """Whether a file is meant by a name: its path, its name, or that without its suffix or ``aragora_``."""
    file = Path(path)
    return name in {path, file.name, file.stem, file.stem.removeprefix("aragora_")}


def open_snapshots(files: Sequence[SourceFile], left: list[UnreadFile], stack: ExitStack) -> list[Snapshot]:
    """Open every file, each in a read transaction of its own until the stack is closed.

    Files that cannot be opened are added to `left`.
    """
    snapshots: list[Snapshot] = []
    for file in files:
        try:
            snapshots.append(stack.enter_context(open_snapshot(file)))
        except (apsw.Error, OSError) as error:
            left.append(UnreadFile(file.name, reason_of(error)))
    return snapshots


def jobs_of(snapshot: Snapshot) -> list[Job]:
    """Return a job for each table of a file, except bookkeeping and tables that are derived from others."""
    return [Job(snapshot, table, shape_of(table)) for table in snapshot.tables() if not is_excluded(table)]


def dependency_levels(jobs: Sequence[Job]) -> Iterator[list[list[Job]]]:
    """Yield levels of groups of jobs: the groups of a level may run in parallel, the jobs of a group run in turn."""
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        groups.setdefault("legacy_rows" if job.shape is None else job.shape.target, []).append(job)
    depths = _depths()
    for depth in sorted({depths[name] for name in groups}):
        level = [group for name, group in groups.items() if depths[name] == depth]
        yield sorted(level, key=lambda group: -sum(job.source.rows for job in group))  # the longest first


def _depths() -> dict[str, int]:
    depths: dict[str, int] = {}
    for table in Base.metadata.sorted_tables:
        parents = {key.column.table.name for key in table.foreign_keys} - {table.name}
        depths[table.name] = 1 + max((depths[parent] for parent in parents), default=-1)
    return depths
