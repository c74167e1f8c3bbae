"""One table's outcome: what goes wrong with it does not keep the others."""

from __future__ import annotations

from collections.abc import Callable

import apsw
from sqlalchemy.exc import DBAPIError

from aragora_db.errors import AragoraDBError, CommitUnknown, DatabaseUnavailable, LockTimeout
from aragora_db.transfer.options import Progress
from aragora_db.transfer.report import TableReport
from aragora_db.transfer.source.reasons import reason_of
from aragora_db.transfer.table_import import Job

__all__ = ["AGAIN", "outcome_of"]

AGAIN = (LockTimeout, DatabaseUnavailable, CommitUnknown)
"""What is no table's fault and may be tried again; a commit whose outcome is not known too, for the ledger, written
with it, says what became of it."""


def outcome_of(job: Job, progress: Progress, work: Callable[[Job], TableReport]) -> TableReport:
    """A table's report, also when it failed.

    Raises:
        LockTimeout, DatabaseUnavailable, CommitUnknown: the database is gone, for the other tables as well.
    """
    progress.start(job.name, job.source.rows)
    try:
        table = work(job)
    except AGAIN:
        raise
    except (AragoraDBError, DBAPIError, apsw.Error) as error:
        reason = reason_of(error) if isinstance(error, apsw.Error) else _in_words(error)
        target = "legacy_rows" if job.shape is None else job.shape.target
        table = TableReport(job.snapshot.file.name, job.source.name, target, job.source.rows, failed=reason)
    progress.finish(job.name, "failed" if table.failed else "already there" if table.already else "done")
    return table


def _in_words(error: AragoraDBError | DBAPIError) -> str:
    """Without the statement and its values, which SQLAlchemy's own texts quote."""
    if isinstance(error, AragoraDBError):
        return str(error)
    message = getattr(getattr(error.orig, "diag", None), "message_primary", None)
    return f"the database refused: {message or type(error.orig).__name__}"
