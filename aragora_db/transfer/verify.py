"""Verify an earlier import: look up every row of the sources in the database."""

from __future__ import annotations

import time
from datetime import tzinfo
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from aragora_db.models import Base, LegacyRow
from aragora_db.transfer.options import Options, Progress, resolve_timezone
from aragora_db.transfer.prefetch import prefetch
from aragora_db.transfer.report import TableReport
from aragora_db.transfer.rows.stream import Stream
from aragora_db.transfer.source.shapes import Shape
from aragora_db.transfer.table_import import Job, Stopped
from aragora_db.transfer.target import import_ledger, merge
from aragora_db.transfer.target.loaders import loader_of
from aragora_db.transfer.target.merge import decide
from aragora_db.transfer.target.parking import as_json, fingerprint, row_key
from aragora_db.transfer.target.proof import Checksum, present_digest, read_digest
from aragora_db.transfer.target.staging_tables import stage

__all__ = ["verify"]

_legacy: Any = LegacyRow.__table__


_CHANGED = "there with other values: changed since the import, or newer than what was imported"


def verify(connection: Connection, job: Job, options: Options, progress: Progress) -> TableReport:
    """Look up every row of a table, in a transaction that the caller rolls back.

    A row counts as carried when it is there as it was read, as merged when it was changed since, as parked when it is
    in ``legacy_rows``, as rejected when no column could hold it. The table fails when others are left.

    Naive timestamps are read in the zone of the import.

    Raises:
        Stopped: the import is to end.
    """
    started = time.perf_counter()
    target = "legacy_rows" if job.shape is None else job.shape.target
    report = TableReport(job.snapshot.file.name, job.source.name, target, job.source.rows)
    done = import_ledger.find_imported(connection, job.snapshot.content_hash).get(job.source.name)
    if done is None:
        report.failed = "not imported yet, or the file was written to since: run the import"
        return report
    verifier = _TableVerifier(connection, job, done["source_file"], report, options, progress)
    if job.shape is None:
        verifier.verify_parked_rows()
    elif not verifier.matches_whole_table(job.shape, local := resolve_timezone(done["source_timezone"])[1]):
        verifier.verify_rows(job.shape, local)
        # Orphans that were refused instead of parked: --orphans reject.
        report.rejected += min(_missing(report), max(0, done["rejected"] - report.rejected))
    if verifier.unnoted and report.failed is None:
        report.failed = f"{verifier.unnoted} rows had columns without a place, and are not in legacy_rows any more"
    if not report.adds_up and report.failed is None:
        places = "not in legacy_rows" if job.shape is None else f"neither in {target} nor in legacy_rows"
        report.failed = f"{_missing(report)} rows are {places}"
    report.seconds = time.perf_counter() - started
    return report


def _missing(report: TableReport) -> int:
    return report.rows - report.carried - report.merged - report.rejected - report.parked


class _TableVerifier:
    """Looks up the rows of one table and counts them in the report."""

    def __init__(
        self,
        connection: Connection,
        job: Job,
        source_file: str,
        report: TableReport,
        options: Options,
        progress: Progress,
    ) -> None:
        self._connection, self._job, self._source_file = connection, job, source_file
        self._report, self._options, self._progress = report, options, progress
        self.unnoted = 0
        """Rows with a value in a column that has no place, which are not in ``legacy_rows``."""

    def matches_whole_table(self, shape: Shape, local: tzinfo) -> bool:
        """Whether a table of ours holds exactly the source's rows, by one checksum."""
        tables = [Base.metadata.tables[name] for name in (shape.target, *shape.parts)]
        count = self._connection.scalar(sa.select(sa.func.count()).select_from(tables[0]))
        if count != self._job.source.rows or shape.unknown:
            return False
        stream = Stream(self._job.snapshot, self._job.source, shape, local)
        for block in stream:
            if block.refused:
                return False
        found: list[Checksum] = []
        for table in tables:
            columns = [table.c[column.name] for column in stream.columns[table.name]]
            digest = read_digest(self._connection, sa.select(*columns))
            if digest != stream.digests[table.name]:
                return False
            found.append(Checksum(table.name, digest.rows, str(digest)))
        self._report.carried, self._report.checksums = self._job.source.rows, found
        return True

    def verify_rows(self, shape: Shape, local: tzinfo) -> None:
        """Stage the rows and count the decisions."""
        connection, report = self._connection, self._report
        loader = loader_of(connection)
        stream = Stream(self._job.snapshot, self._job.source, shape, local, as_values=loader.takes_values)
        main, *parts = stage(connection, shape, stream, lambda table: table)
        tables = {staged.target.name: staged.staging for staged in (main, *parts)}
        with prefetch(stream) as blocks:
            for block in blocks:
                self._check_stop()
                loader.load(connection, tables, block)
                report.rejected += len(block.refused)
                self.unnoted += sum(not self._is_parked(each.row) for each in block.noted)
                self._progress.advance(self._job.name, block.read)
        decide(connection, main, parts, Base.metadata.tables)
        counted = sa.select(main.staging.c.decision, sa.func.count()).group_by(main.staging.c.decision)
        for decision, rows in connection.execute(counted):
            if decision == "same":
                report.carried += rows
            elif decision in {"older", "newer"}:
                report.merged += rows
                report.reasons[_CHANGED] += rows
        self._find_absent(main)
        for staged in (main, *parts):
            digest = present_digest(connection, main, staged)
            report.checksums.append(Checksum(staged.target.name, digest.rows, str(digest)))
        for staged in (*parts, main):
            staged.staging.drop(connection)

    def _find_absent(self, main: merge.StagedTable) -> None:
        """Count the rows that do not exist as they were read: parked or changed."""
        staging = main.staging
        absent = merge.is_any(staging, None, "renumbered", "conflict", "orphan")
        numbers = self._connection.scalars(sa.select(staging.c.source_key).where(absent).order_by(staging.c.source_key))
        for row in self._job.snapshot.rows(self._job.source, numbers.all()):
            if self._is_parked(row):
                self._report.parked += 1
            elif self._has_key(main, row[0]):
                self._report.merged += 1
                self._report.reasons[_CHANGED] += 1

    def _has_key(self, main: merge.StagedTable, number: int) -> bool:
        """Whether a row with this key exists with other values, in a table without a modification time."""
        if not main.key:
            return False
        staging = main.staging
        same = sa.exists().where(*(main.target.c[name] == staging.c[name] for name in main.key))
        found = sa.select(sa.func.count()).where(staging.c.source_key == number, same)
        return bool(self._connection.scalar(found))

    def _is_parked(self, row: Any) -> bool:
        source = self._job.source
        whole = {name: as_json(value) for name, value in zip(source.columns, row[1:], strict=True)}
        identity = fingerprint(self._source_file, source.name, row_key(source, row), whole)
        return bool(self._connection.scalar(sa.select(sa.exists().where(_legacy.c.fingerprint == identity))))

    def verify_parked_rows(self) -> None:
        """Look up the rows of a table that is not ours in ``legacy_rows``."""
        for rows in self._job.snapshot.chunks(self._job.source):
            self._check_stop()
            self._report.parked += sum(self._is_parked(row) for row in rows)
            self._progress.advance(self._job.name, len(rows))

    def _check_stop(self) -> None:
        if self._options.stop.is_set():
            raise Stopped
