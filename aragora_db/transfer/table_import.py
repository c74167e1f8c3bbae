"""One table of one file on its way into the database: one transaction, all of it or nothing."""

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
from aragora_db.transfer.prefetch import ahead
from aragora_db.transfer.report import TableReport
from aragora_db.transfer.rows.stream import Block, Stream
from aragora_db.transfer.source.shapes import Shape
from aragora_db.transfer.source.snapshot import Snapshot, SourceTable
from aragora_db.transfer.target import bulk_load, ledger, merge
from aragora_db.transfer.target.loaders import loader_of
from aragora_db.transfer.target.merge import Staged
from aragora_db.transfer.target.merge_policy import judge
from aragora_db.transfer.target.parking import Refusals, Rejects, park
from aragora_db.transfer.target.proof import prove_staged, prove_whole
from aragora_db.transfer.target.staging_tables import REASONS, Everywhere, parked_numbers, parked_rows, stage

__all__ = ["Job", "Move", "Stopped"]

WORTH_DISMANTLING = 20_000
"""Source rows from which on building indexes afterwards is quicker than locking everybody out for it is bad."""


class Stopped(BaseException):
    """The import was asked to end; what was under way is rolled back."""


@dataclass(frozen=True)
class Job:
    """A table to move: where it is, and what it is. None is a table that we do not know."""

    snapshot: Snapshot
    source: SourceTable
    shape: Shape | None

    @property
    def name(self) -> str:
        """The file and the table, for people."""
        return f"{self.snapshot.file.name}: {self.source.name}"


