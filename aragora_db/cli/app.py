"""The commands. Each is a few lines: parse, call the package, print."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from aragora_db import __version__
from aragora_db.cli import backup, doctor, render, serve, transfer
from aragora_db.cli.demo import demo
from aragora_db.cli.output import print_json, show_progress, stderr, stdout
from aragora_db.config import Settings
from aragora_db.database import Database
from aragora_db.engine import Target
from aragora_db.errors import UsageError
from aragora_db.migrations.create import create_revision
from aragora_db.migrations.lint import lint
from aragora_db.migrations.upgrade import print_sql
from aragora_db.search.index import rebuild

__all__ = ["app"]

app = typer.Typer(
    help="The data layer of Aragora: its schema, and what operators do with it.\n\n"
    "The database comes from the environment: ARAGORA_POSTGRES_DSN, DATABASE_URL or ARAGORA_PG_*; without them it is "
    "the SQLite file .nomic/aragora.db (ARAGORA_DATA_DIR).",
    epilog="Exit codes: 0 done, 1 the answer is no, 2 wrong use or configuration,\n\n"
    "3 database not reached, 4 a lock or timeout was in the way, 5 a bug of ours.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, and nothing else there.")]

_env_file: Path | None = None


def _settings() -> Settings:
    return Settings(_env_file=_env_file)


def _print_version(wanted: bool) -> None:
    if wanted:
        stdout.print(f"aragora_db {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    env_file: Annotated[Path | None, typer.Option(help="Read settings from this file, below the environment.")] = None,
    version: Annotated[  # noqa: ARG001 -- its callback prints it
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    global _env_file  # noqa: PLW0603 -- Typer's callback has no other way to the commands
    _env_file = env_file


@app.command()
def migrate(
    version: Annotated[str, typer.Option(metavar="REV", help="Stop at this revision.")] = "head",
    sql: Annotated[bool, typer.Option("--sql", help="Print PostgreSQL SQL instead of running anything.")] = False,
    json: Json = False,
) -> None:
    """Apply pending revisions, under the migration lock. Never goes back.

    Eight replicas may run it at once: one migrates, the others wait and find nothing to do.
    """
    target = Target.of(_settings())
    if sql and json:
        raise UsageError("--sql prints SQL and --json a document: choose one of them")
    if sql:
        print_sql(target, version)
        return
    show_progress()
    with closing(Database(target.settings)) as database:
        applied = database.migrate(version)
    if json:
        print_json({"version": 1, "applied": applied})
    else:
        done = f"{len(applied)} revisions applied" if applied else "nothing to do"
        stdout.print(f"{database.dsn.masked}: {done}", highlight=False, soft_wrap=True)


@app.command()
def status(json: Json = False) -> int:
    """Say where the schema is: behind, at head, ahead or diverged; history, checksums, drift.

    Exit code 1 when revisions are pending, were edited, or the database differs from the models.
    """
    from aragora_db.migrations.status import status as read_status  # noqa: PLC0415 -- saves other commands 20 ms

    found = read_status(Target.of(_settings()))
    if json:
        print_json(found.as_dict())
    else:
        stdout.print(render.status(found))
    return 0 if found.good else 1


@app.command()
def check(json: Json = False) -> int:
    """Compare the models with the database, constraint by constraint, and check the revision files.

    Exit code 1 when anything differs. The database is not changed.
    """
    from aragora_db.migrations.status import status as read_status  # noqa: PLC0415 -- saves other commands 20 ms

    found, problems = read_status(Target.of(_settings())), lint()
    if json:
        print_json(
            {"version": 1, "good": found.good and not problems, "revisions": problems, "schema": found.as_dict()}
        )
    else:
        stdout.print(render.check(found, problems), soft_wrap=True)
    return 0 if found.good and not problems else 1


@app.command()
def reindex(json: Json = False) -> None:
    r"""Find rows that searches miss, and index their words.

    Needed after rows were written past the ORM: \copy, SQL by hand, bulk inserts, or an upgrade with migrate --sql.
    Sessions and stores keep the words in step by themselves. May be run at any time, and again.
    """
    with closing(Database(_settings())) as database:
        found = database.transact(rebuild)
    if json:
        print_json({"version": 1, "indexed": found})
    else:
        for table, rows in found.items():
            stdout.print(f"{table}: {rows} rows indexed", highlight=False)


@app.command()
def revision(
    message: Annotated[str, typer.Option("-m", "--message", metavar="TEXT", help="What the revision does.")],
    reverses: Annotated[str | None, typer.Option(metavar="REV", help="The revision that this one undoes.")] = None,
    autogenerate: Annotated[bool, typer.Option("--autogenerate", help="Fill it from models and database.")] = False,
) -> None:
    """Write a new revision file, alembic/versions/YYYYMMDD_slug.py. There is no downgrade to write."""
    path = create_revision(Target.of(_settings()), message, reverses=reverses, autogenerate=autogenerate)
    stdout.print(str(path), highlight=False, soft_wrap=True)
    stderr.print("next: fill it in, aragora-db migrate, aragora-db check", highlight=False)


transfer.register(app, _settings)
backup.register(app, _settings)
serve.register(app, _settings)
doctor.register(app, _settings)
app.command()(demo)
