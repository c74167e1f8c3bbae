"""A whole import: discover, open, move in order, follow up, prove, archive."""

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
from aragora_db.engine.retry import tries
from aragora_db.errors import TransferError, UsageError
from aragora_db.models import Base
from aragora_db.transfer import archive, dry_run
from aragora_db.transfer.adopt_orphans import attach, waiting
from aragora_db.transfer.import_lock import ImportLock, import_lock
from aragora_db.transfer.options import Options, Progress, Silent, zone
from aragora_db.transfer.outcome import AGAIN, outcome_of
from aragora_db.transfer.plan import DEMO, chosen_files, in_order, jobs_of, open_all
from aragora_db.transfer.reindex import follow_up
from aragora_db.transfer.report import Report, TableReport
from aragora_db.transfer.source.files import LeftFile
from aragora_db.transfer.source.reasons import reason_of
from aragora_db.transfer.table_import import Job, Move
from aragora_db.transfer.target import ledger
from aragora_db.transfer.target.loaders import loader_of
from aragora_db.transfer.target.parking import Rejects

__all__ = ["import_folder"]

T = TypeVar("T")


def import_folder(database: Database | None, options: Options, progress: Progress | None = None) -> Report:
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
    progress = progress or Silent()
    name, local = zone(options.timezone)
    started = time.perf_counter()
    report = Report("import", str(options.source_dir), database.dsn.masked if database else None, name)
    target = None if database is None else Target.of(database.settings)
    own = target.file if target else None
    files, report.left = chosen_files(options.source_dir, options.databases, own, options.archive)
    if not files and not report.left:
        raise UsageError(
            f"there is no SQLite database in {options.source_dir} (subfolders included; neither the target itself nor "
            f"{DEMO} counts); name another folder: --source-dir DIR"
        )
    archive.refuse_occupied(files, options)
    with ExitStack() as stack:
        snapshots = open_all(files, report.left, stack)
        jobs: list[Job] = []
        for snapshot in snapshots:
            try:
                jobs += jobs_of(snapshot)
            except (apsw.Error, UnicodeDecodeError) as error:
                report.left.append(LeftFile(snapshot.file.name, reason_of(error)))
            report.tables += [
                TableReport(snapshot.file.name, table, "-", failed=why) for table, why in snapshot.damaged.items()
            ]
        if options.strict:
            dry_run.refuse_bad_rows(database, jobs, options, (name, local), report)
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
        archive.keep(report, files, options, {each.file.name: each.content_hash for each in snapshots})
    return report


def _import(
    lock: ImportLock,
    jobs: Sequence[Job],
    options: Options,
    local: tuple[str, tzinfo],
    progress: Progress,
    report: Report,
) -> None:
    rejects = Rejects(options.output_dir)
    move = Move(options, local, rejects, progress)

    def commit(job: Job) -> TableReport:
        return _committed(lock, lambda connection: move(connection, job))

    def run(group: Sequence[Job]) -> list[TableReport]:
        return [outcome_of(job, progress, commit) for job in group]

    with lock.engine.connect() as connection:
        workers = max(1, min(options.jobs, loader_of(connection).connections))
    with _tuned_interpreter():
        for level in in_order(jobs):
            report.tables += _side_by_side(run, level, workers, options)
    report.rejects_file = None if rejects.path is None else str(rejects.path)
    if _committed(lock, ledger.owed):
        _attach(lock, report)
        owed = _committed(lock, ledger.owed)
        progress.start("what follows from the rows: search words, head to head", 1)
        _persistently(lock, lambda: follow_up(lock.engine, owed))
        _committed(lock, lambda connection: ledger.pay(connection, owed))
        progress.finish("what follows from the rows: search words, head to head", "done")
    report.foreign_keys = _committed(lock, lambda connection: loader_of(connection).foreign_keys_hold(connection))


@contextmanager
def _tuned_interpreter() -> Generator[None]:
    """Let a thread that wakes up, because the socket takes more, have the interpreter sooner; collect garbage seldom.

    A reader that computes keeps it for 5 ms otherwise, at each of the many small writes of a COPY: a fifth of the
    time of an import with two jobs. Rows are tuples by the million and no cycles; looking for some took 8 %.
    """
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(min(interval, 0.001))
    gc.set_threshold(max(thresholds[0], 50_000), *thresholds[1:])
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*thresholds)


def _side_by_side(
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


def _committed(lock: ImportLock, work: Callable[[Connection], T]) -> T:
    """A unit of work in a transaction of its own, again when another one, or the network, was in the way."""

    def once() -> T:
        with lock.engine.begin() as connection:
            return work(connection)

    return _persistently(lock, once)


def _persistently(lock: ImportLock, work: Callable[[], T]) -> T:
    for attempt in tries(retryable=AGAIN):
        with attempt:
            lock.hold()
            return work()
        time.sleep(attempt.pause)
    raise AssertionError("unreachable")


def _attach(lock: ImportLock, report: Report) -> None:
    groups = _committed(lock, waiting)
    for file, table in groups:
        found = _committed(lock, partial(_attach_one, file=file, table=table, zone_name=report.timezone))
        if found:
            report.attached[table] = report.attached.get(table, 0) + found
            _move_count(report, file, table, found)


def _attach_one(connection: Connection, *, file: str, table: str, zone_name: str) -> int:
    found = attach(connection, file, table, zone_name)
    if found:
        ledger.owe(connection, table)
    return found


def _move_count(report: Report, file: str, table: str, found: int) -> None:
    for each in report.tables:
        if (each.source_file, each.table) == (file, table) and not each.failed:
            each.parked -= found
            each.carried += found
            each.reasons = +each.reasons
            for reason in [reason for reason in each.reasons if reason.startswith("orphan:")]:
                each.reasons[reason] -= found
            each.reasons = +each.reasons