class Move:
    """Moves tables. One object serves a whole run, from several threads.

    Args:
        options: how.
        zone: the name of the time zone of naive timestamps, and the zone.
        rejects: where refused rows go.
        progress: hears how far it is.
        kept: in a dry run, the tables that hold what would be in ours by now, by name.
    """

    def __init__(
        self,
        options: Options,
        zone: tuple[str, tzinfo],
        rejects: Rejects,
        progress: Progress,
        kept: dict[str, sa.Table] | None = None,
    ) -> None:
        self._options, self._zone, self._rejects, self._progress, self._kept = options, zone, rejects, progress, kept
        self._tried: dict[tuple[str, str, str], TableReport] = {}

    def __call__(self, connection: Connection, job: Job) -> TableReport:
        """Move a table, in the connection's transaction; what an earlier run did stays as it is.

        Raises:
            Stopped: the import is to end.
            ProofFailed: what was written is not what was read.
            DatabaseError: the database refused, or was lost.
        """
        started = time.perf_counter()
        this = job.snapshot.content_hash, job.source.name, job.snapshot.file.name
        done = ledger.recall(connection, job.snapshot.content_hash).get(job.source.name)
        if done is not None:
            if this in self._tried:  # the commit whose outcome was not known had come through
                return self._tried[this]
            report = ledger.reported(done, job.snapshot.file.name)
            if any(this[:2] == each[:2] for each in list(self._tried)):  # the file lies there twice
                report.merged, report.carried = report.merged + report.carried, 0
            if self._options.timezone not in {None, done["source_timezone"]} and report.rows:
                was = f"read as local times of {done['source_timezone']} in an earlier run, and not again"
                report.reasons[was] = report.rows
            return report
        target = "legacy_rows" if job.shape is None else job.shape.target
        report = TableReport(job.snapshot.file.name, job.source.name, target, job.source.rows)
        refusals = Refusals(job.snapshot.file.name, job.source)
        try:
            if not job.source.rows:
                self._keep_sequence(connection, job)
            elif job.shape is None:
                self._park_whole(connection, job, report)
            elif not (self._straight(connection, job, job.shape, report, refusals)):
                self._staged(connection, job, job.shape, report, refusals)
            report.rejected = refusals.count
            report.reasons.update(refusals.reasons)
            report.seconds = time.perf_counter() - started
            if self._kept is None:
                rejects = self._rejects.append(refusals)
                ledger.record(connection, job.snapshot.content_hash, report, self._zone[0], rejects)
                self._tried[this] = report
                if report.carried:
                    ledger.owe(connection, target)
        finally:
            refusals.close()
        return report

    def _keep_sequence(self, connection: Connection, job: Job) -> None:
        """An empty table: its rows are gone, and their numbers are not given out again."""
        if job.shape is not None and job.source.sequence and self._kept is None:
            loader_of(connection).after(connection, Base.metadata.tables[job.shape.target], job.source.sequence)

    # -- straight into empty tables -----------------------------------------------------------------------------------

    def _straight(
        self, connection: Connection, job: Job, shape: Shape, report: TableReport, refusals: Refusals
    ) -> bool:
        """COPY into empty tables, if that can be done; otherwise everything is as before."""
        tables = [Base.metadata.tables[name] for name in (shape.target, *shape.parts)]
        foreign = {key.referred_table.name for table in tables for key in table.foreign_key_constraints}
        if (
            self._kept is not None
            or not loader_of(connection).copies
            or job.source.rows < WORTH_DISMANTLING
            or foreign - {shape.target}  # parents elsewhere: each row's has to be looked up
            or (shape.target in foreign and not shape.parts)  # parents in the table itself
            or not bulk_load.may_dismantle(connection, tables)
        ):
            return False
        started = time.perf_counter()
        savepoint = connection.begin_nested()
        stream = Stream(job.snapshot, job.source, shape, self._zone[1])
        columns = {name: [column.name for column in some] for name, some in stream.columns.items()}
        dismantled = bulk_load.dismantle(connection, tables)
        if dismantled is None:
            savepoint.rollback()
            return False
        try:
            for block in self._blocks(job, stream, report, refusals, connection):
                bulk_load.copy_block(connection, tables, columns, block)
            report.load_seconds = time.perf_counter() - started
            dismantled.rebuild(connection)
        except ConstraintViolation:  # rows with one key twice: find out which, by the other way
            savepoint.rollback()
            refusals.clear()
            report.noted = 0
            return False
        savepoint.commit()
        report.checksums = prove_whole(connection, [(table, columns[table.name]) for table in tables], stream.digests)
        report.carried = stream.digests[shape.target].rows
        for table in tables:
            loader_of(connection).after(connection, table, job.source.sequence if table.name == shape.target else 0)
        return True

    # -- beside rows that are there -----------------------------------------------------------------------------------

    def _staged(self, connection: Connection, job: Job, shape: Shape, report: TableReport, refusals: Refusals) -> None:
        started = time.perf_counter()
        loader = loader_of(connection)
        stream = Stream(job.snapshot, job.source, shape, self._zone[1], as_values=loader.takes_values)
        main, *parts = stage(connection, shape, stream, self._there)
        tables = {staged.target.name: staged.staging for staged in (main, *parts)}
        for block in self._blocks(job, stream, report, refusals, connection):
            loader.load(connection, tables, block)
        report.load_seconds = time.perf_counter() - started
        for staged in (main, *parts):
            loader.settle(connection, staged.target, staged.staging)
        judge(connection, main, parts, Everywhere(self._there), parked_numbers(report.source_file))
        self._write(connection, main, parts)
        if self._kept is None:
            report.checksums = prove_staged(connection, main, parts, stream.digests)
        self._tally(connection, main, report)
        self._leave(connection, job, main, report, refusals)
        if self._kept is None:
            for staged in (main, *parts):
                loader.after(connection, staged.target, job.source.sequence if staged is main else 0)
        for staged in (*parts, main):
            staged.staging.drop(connection)

    def _write(self, connection: Connection, main: Staged, parts: Sequence[Staged]) -> None:
        if self._kept is not None:
            for staged in (main, *parts):
                belongs = [] if staged is main else [staged.staging.c.source_key == main.staging.c.source_key]
                rows = sa.select(*merge.final_columns(main, staged)).where(
                    *belongs, merge.is_any(main.staging, *merge.CARRIED)
                )
                kept = self._kept[staged.target.name]
                connection.execute(sa.insert(kept).from_select(list(staged.columns), rows))
            return
        tables = [staged.target for staged in (main, *parts)]
        count = sa.select(sa.func.count()).select_from(main.staging)
        big = loader_of(connection).copies and (connection.scalar(count) or 0) >= WORTH_DISMANTLING
        dismantled = (
            bulk_load.dismantle(connection, tables) if big and bulk_load.may_dismantle(connection, tables) else None
        )
        merge.write(connection, main, parts, keys_live=dismantled is None)
        if dismantled is not None:
            dismantled.rebuild(connection)

    def _there(self, table: sa.Table) -> sa.FromClause:
        """A table, or in a dry run the table and what would be in it by now."""
        if self._kept is None:
            return table
        if table.name not in self._kept:
            return table
        kept = self._kept[table.name]
        both = sa.union_all(sa.select(table), sa.select(*(kept.c[column.name] for column in table.columns)))
        return both.subquery()

    def _tally(self, connection: Connection, main: Staged, report: TableReport) -> None:
        counted = sa.select(main.staging.c.verdict, sa.func.count()).group_by(main.staging.c.verdict)
        for verdict, rows in connection.execute(counted):
            if verdict in merge.CARRIED:
                report.carried += rows
            elif verdict in merge.MERGED:
                report.merged += rows

    def _leave(self, connection: Connection, job: Job, main: Staged, report: TableReport, refusals: Refusals) -> None:
        """Park what cannot be carried now, or refuse it."""
        park_orphans = self._options.orphans == "park"

        def rows() -> Iterator[tuple[Sequence[Any], str]]:
            found, again = tee(parked_rows(connection, main.staging))
            numbers = (number for number, _ in again)
            for (_, verdict), row in zip(found, job.snapshot.rows(job.source, numbers), strict=True):
                reason = REASONS[verdict](main.target)
                if verdict == "orphan" and not park_orphans:
                    refusals.add(row, None, reason)
                    continue
                report.parked += 1
                report.reasons[reason] += 1
                yield row, reason

        if self._kept is None:
            park(connection, report.source_file, job.source, rows())
        else:
            for _ in rows():
                pass

    # -- tables that we do not know -----------------------------------------------------------------------------------

    def _park_whole(self, connection: Connection, job: Job, report: TableReport) -> None:
        reason = "a table that has no place in the schema"

        def rows() -> Iterator[tuple[Sequence[Any], str]]:
            for some in job.snapshot.chunks(job.source):
                self._check_stop()
                self._progress.advance(job.name, len(some))
                report.parked += len(some)
                yield from ((row, reason) for row in some)

        if self._kept is None:
            park(connection, report.source_file, job.source, rows())
        else:
            for _ in rows():
                pass
        if report.parked:
            report.reasons[reason] = report.parked

    # -- reading ------------------------------------------------------------------------------------------------------

    def _blocks(
        self, job: Job, stream: Stream, report: TableReport, refusals: Refusals, connection: Connection
    ) -> Iterator[Block]:
        """The source's rows, read ahead in another thread; refused ones are noted down on the way."""
        with ahead(stream) as blocks:
            for block in blocks:
                self._check_stop()
                for refused in block.refused:
                    refusals.add(refused.row, refused.column, refused.reason)
                if block.noted:
                    report.noted += len(block.noted)
                    if self._kept is None:
                        noted = ((each.row, each.reason) for each in block.noted)
                        park(connection, report.source_file, job.source, noted, instead=False)
                yield block
                self._progress.advance(job.name, block.read)

    def _check_stop(self) -> None:
        if self._options.stop.is_set():
            raise Stopped
