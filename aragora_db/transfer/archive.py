"""Move imported files away, and write the report beside them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from aragora_db.errors import UsageError
from aragora_db.transfer.options import Options
from aragora_db.transfer.report import ImportReport
from aragora_db.transfer.source.files import SourceFile
from aragora_db.transfer.source.opening import content_hash, exclusive_access

__all__ = ["archive_files", "check_archive_folder"]

_SIDE_FILES = ("-wal", "-shm", "-journal")


def check_archive_folder(files: Sequence[SourceFile], options: Options) -> None:
    """Keep an import from starting whose files could not all be moved away afterwards.

    Raises:
        UsageError: a file's place in ``options.archive`` is taken, or there can be no such folder.
    """
    if options.archive is None:
        return
    try:
        options.archive.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--archive {options.archive} cannot be made: {error.strerror}") from error
    for file in files:
        for suffix in ("", *_SIDE_FILES):
            place = options.archive / f"{file.name}{suffix}"
            if place.exists():
                raise UsageError(f"{place} exists already; choose another folder for --archive")


def archive_files(
    report: ImportReport, files: Sequence[SourceFile], options: Options, hashes: dict[str, str] | None = None
) -> None:
    """Move proven files into ``options.archive`` and write the report there, or else into the output folder."""
    if options.archive is not None:
        for file in files:
            why = _obstacle(report, file, hashes or {})
            if why is None:
                why = _moved_away(file, options)
            if why is None:
                report.archived.append(file.name)
            else:
                report.notes.append(f"{file.name} was not archived: {why}")
    if (report.nothing_to_do or options.verify_only) and not report.archived:
        return
    folder = options.archive or options.output_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = _free_name(folder, report)
        path.write_text(report.markdown(), encoding="utf-8")
        report.report_file = str(path)
    except OSError as error:
        report.notes.append(f"the report could not be written to {folder}: {error.strerror}")


def _free_name(folder: Path, report: ImportReport) -> Path:
    """A name that another import of the same second did not take."""
    path = folder / f"aragora-import-{report.started_at:%Y%m%dT%H%M%SZ}.md"
    return path if not path.exists() else folder / f"aragora-import-{report.started_at:%Y%m%dT%H%M%S%fZ}.md"


def _obstacle(report: ImportReport, file: SourceFile, hashes: dict[str, str]) -> str | None:
    tables = [table for table in report.tables if table.source_file == file.name]
    if any(each.name == file.name for each in report.left):
        return "it could not be read"
    unproven = [table.table for table in tables if not table.proven]
    if unproven:
        return f"not proven: {', '.join(unproven)}"
    if file.name in hashes and content_hash(file) != hashes[file.name]:
        return "it was written to during the import; run the import again"
    return None


def _moved_away(file: SourceFile, options: Options) -> str | None:
    """Move a file; return the reason if it cannot be moved."""
    assert options.archive is not None  # noqa: S101 -- the caller looked
    if (options.source_dir / file.name).is_symlink():
        return "it is a link; move what it leads to yourself"
    try:
        with exclusive_access(file.path) as alone:
            if not alone:
                return "another process has it open"
            _move(file, options.archive)
    except OSError as error:
        return f"it cannot be moved: {error.strerror}"
    return None


def _move(file: SourceFile, archive: Path) -> None:
    place = archive / file.name
    if place.exists():
        raise UsageError(f"{place} exists already; choose another folder for --archive")
    place.parent.mkdir(parents=True, exist_ok=True)
    # The WAL first: a database without it would look whole, and is not.
    for suffix in (*_SIDE_FILES, ""):
        path = file.path.with_name(file.path.name + suffix)
        if path.exists():
            shutil.move(path, place.with_name(place.name + suffix))
