"""Import one table of one file in one transaction: by bulk load into empty tables, else by staging and merging."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import tee
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from aragora_db.errors import ConstraintViolation
from aragora_db.models import Base
from aragora_db.transfer.options import Options, Progress
from aragora_db.transfer.prefetch import prefetch
from aragora_db.transfer.report import TableReport
from aragora_db.transfer.rows.stream import Block, Stream
from aragora_db.transfer.source.shapes import Shape
from aragora_db.transfer.source.snapshot import Snapshot, SourceTable
from aragora_db.transfer.target import bulk_load, import_ledger, merge
from aragora_db.transfer.target.loaders import loader_of
from aragora_db.transfer.target.merge import StagedTable, decide
from aragora_db.transfer.target.parking import RefusedRows, RejectsFile, park
from aragora_db.transfer.target.proof import prove_staged, prove_tables
from aragora_db.transfer.target.staging_tables import REASONS, VisibleTables, parked_numbers, parked_rows, stage

__all__ = ["Job", "Stopped", "TableImport"]

REBUILD_INDEXES_FROM = 20_000
"""Source rows from which on the time saved by building indexes afterwards is worth the exclusive lock."""


class Stopped(BaseException):
    """The import was asked to end; what was under way is rolled back."""


@dataclass(frozen=True)
class Job:
    """A source table to import. Its shape is None if it has no table of ours."""

    snapshot: Snapshot
    source: SourceTable
    shape: Shape | None

    @property
    def name(self) -> str:
        """Return the file and the table for progress and reports."""
        return f"{self.snapshot.file.name}: {self.source.name}"


class TableImport:
    """Imports tables. One object serves a whole run, from several threads.

    Args:
        options: how.
        zone: the name of the time zone of naive timestamps, and the zone.
        rejects: where refused rows go.
        progress: hears how far it is.
        dry_run_tables: in a dry run, tables that collect the rows which would be in ours, by name; else None.
    """

    def __init__(
        self,
        options: Options,
        zone: tuple[str, tzinfo],
        rejects: RejectsFile,
        progress: Progress,
        dry_run_tables: dict[str, sa.Table] | None = None,
    ) -> None:
        self._options, self._zone, self._rejects, self._progress, self._dry_run_tables = (
            options,
            zone,
            rejects,
            progress,
            dry_run_tables,
        )
        self._recorded: dict[tuple[str, str, str], TableReport] = {}

    def __call__(self, connection: Connection, job: Job) -> TableReport:
        """Import a table in the connection's transaction, unless an earlier run did.

        Raises:
            Stopped: the import is to end.
            ProofFailed: what was written is not what was read.
            DatabaseError: the database refused, or was lost.
        """
        started = time.perf_counter()
        identity = job.snapshot.content_hash, job.source.name, job.snapshot.file.name
        done = import_ledger.find_imported(connection, job.snapshot.content_hash).get(job.source.name)
        if done is not None:
            if identity in self._recorded:  # a commit whose outcome was unknown has happened
                return self._recorded[identity]
            report = import_ledger.earlier_report(done, job.snapshot.file.name)
            if any(identity[:2] == each[:2] for each in list(self._recorded)):  # two files have the same content
                report.merged, report.carried = report.merged + report.carried, 0
            if self._options.timezone not in {None, done["source_timezone"]} and report.rows:
                was = f"read as local times of {done['source_timezone']} in an earlier run, and not again"
                report.reasons[was] = report.rows
            return report
        target = "legacy_rows" if job.shape is None else job.shape.target
        report = TableReport(job.snapshot.file.name, job.source.name, target, job.source.rows)
        refusals = RefusedRows(job.snapshot.file.name, job.source)
        try:
            if not job.source.rows:
                self._keep_sequence(connection, job)
            elif job.shape is None:
                self._park_unknown_table(connection, job, report)
            elif not (self._bulk_load(connection, job, job.shape, report, refusals)):
                self._stage_and_merge(connection, job, job.shape, report, refusals)
            report.rejected = refusals.count
            report.reasons.update(refusals.reasons)
            report.seconds = time.perf_counter() - started
            if self._dry_run_tables is None:
                rejects = self._rejects.append(refusals)
                import_ledger.record(connection, job.snapshot.content_hash, report, self._zone[0], rejects)
                self._recorded[identity] = report
                if report.carried:
                    import_ledger.add_pending_reindex(connection, target)
        finally:
            refusals.close()
        return report

    def _keep_sequence(self, connection: Connection, job: Job) -> None:
        """Advance the sequence for an empty source table, so that ids of its deleted rows are not assigned again."""
        if job.shape is not None and job.source.sequence and self._dry_run_tables is None:
            loader_of(connection).finish_load(connection, Base.metadata.tables[job.shape.target], job.source.sequence)

    # -- bulk load into empty tables ----------------------------------------------------------------------------------

    def _bulk_load(
        self, connection: Connection, job: Job, shape: Shape, report: TableReport, refusals: RefusedRows
    ) -> bool:
        """COPY into empty tables without indexes, if possible; return False, with nothing changed, if not."""
        tables = [Base.metadata.tables[name] for name in (shape.target, *shape.parts)]
        foreign = {key.referred_table.name for table in tables for key in table.foreign_key_constraints}
        if (
            self._dry_run_tables is not None
            or not loader_of(connection).supports_copy
            or job.source.rows < REBUILD_INDEXES_FROM
            or foreign - {shape.target}  # parents elsewhere: each row's has to be looked up
            or (shape.target in foreign and not shape.parts)  # parents in the table itself
            or not bulk_load.may_drop_indexes(connection, tables)
        ):
            return False
        started = time.perf_counter()
        savepoint = connection.begin_nested()
        stream = Stream(job.snapshot, job.source, shape, self._zone[1])
        columns = {name: [column.name for column in some] for name, some in stream.columns.items()}
        dropped = bulk_load.drop_indexes(connection, tables)
        if dropped is None:
            savepoint.rollback()
            return False
        try:
            for block in self._blocks(job, stream, report, refusals, connection):
                bulk_load.copy_block(connection, tables, columns, block)
            report.load_seconds = time.perf_counter() - started
            dropped.rebuild(connection)
        except ConstraintViolation:  # rows with one key twice: find out which, by the other way
            savepoint.rollback()
            refusals.clear()
            report.noted = 0
            return False
        savepoint.commit()
        report.checksums = prove_tables(connection, [(table, columns[table.name]) for table in tables], stream.digests)
        report.carried = stream.digests[shape.target].rows
        for table in tables:
            loader_of(connection).finish_load(
                connection, table, job.source.sequence if table.name == shape.target else 0
            )
        return True

    # -- stage and merge into tables with rows ------------------------------------------------------------------------

    def _stage_and_merge(
        self, connection: Connection, job: Job, shape: Shape, report: TableReport, refusals: RefusedRows
    ) -> None:
        started = time.perf_counter()
        loader = loader_of(connection)
        stream = Stream(job.snapshot, job.source, shape, self._zone[1], as_values=loader.takes_values)
        main, *parts = stage(connection, shape, stream, self._existing_rows)
        tables = {staged.target.name: staged.staging for staged in (main, *parts)}
        for block in self._blocks(job, stream, report, refusals, connection):
            loader.load(connection, tables, block)
        report.load_seconds = time.perf_counter() - started
        for staged in (main, *parts):
            loader.lock_and_analyze(connection, staged.target, staged.staging)
        decide(connection, main, parts, VisibleTables(self._existing_rows), parked_numbers(report.source_file))
        self._write(connection, main, parts)
        if self._dry_run_tables is None:
            report.checksums = prove_staged(connection, main, parts, stream.digests)
        self._count_decisions(connection, main, report)
        self._park_undecided(connection, job, main, report, refusals)
        if self._dry_run_tables is None:
            for staged in (main, *parts):
                loader.finish_load(connection, staged.target, job.source.sequence if staged is main else 0)
        for staged in (*parts, main):
            staged.staging.drop(connection)

    def _write(self, connection: Connection, main: StagedTable, parts: Sequence[StagedTable]) -> None:
        if self._dry_run_tables is not None:
            for staged in (main, *parts):
                belongs = [] if staged is main else [staged.staging.c.source_key == main.staging.c.source_key]
                rows = sa.select(*merge.final_columns(main, staged)).where(
                    *belongs, merge.is_any(main.staging, *merge.CARRIED)
                )
                would_be = self._dry_run_tables[staged.target.name]
                connection.execute(sa.insert(would_be).from_select(list(staged.columns), rows))
            return
        tables = [staged.target for staged in (main, *parts)]
        count = sa.select(sa.func.count()).select_from(main.staging)
        big = loader_of(connection).supports_copy and (connection.scalar(count) or 0) >= REBUILD_INDEXES_FROM
        dropped = (
            bulk_load.drop_indexes(connection, tables)
            if big and bulk_load.may_drop_indexes(connection, tables)
            else None
        )
        merge.write(connection, main, parts, keys_live=dropped is None)
        if dropped is not None:
            dropped.rebuild(connection)

    def _existing_rows(self, table: sa.Table) -> sa.FromClause:
        """Return a table; in a dry run, the table and the rows that would be in it."""
        if self._dry_run_tables is None:
            return table
        if table.name not in self._dry_run_tables:
            return table
        would_be = self._dry_run_tables[table.name]
        both = sa.union_all(sa.select(table), sa.select(*(would_be.c[column.name] for column in table.columns)))
        return both.subquery()

    def _count_decisions(self, connection: Connection, main: StagedTable, report: TableReport) -> None:
        counted = sa.select(main.staging.c.decision, sa.func.count()).group_by(main.staging.c.decision)
        for decision, rows in connection.execute(counted):
            if decision in merge.CARRIED:
                report.carried += rows
            elif decision in merge.MERGED:
                report.merged += rows

    def _park_undecided(
        self, connection: Connection, job: Job, main: StagedTable, report: TableReport, refusals: RefusedRows
    ) -> None:
        """Park orphans and conflicts, or refuse orphans if the options say so."""
        park_orphans = self._options.orphans == "park"

        def rows() -> Iterator[tuple[Sequence[Any], str]]:
            found, again = tee(parked_rows(connection, main.staging))
            numbers = (number for number, _ in again)
            for (_, decision), row in zip(found, job.snapshot.rows(job.source, numbers), strict=True):
                reason = REASONS[decision](main.target)
                if decision == "orphan" and not park_orphans:
                    refusals.add(row, None, reason)
                    continue
                report.parked += 1
                report.reasons[reason] += 1
                yield row, reason

        if self._dry_run_tables is None:
            park(connection, report.source_file, job.source, rows())
        else:
            for _ in rows():
                pass

    # -- tables that are not ours -------------------------------------------------------------------------------------

    def _park_unknown_table(self, connection: Connection, job: Job, report: TableReport) -> None:
        reason = "a table that has no place in the schema"

        def rows() -> Iterator[tuple[Sequence[Any], str]]:
            for some in job.snapshot.chunks(job.source):
                self._check_stop()
                self._progress.advance(job.name, len(some))
                report.parked += len(some)
                yield from ((row, reason) for row in some)

        if self._dry_run_tables is None:
            park(connection, report.source_file, job.source, rows())
        else:
            for _ in rows():
                pass
        if report.parked:
            report.reasons[reason] = report.parked

    # -- reading ------------------------------------------------------------------------------------------------------

    def _blocks(
        self, job: Job, stream: Stream, report: TableReport, refusals: RefusedRows, connection: Connection
    ) -> Iterator[Block]:
        """Yield blocks of translated rows, prefetched in another thread, and record the refused rows."""
        with prefetch(stream) as blocks:
            for block in blocks:
                self._check_stop()
                for refused in block.refused:
                    refusals.add(refused.row, refused.column, refused.reason)
                if block.noted:
                    report.noted += len(block.noted)
                    if self._dry_run_tables is None:
                        noted = ((each.row, each.reason) for each in block.noted)
                        park(connection, report.source_file, job.source, noted, replaces=False)
                yield block
                self._progress.advance(job.name, block.read)

    def _check_stop(self) -> None:
        if self._options.stop.is_set():
            raise Stopped
