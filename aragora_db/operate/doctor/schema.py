"""Whether the schema is this version's: pending, ahead, edited or changed by hand."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.pool import NullPool

from aragora_db.engine import Target, create_engine
from aragora_db.errors import MigrationError
from aragora_db.migrations import scripts
from aragora_db.migrations.state import Verdict, read_state
from aragora_db.migrations.status import Status, status
from aragora_db.operate.doctor.check import DoctorCheck, Fault, Finding, ok, skipped
from aragora_db.operate.doctor.context import DoctorContext

__all__ = ["CHECKS"]

_FEW = 3

PENDING = Fault(
    "pending-migrations",
    "error",
    "The database waits for revisions; until then every session is refused with SchemaBehind.",
    "aragora-db migrate",
)
EMPTY = Fault(
    "empty-database",
    "warn",
    "There is no schema yet. The first use makes it, unless ARAGORA_AUTO_MIGRATE_ON_STARTUP is false.",
    "aragora-db migrate",
)
AHEAD = Fault(
    "schema-ahead",
    "error",
    "A newer version has migrated the database; this one refuses to touch it.",
    "deploy the newer version here too: pip install --upgrade aragora_db",
)
DIVERGED = Fault(
    "schema-diverged",
    "error",
    "The database and this version each have revisions the other does not know.",
    "aragora-db status  # then deploy a version that has both lines of revisions",
)
UNVERSIONED = Fault(
    "schema-unversioned",
    "error",
    "Tables of ours are there, and no record of which revisions made them.",
    "restore aragora_schema_version and schema_history from a backup, or point DATABASE_URL at an empty database",
)
EDITED = Fault(
    "revision-edited",
    "error",
    "A revision's file differs from the one that was applied, or released: nobody can say what the schema is.",
    "git checkout -- alembic/versions  # and put the change into a new revision: aragora-db revision -m TEXT",
)
DRIFT = Fault(
    "schema-drift",
    "error",
    "The database differs from the models: an index, a constraint, a column or a trigger was changed by hand.",
    "aragora-db check  # names each difference; then: aragora-db revision --autogenerate -m TEXT",
)


def _schema(context: DoctorContext) -> Iterator[Finding]:
    target = context.target
    if context.facts.get("journal", "wal") != "wal":
        yield skipped("a look with the package's own engine would switch the file to WAL", "aragora-db status")
    else:
        try:
            yield from _judge(status(target))
        except MigrationError as error:  # such as a role that may not make temporary tables
            yield from _judge(_state(target))
            yield skipped(f"tables are not compared with the models: {error}", "aragora-db check  # as the owner")


def _state(target: Target) -> Status:
    """The version and the history, without a comparison of the tables."""
    engine = create_engine(target, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            return Status(target.dsn.backend, target.dsn.masked, read_state(connection), ())
    finally:
        engine.dispose()


def _judge(found: Status) -> Iterator[Finding]:
    state = found.state
    match state.verdict:
        case Verdict.EMPTY:
            yield EMPTY.found("the database has no schema yet")
        case Verdict.BEHIND:
            names = ", ".join(state.pending[:_FEW]) + (", ..." if len(state.pending) > _FEW else "")
            yield PENDING.found(f"{len(state.pending)} revisions are pending after {state.current}: {names}")
        case Verdict.AHEAD:
            yield AHEAD.found(f"the database is at {state.current}; this version's newest is {scripts.head()}")
        case Verdict.DIVERGED:
            yield DIVERGED.found(
                f"the database is at {state.current}; the last revision both know is {state.last_common}"
            )
        case Verdict.UNVERSIONED:
            yield UNVERSIONED.found(f"{len(state.tables)} tables of ours without a version")
        case Verdict.AT_HEAD:
            if not (found.drift or state.edited):
                yield ok(f"at head ({state.current}), as the models say")
    if state.edited:
        yield EDITED.found(f"edited since: {', '.join(state.edited)}")
    if found.drift:
        some = "; ".join(str(each) for each in found.drift[:_FEW])
        yield DRIFT.found(f"{len(found.drift)} differences: {some}{'; ...' if len(found.drift) > _FEW else ''}")


def _applies(context: DoctorContext) -> str:
    return "a database in memory is made anew each time" if context.target.in_memory else ""


CHECKS = (
    DoctorCheck(
        "schema",
        "Is the schema this version's?",
        _schema,
        (PENDING, EMPTY, AHEAD, DIVERGED, UNVERSIONED, EDITED, DRIFT),
        _applies,
        ("login", "encoding", "writable", "integrity"),
        60,
    ),
)
