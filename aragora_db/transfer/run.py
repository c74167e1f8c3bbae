"""Run an import: find and open the files, import their tables in order, reindex, archive."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import tzinfo
from functools import partial
from typing import TypeVar

import apsw
from sqlalchemy import Connection

from aragora_db.database import Database
from aragora_db.engine import Target
from aragora_db.engine.retry import ATTEMPTS, retry
from aragora_db.errors import TransferError, UsageError
from aragora_db.models import Base
from aragora_db.transfer import archive, dry_run
from aragora_db.transfer.adopt_orphans import adopt_orphans, tables_with_orphans
from aragora_db.transfer.import_lock import ImportLock, import_lock
from aragora_db.transfer.options import NoProgress, Options, Progress, resolve_timezone
from aragora_db.transfer.outcome import RETRYABLE_ERRORS, run_job
from aragora_db.transfer.plan import DEMO, dependency_levels, jobs_of, open_snapshots, select_files
from aragora_db.transfer.reindex import reindex
from aragora_db.transfer.report import ImportReport, TableReport
from aragora_db.transfer.source.files import UnreadFile
from aragora_db.transfer.source.reasons import reason_of
from aragora_db.transfer.table_import import Job, TableImport
from aragora_db.transfer.target import import_ledger
from aragora_db.transfer.target.loaders import loader_of
from aragora_db.transfer.target.parking import RejectsFile

__all__ = ["import_folder"]

T = TypeVar("T")


def import_folder(database: Database | None, options: Options, progress: Progress | None = None) -> ImportReport:
    """Import Aragora's SQLite files.

    Args:
        database: where to; None only validates, which needs ``options.dry_run``.
        options: what and how.
        progress: hears how far it is.

    Returns:
        What was done. ``report.good`` is False when a file, a table or a row was left.

    Raises:
        UsageError: there is nothing to import, or a file's place in ``options.archive`` is taken.
        TransferError: ``options.strict``, and rows would be rejected; or ``options.verify_only``, and nothing is there.
        TransferLocked: another import is running.
        DatabaseUnavailable: the database was lost; run it again, and it goes on.
        SchemaBehind: the database has pending revisions.
    """
    if database is None and not options.dry_run:
        raise TransferError("an import needs a database; only a dry run does without")
    progress = progress or NoProgress()
    name, local = resolve_timezone(options.timezone)
    started = time.perf_counter()
    report = ImportReport("import", str(options.source_dir), database.dsn.masked if database else None, name)
    target = None if database is None else Target.of(database.settings)
    own = target.file if target else None
    files, report.left = select_files(options.source_dir, options.databases, own, options.archive)
    if not files and not report.left:
        raise UsageError(
            f"there is no SQLite database in {options.source_dir} (subfolders included; neither the target itself nor "
            f"{DEMO} counts); name another folder: --source-dir DIR"
        )
    archive.check_archive_folder(files, options)
    with ExitStack() as stack:
        snapshots = open_snapshots(files, report.left, stack)
        jobs: list[Job] = []
        for snapshot in snapshots:
            try:
                jobs += jobs_of(snapshot)
            except (apsw.Error, UnicodeDecodeError) as error:
                report.left.append(UnreadFile(snapshot.file.name, reason_of(error)))
            report.tables += [
                TableReport(snapshot.file.name, table, "-", failed=why) for table, why in snapshot.damaged.items()
            ]
        if options.strict:
            dry_run.check_strict(database, jobs, options, (name, local), report)
        if options.dry_run:
            dry_run.dry_run(database, jobs, options, (name, local), progress, report)
        elif database is not None and options.verify_only:
            dry_run.verify_only(database, jobs, options, progress, report)
        elif database is not None:
            database.ensure_ready()
            with import_lock(database, options.lock_timeout) as lock:
                try:
                    _import(lock, jobs, options, (name, local), progress, report)
                finally:  # some tables may be there; COPY is not told like other writes
                    database.shared.committed(frozenset(Base.metadata.tables))
    report.seconds = time.perf_counter() - started
    if not options.dry_run:
        archive.archive_files(report, files, options, {each.file.name: each.content_hash for each in snapshots})
    return report


def _import(
    lock: ImportLock,
    jobs: Sequence[Job],
    options: Options,
    local: tuple[str, tzinfo],
    progress: Progress,
    report: ImportReport,
) -> None:
    rejects = RejectsFile(options.output_dir)
    import_table = TableImport(options, local, rejects, progress)

    def commit(job: Job) -> TableReport:
        return _in_transaction(lock, lambda connection: import_table(connection, job))

    def run(group: Sequence[Job]) -> list[TableReport]:
        return [run_job(job, progress, commit) for job in group]

    with lock.engine.connect() as connection:
        workers = max(1, min(options.jobs, loader_of(connection).max_connections))
    with _tuned_interpreter():
        for level in dependency_levels(jobs):
            report.tables += _run_level(run, level, workers, options)
    report.rejects_file = None if rejects.path is None else str(rejects.path)
    if _in_transaction(lock, import_ledger.pending_reindex):
        _adopt_orphans(lock, report)
        owed = _in_transaction(lock, import_ledger.pending_reindex)
        progress.start("what follows from the rows: search words, head to head", 1)
        _retry(lock, lambda: reindex(lock.engine, owed))
        _in_transaction(lock, lambda connection: import_ledger.clear_pending_reindex(connection, owed))
        progress.finish("what follows from the rows: search words, head to head", "done")
    report.foreign_keys = _in_transaction(lock, lambda connection: loader_of(connection).foreign_keys_hold(connection))


@contextmanager
def _tuned_interpreter() -> Generator[None]:
    """Shorten the interpreter's switch interval and collect garbage less often, for the length of a block.

    A reader thread keeps the interpreter for 5 ms otherwise, at each of the many small writes of a COPY: a fifth of the
    time of an import with two jobs. Rows are millions of tuples without cycles; searching for cycles took 8 %.
    """
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(min(interval, 0.001))
    gc.set_threshold(max(thresholds[0], 50_000), *thresholds[1:])
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*thresholds)


def _run_level(
    run: Callable[[Sequence[Job]], list[TableReport]], level: Sequence[Sequence[Job]], workers: int, options: Options
) -> list[TableReport]:
    with ThreadPoolExecutor(workers, thread_name_prefix="aragora-import") as pool:
        futures = [pool.submit(run, group) for group in level]
        try:
            return [table for future in futures for table in future.result()]
        except BaseException:
            # Ctrl-C, or a database that is gone: what is under way is rolled back, the rest does not begin.
            options.stop.set()
            for future in futures:
                future.cancel()
            raise


def _in_transaction(lock: ImportLock, work: Callable[[Connection], T]) -> T:
    """Run a unit of work in its own transaction; retry it after a lock timeout or a lost connection."""

    def once() -> T:
        with lock.engine.begin() as connection:
            return work(connection)

    return _retry(lock, once)


def _retry(lock: ImportLock, work: Callable[[], T]) -> T:
    def once() -> T:
        lock.ensure_held()
        return work()

    return retry(once, attempts=ATTEMPTS, errors=RETRYABLE_ERRORS)


def _adopt_orphans(lock: ImportLock, report: ImportReport) -> None:
    groups = _in_transaction(lock, tables_with_orphans)
    for file, table in groups:
        found = _in_transaction(lock, partial(_adopt_one_table, file=file, table=table, zone_name=report.timezone))
        if found:
            report.attached[table] = report.attached.get(table, 0) + found
            _count_as_carried(report, file, table, found)


def _adopt_one_table(connection: Connection, *, file: str, table: str, zone_name: str) -> int:
    found = adopt_orphans(connection, file, table, zone_name)
    if found:
        import_ledger.add_pending_reindex(connection, table)
    return found


def _count_as_carried(report: ImportReport, file: str, table: str, found: int) -> None:
    for each in report.tables:
        if (each.source_file, each.table) == (file, table) and not each.failed:
            each.parked -= found
            each.carried += found
            each.reasons = +each.reasons
            for reason in [reason for reason in each.reasons if reason.startswith("orphan:")]:
                each.reasons[reason] -= found
            each.reasons = +each.reasons
