"""Run one table's job and report its failure, so that the other tables go on."""

from __future__ import annotations

from collections.abc import Callable

import apsw
from sqlalchemy.exc import DBAPIError

from aragora_db.errors import AragoraDBError, CommitUnknown, DatabaseUnavailable, LockTimeout
from aragora_db.transfer.options import Progress
from aragora_db.transfer.report import TableReport
from aragora_db.transfer.source.reasons import reason_of
from aragora_db.transfer.table_import import Job

__all__ = ["RETRYABLE_ERRORS", "run_job"]

RETRYABLE_ERRORS = (LockTimeout, DatabaseUnavailable, CommitUnknown)
"""Errors of the connection, not of the table. CommitUnknown is among them because the ledger row, written in the same
transaction, shows whether the commit happened."""


def run_job(job: Job, progress: Progress, work: Callable[[Job], TableReport]) -> TableReport:
    """Run a table's job and return its report, also if it failed.

    Raises:
        LockTimeout, DatabaseUnavailable, CommitUnknown: the database is unreachable, for the other tables as well.
    """
    progress.start(job.name, job.source.rows)
    try:
        table = work(job)
    except RETRYABLE_ERRORS:
        raise
    except (AragoraDBError, DBAPIError, apsw.Error) as error:
        reason = reason_of(error) if isinstance(error, apsw.Error) else _message_of(error)
        target = "legacy_rows" if job.shape is None else job.shape.target
        table = TableReport(job.snapshot.file.name, job.source.name, target, job.source.rows, failed=reason)
    progress.finish(job.name, "failed" if table.failed else "already there" if table.already else "done")
    return table


def _message_of(error: AragoraDBError | DBAPIError) -> str:
    """Return the error without the statement and its values, which SQLAlchemy's own messages quote."""
    if isinstance(error, AragoraDBError):
        return str(error)
    message = getattr(getattr(error.orig, "diag", None), "message_primary", None)
    return f"the database refused: {message or type(error.orig).__name__}"
