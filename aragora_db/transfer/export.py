"""Export a whole database into one SQLite file of our schema, with the same proof as an import."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy import Connection

from aragora_db.database import Database
from aragora_db.engine import READ_ONLY_OPTIONS
from aragora_db.errors import ProofFailed, TransferError, UsageError
from aragora_db.models import Base
from aragora_db.transfer.import_lock import engine_without_timeouts
from aragora_db.transfer.options import NoProgress, Progress
from aragora_db.transfer.rows.translate import copy_order
from aragora_db.transfer.source.opening import exclusive_access
from aragora_db.transfer.target.loaders import loader_of
from aragora_db.transfer.target.proof import Checksum, read_digest

__all__ = ["Export", "export_file", "exported_tables"]

_SLICE = 2_000
_SIDE_FILES = ("-wal", "-shm", "-journal")


@dataclass(frozen=True)
class Export:
    """What was written: the file, and each table's rows with the checksum that both sides have."""

    file: Path
    tables: list[Checksum]


def exported_tables() -> list[sa.Table]:
    """Every table but the history of the schema, which the new file has of its own; parents first."""
    return [table for table in Base.metadata.sorted_tables if table.name != "schema_history"]


def export_file(database: Database, path: Path, progress: Progress | None = None) -> Export:
    """Write a database into a new SQLite file.

    It is read in one snapshot, so writers change nothing; the file appears when it is complete.

    Args:
        database: where from.
        path: the file, which must not exist.
        progress: hears how far it is.

    Raises:
        UsageError: the file exists, or its folder does not.
        TransferError: it cannot be written.
        ProofFailed: what was written is not what was read; there is no file then.
    """
    if path.exists():
        raise UsageError(f"{path} exists already; an export writes a new file")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {path.absolute().parent} to write {path.name} in")
    beside = [each for suffix in _SIDE_FILES if (each := path.with_name(path.name + suffix)).exists()]
    if beside:
        raise UsageError(f"{beside[0]} lies there, and SQLite would take it for a part of {path}: move it away")
    database.ensure_ready()
    for left_over in path.parent.glob(f"{escape(path.name)}.*.part"):
        with exclusive_access(left_over) as killed:
            if killed:
                _remove(left_over)
    unfinished = path.with_name(f"{path.name}.{uuid4().hex[:8]}.part")
    try:
        with (
            closing(Database(f"sqlite:///{quote(str(unfinished.absolute()))}")) as copy,
            engine_without_timeouts(database, "export") as source,
            engine_without_timeouts(copy, "export") as target,
        ):
            copy.migrate()
            snapshot = source.execution_options(isolation_level=_SNAPSHOT[source.dialect.name], **READ_ONLY_OPTIONS)
            with snapshot.connect() as reading, _without_journal(target.connect()) as writing:
                tables = [_copy_table(reading, writing, table, progress or NoProgress()) for table in exported_tables()]
                writing.commit()
        _publish(unfinished, path)
    except OSError as error:
        raise TransferError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        _remove(unfinished)
    return Export(path, tables)


_SNAPSHOT = {"postgresql": "REPEATABLE READ", "sqlite": "SERIALIZABLE"}


@contextmanager
def _without_journal(connection: Connection) -> Generator[Connection]:
    """Parents may come after their children within a table; all is checked at the commit."""
    with connection:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        yield connection


def _copy_table(reading: Connection, writing: Connection, table: sa.Table, progress: Progress) -> Checksum:
    rows = reading.scalar(sa.select(sa.func.count()).select_from(table)) or 0
    progress.start(table.name, rows)
    streamed = reading.execution_options(yield_per=_SLICE).execute(sa.select(table))
    for some in streamed.mappings().partitions(_SLICE):
        writing.execute(sa.insert(table), [dict(row) for row in some])
        progress.advance(table.name, len(some))
    loader_of(writing).finish_load(writing, table, loader_of(reading).last_id(reading, table))
    every = sa.select(*copy_order(table.columns))
    read, written = read_digest(reading, every), read_digest(writing, every)
    if read != written:
        raise ProofFailed(f"{table.name}: {read.rows} rows ({read}) were read and {written.rows} ({written}) written")
    progress.finish(table.name, "done")
    return Checksum(table.name, read.rows, str(read))


def _publish(unfinished: Path, path: Path) -> None:
    """Give the file its name, which nobody took meanwhile."""
    try:
        path.hardlink_to(unfinished)
    except FileExistsError:
        raise UsageError(f"{path} exists by now; an export writes a new file") from None
    except OSError:  # a file system without hard links
        unfinished.replace(path)


def _remove(path: Path) -> None:
    for suffix in ("", *_SIDE_FILES):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).unlink()
