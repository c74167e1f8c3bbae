"""What changes nothing: dry runs, the look before a strict import, and the look back at an earlier one."""

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
from aragora_db.transfer.options import Options, Progress, Silent
from aragora_db.transfer.outcome import outcome_of
from aragora_db.transfer.plan import in_order
from aragora_db.transfer.report import Report, TableReport
from aragora_db.transfer.table_import import Job, Move
from aragora_db.transfer.target.loaders import loader_of
from aragora_db.transfer.target.parking import Rejects
from aragora_db.transfer.validate import validate
from aragora_db.transfer.verify import verify

__all__ = ["dry_run", "refuse_bad_rows", "verify_only"]


def verify_only(database: Database, jobs: Sequence[Job], options: Options, progress: Progress, report: Report) -> None:
    """Look up what an earlier run imported.

    Raises:
        TransferError: nothing was imported yet.
        DatabaseUnavailable: the database was lost.
    """
    report.mode = "verify"
    if _has_no_schema(database):
        raise TransferError(f"nothing was imported into {database.dsn.masked} yet; run the import first")
    database.ensure_ready()
    with locked_engine(database, options.lock_timeout) as engine, engine.connect() as connection:

        def look(job: Job) -> TableReport:
            return _apart(connection, lambda: verify(connection, job, options, progress))

        for level in in_order(jobs):
            for group in level:
                report.tables += [outcome_of(job, progress, look) for job in group]
        report.foreign_keys = loader_of(connection).foreign_keys_hold(connection)
        connection.rollback()


def refuse_bad_rows(
    database: Database | None, jobs: Sequence[Job], options: Options, local: tuple[str, tzinfo], report: Report
) -> None:
    """Keep a strict import from starting when something would be left.

    Raises:
        TransferError: naming what.
    """
    if database is not None and options.orphans == "reject":  # who is an orphan, only the database knows
        database.ensure_ready()
        rehearsed = Report("dry run", report.source_dir, report.target, report.timezone)
        dry_run(database, jobs, options, local, Silent(), rehearsed)
        checked = rehearsed.tables
    else:
        checked = [outcome_of(job, Silent(), lambda job: validate(job, local[1], options, Silent())) for job in jobs]
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
    report: Report,
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
            outcome_of(job, progress, lambda job: validate(job, local[1], options, progress))
            for level in in_order(jobs)
            for group in level
            for job in group
        ]
        return
    report.mode = "dry run"
    database.ensure_ready()
    with locked_engine(database, options.lock_timeout) as engine, engine.connect() as connection:
        kept = _kept_tables(connection, jobs)
        move = Move(options, local, Rejects(None), progress, kept)

        def rehearse(job: Job) -> TableReport:
            return _apart(connection, lambda: move(connection, job))

        for level in in_order(jobs):
            for group in level:
                report.tables += [outcome_of(job, progress, rehearse) for job in group]
        connection.rollback()


def _apart(connection: Connection, work: Callable[[], TableReport]) -> TableReport:
    """One table's work in a savepoint: what goes wrong with it is undone, and does not keep the others."""
    with connection.begin_nested():
        return work()


def _has_no_schema(database: Database) -> str | None:
    target = Target.of(database.settings)
    if target.missing_file or inspect_state(target).verdict is Verdict.EMPTY:
        return f"{database.dsn.masked} is empty, and a dry run does not prepare it"
    return None


def _kept_tables(connection: Connection, jobs: Sequence[Job]) -> dict[str, sa.Table]:
    """Temporary tables for what would be in ours by now."""
    kept: dict[str, sa.Table] = {}
    for shape in {job.shape.target: job.shape for job in jobs if job.shape is not None}.values():
        for name in (shape.target, *shape.parts):
            columns = (sa.Column(each.name, each.type) for each in Base.metadata.tables[name].columns)
            kept[name] = sa.Table(f"kept_{name}", sa.MetaData(), *columns, prefixes=["TEMPORARY"])
            kept[name].create(connection)
    return kept
