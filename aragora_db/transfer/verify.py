"""Proving later that what was imported is still there: every row of the sources is looked up in the database."""

from __future__ import annotations

import time
from datetime import tzinfo
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from aragora_db.models import Base, LegacyRow
from aragora_db.transfer.ahead import ahead
from aragora_db.transfer.move import Job, Stopped
from aragora_db.transfer.options import Options, Progress
from aragora_db.transfer.report import TableReport
from aragora_db.transfer.rows.stream import Stream
from aragora_db.transfer.target import ledger, merge
from aragora_db.transfer.target.parking import as_json, fingerprint, row_key
from aragora_db.transfer.target.proof import Checksum, present_digest, read_digest
from aragora_db.transfer.target.staged import stage
from aragora_db.transfer.target.staging import loader_of
from aragora_db.transfer.target.verdicts import judge

__all__ = ["verify"]

_legacy: Any = LegacyRow.__table__


def verify(connection: Connection, job: Job, local: tzinfo, options: Options, progress: Progress) -> TableReport:
    """Look up every row of a table, in a transaction that the caller rolls back.

    A row counts as carried when it is there as it was read, as merged when it was changed since, as parked when it is
    in ``legacy_rows``, as rejected when no column could hold it. The table fails when others are left.

    Raises:
        Stopped: the import is to end.
    """
    started = time.perf_counter()
    target = "legacy_rows" if job.shape is None else job.shape.target
    report = TableReport(job.snapshot.file.name, job.source.name, target, job.source.rows)
    done = ledger.recall(connection, job.snapshot.content_hash).get(job.source.name)
    if done is None:
        report.failed = "not imported yet, or the file was written to since: run the import"
        return report
    if job.shape is None:
        _count_parked(connection, job, report, options, progress)
    elif not _all_at_once(connection, job, local, report):
        _row_by_row(connection, job, local, report, options, progress)
        # Orphans that were refused instead of parked: --orphans reject.
        report.rejected += min(_missing(report), max(0, done["rejected"] - report.rejected))
    if not report.adds_up and report.failed is None:
        places = "not in legacy_rows" if job.shape is None else f"neither in {target} nor in legacy_rows"
        report.failed = f"{_missing(report)} rows are {places}"
    report.seconds = time.perf_counter() - started
    return report


def _missing(report: TableReport) -> int:
    return report.rows - report.carried - report.merged - report.rejected - report.parked


def _all_at_once(connection: Connection, job: Job, local: tzinfo, report: TableReport) -> bool:
    """Whether a table of ours holds exactly what the source does: one checksum says it."""
    assert job.shape is not None  # noqa: S101 -- the caller looked
    tables = [Base.metadata.tables[name] for name in (job.shape.target, *job.shape.parts)]
    count = connection.scalar(sa.select(sa.func.count()).select_from(tables[0]))
    if count != job.source.rows:
        return False
    stream = Stream(job.snapshot, job.source, job.shape, local)
    for block in stream:
        if block.refused:
            return False
    found: list[Checksum] = []
    for table in tables:
        columns = [table.c[column.name] for column in stream.columns[table.name]]
        digest = read_digest(connection, sa.select(*columns))
        if digest != stream.digests[table.name]:
            return False
        found.append(Checksum(table.name, digest.rows, str(digest)))
    report.carried, report.checksums = job.source.rows, found
    return True


def _row_by_row(
    connection: Connection, job: Job, local: tzinfo, report: TableReport, options: Options, progress: Progress
) -> None:
    assert job.shape is not None  # noqa: S101 -- the caller looked
    loader = loader_of(connection)
    stream = Stream(job.snapshot, job.source, job.shape, local, as_values=loader.takes_values)
    main, *parts = stage(connection, job.shape, stream, lambda table: table)
    tables = {staged.target.name: staged.staging for staged in (main, *parts)}
    with ahead(stream) as blocks:
        for block in blocks:
            if options.stop.is_set():
                raise Stopped
            loader.load(connection, tables, block)
            report.rejected += len(block.refused)
            progress.advance(job.name, block.read)
    judge(connection, main, parts, Base.metadata.tables)
    counted = sa.select(main.staging.c.verdict, sa.func.count()).group_by(main.staging.c.verdict)
    for verdict, rows in connection.execute(counted):
        if verdict == "same":
            report.carried += rows
        elif verdict in {"older", "newer"}:
            report.merged += rows
            report.reasons["changed since the import"] += rows
    _look_for(connection, job, main, report)
    for staged in (main, *parts):
        found = present_digest(connection, main, staged)
        report.checksums.append(Checksum(staged.target.name, found.rows, str(found)))
    for staged in (*parts, main):
        staged.staging.drop(connection)


def _look_for(connection: Connection, job: Job, main: merge.Staged, report: TableReport) -> None:
    """The rows that are not there as they were read: parked, or changed."""
    staging = main.staging
    absent = merge.is_any(staging, None, "renumbered", "conflict", "orphan")
    numbers = connection.scalars(sa.select(staging.c.source_key).where(absent).order_by(staging.c.source_key)).all()
    for number in numbers:
        if _is_parked(connection, job, job.snapshot.row(job.source, number)):
            report.parked += 1
        elif _is_there(connection, main, number):
            report.merged += 1
            report.reasons["changed since the import"] += 1


def _is_there(connection: Connection, main: merge.Staged, number: int) -> bool:
    """Whether a row of this key is there, with other values: changed, where no clock says when."""
    if not main.key:
        return False
    staging = main.staging
    same = sa.exists().where(*(main.target.c[name] == staging.c[name] for name in main.key))
    return bool(connection.scalar(sa.select(sa.func.count()).where(staging.c.source_key == number, same)))


def _is_parked(connection: Connection, job: Job, row: Any) -> bool:
    key = row_key(job.source, row)
    whole = {name: as_json(value) for name, value in zip(job.source.columns, row[1:], strict=True)}
    mark = fingerprint(job.snapshot.file.name, job.source.name, key, whole)
    return bool(connection.scalar(sa.select(sa.exists().where(_legacy.c.fingerprint == mark))))


def _count_parked(connection: Connection, job: Job, report: TableReport, options: Options, progress: Progress) -> None:
    for rows in job.snapshot.chunks(job.source):
        if options.stop.is_set():
            raise Stopped
        report.parked += sum(_is_parked(connection, job, row) for row in rows)
        progress.advance(job.name, len(rows))
