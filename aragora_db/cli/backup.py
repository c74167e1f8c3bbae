"""``aragora-db backup`` and ``aragora-db restore``."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from aragora_db.cli.output import print_json, stderr, stdout
from aragora_db.config import Settings
from aragora_db.database import Database
from aragora_db.operate.backup import Backup, back_up
from aragora_db.operate.backup import restore as restore_from

__all__ = ["register"]

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, and nothing else there.")]


def register(app: typer.Typer, settings: Callable[[], Settings]) -> None:
    """Add the commands to the program; `settings` reads the environment as the others do."""

    @app.command()
    def backup(
        file: Annotated[Path, typer.Argument(help="The new file; one that exists is not overwritten.")],
        json: Json = False,
    ) -> None:
        """Write the whole database into one file, as of one moment, while others go on writing.

        SQLite's online backup; on PostgreSQL pg_dump, which must not be older than the server.
        """
        with _clean_end(), closing(Database(settings())) as database, stderr.status("backing up ..."):
            done = back_up(database, file)
        _say(done, "written", as_json=json)

    @app.command()
    def restore(
        file: Annotated[Path, typer.Argument(help="What backup wrote, from the same kind of database.")],
        json: Json = False,
    ) -> None:
        """Fill an empty database from a backup, in one transaction; a database that is not empty is left alone."""
        with _clean_end(), closing(Database(settings())) as database, stderr.status("restoring ..."):
            done = restore_from(database, file)
        _say(done, "restored", as_json=json)


@contextmanager
def _clean_end() -> Generator[None]:
    """Have SIGTERM clean up like Ctrl-C: half a backup, and a pg_dump that goes on, would stay behind."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(done: Backup, verb: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"version": 1, "file": str(done.file), "bytes": done.size, "schema": done.schema})
        return
    stdout.print(f"{done.file}: {done.size} bytes {verb}, schema {done.schema}", highlight=False, soft_wrap=True)
    if done.schema == "behind":
        stderr.print("next: aragora-db migrate", highlight=False)
