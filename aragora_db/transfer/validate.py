"""Validate every value against the type and the constraints of its column, without a database."""

from __future__ import annotations

import time
from datetime import tzinfo

from aragora_db.transfer.options import Options, Progress
from aragora_db.transfer.prefetch import prefetch
from aragora_db.transfer.report import TableReport
from aragora_db.transfer.rows.stream import Stream
from aragora_db.transfer.table_import import Job, Stopped

__all__ = ["validate"]


def validate(job: Job, local: tzinfo, options: Options, progress: Progress) -> TableReport:
    """Report what would become of a table's rows in an empty database that holds all their parents.

    Raises:
        Stopped: the import is to end.
    """
    started = time.perf_counter()
    if job.shape is None:
        report = TableReport(job.snapshot.file.name, job.source.name, "legacy_rows", job.source.rows)
        report.parked = job.source.rows
        return report
    report = TableReport(job.snapshot.file.name, job.source.name, job.shape.target, job.source.rows)
    with prefetch(Stream(job.snapshot, job.source, job.shape, local)) as blocks:
        for block in blocks:
            if options.stop.is_set():
                raise Stopped
            report.carried += block.read - len(block.refused)
            report.noted += len(block.noted)
            report.rejected += len(block.refused)
            report.reasons.update(
                f"{each.column}: {each.reason}" if each.column else each.reason for each in block.refused
            )
            progress.advance(job.name, block.read)
    report.seconds = time.perf_counter() - started
    return report
