"""The modes that change nothing: dry runs, the check before a strict import, and verification."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo

import sqlalchemy as sa
from sqlalchemy import Connection

from aragora_db.database import Database
from aragora_db.engine import Target
from aragora_db.errors import TransferError
from aragora_db.migrations.state import Verdict
from aragora_db.migrations.upgrade import inspect_state
from aragora_db.models import Base
from aragora_db.transfer.import_lock import locked_engine
from aragora_db.transfer.options import NoProgress, Options, Progress
from aragora_db.transfer.outcome import run_job
from aragora_db.transfer.plan import dependency_levels
from aragora_db.transfer.report import ImportReport, TableReport
from aragora_db.transfer.table_import import Job, TableImport
from aragora_db.transfer.target.loaders import loader_of
from aragora_db.transfer.target.parking import RejectsFile
from aragora_db.transfer.validate import validate
from aragora_db.transfer.verify import verify

__all__ = ["check_strict", "dry_run", "verify_only"]


def verify_only(
    database: Database, jobs: Sequence[Job], options: Options, progress: Progress, report: ImportReport
) -> None:
    """Look up every row that an earlier run imported.

    Raises:
        TransferError: nothing was imported yet.
        DatabaseUnavailable: the database was lost.
    """
    report.mode = "verify"
    if _has_no_schema(database):
        raise TransferError(f"nothing was imported into {database.dsn.masked} yet; run the import first")
    database.ensure_ready()
    with locked_engine(database, options.lock_timeout) as engine, engine.connect() as connection:

        def verify_job(job: Job) -> TableReport:
            return _in_savepoint(connection, lambda: verify(connection, job, options, progress))

        for level in dependency_levels(jobs):
            for group in level:
                report.tables += [run_job(job, progress, verify_job) for job in group]
        report.foreign_keys = loader_of(connection).foreign_keys_hold(connection)
        connection.rollback()


def check_strict(
    database: Database | None, jobs: Sequence[Job], options: Options, local: tuple[str, tzinfo], report: ImportReport
) -> None:
    """Check that a strict import would leave nothing.

    Raises:
        TransferError: naming what.
    """
    if database is not None and options.orphans == "reject":  # who is an orphan, only the database knows
        database.ensure_ready()
        rehearsal = ImportReport("dry run", report.source_dir, report.target, report.timezone)
        dry_run(database, jobs, options, local, NoProgress(), rehearsal)
        checked = rehearsal.tables
    else:
        checked = [
            run_job(job, NoProgress(), lambda job: validate(job, local[1], options, NoProgress())) for job in jobs
        ]
    bad = [f"{each.source_file}, {each.table}: {each.rejected} rows" for each in checked if each.rejected]
    bad += [f"{file.name}: {file.reason}" for file in report.left]
    bad += [f"{each.source_file}, {each.table}: {each.failed}" for each in (*report.tables, *checked) if each.failed]
    if bad:
        raise TransferError(
            f"nothing was imported (--strict), because this cannot be carried: {'; '.join(bad)}. See why with "
            "--dry-run, or leave --strict out to have such rows written to a rejects file"
        )


def dry_run(
    database: Database | None,
    jobs: Sequence[Job],
    options: Options,
    local: tuple[str, tzinfo],
    progress: Progress,
    report: ImportReport,
) -> None:
    """Do everything in a transaction that is rolled back, into temporary tables; without a schema, validate only.

    Raises:
        SchemaBehind: the database has pending revisions.
    """
    reason = "no database was named" if database is None else _has_no_schema(database)
    if database is None or reason:
        report.mode = "validation only"
        report.notes.append(
            f"{reason}: values were validated; rows without a parent and keys that occur twice are found in a database "
            "that is prepared (aragora-db migrate)"
        )
        report.tables += [
            run_job(job, progress, lambda job: validate(job, local[1], options, progress))
            for level in dependency_levels(jobs)
            for group in level
            for job in group
        ]
        return
    report.mode = "dry run"
    database.ensure_ready()
    with locked_engine(database, options.lock_timeout) as engine, engine.connect() as connection:
        dry_run_tables = _dry_run_tables(connection, jobs)
        import_table = TableImport(options, local, RejectsFile(None), progress, dry_run_tables)

        def try_job(job: Job) -> TableReport:
            return _in_savepoint(connection, lambda: import_table(connection, job))

        for level in dependency_levels(jobs):
            for group in level:
                report.tables += [run_job(job, progress, try_job) for job in group]
        connection.rollback()


def _in_savepoint(connection: Connection, work: Callable[[], TableReport]) -> TableReport:
    """Run one table's work in a savepoint, so that its failure does not affect the other tables."""
    with connection.begin_nested():
        return work()


def _has_no_schema(database: Database) -> str | None:
    target = Target.of(database.settings)
    if target.missing_file or inspect_state(target).verdict is Verdict.EMPTY:
        return f"{database.dsn.masked} is empty, and a dry run does not prepare it"
    return None


def _dry_run_tables(connection: Connection, jobs: Sequence[Job]) -> dict[str, sa.Table]:
    """Create temporary tables that collect the rows which would be in our tables."""
    tables: dict[str, sa.Table] = {}
    for shape in {job.shape.target: job.shape for job in jobs if job.shape is not None}.values():
        for name in (shape.target, *shape.parts):
            columns = (sa.Column(each.name, each.type) for each in Base.metadata.tables[name].columns)
            tables[name] = sa.Table(f"kept_{name}", sa.MetaData(), *columns, prefixes=["TEMPORARY"])
            tables[name].create(connection)
    return tables
