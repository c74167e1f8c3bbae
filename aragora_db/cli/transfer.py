"""``aragora-db import`` and ``aragora-db export``."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from aragora_db.cli.import_report import summary
from aragora_db.cli.output import print_json, stderr, stdout
from aragora_db.config import Settings
from aragora_db.database import Database
from aragora_db.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from aragora_db.transfer import Export

__all__ = ["register"]

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, and nothing else there.")]

_NEEDED = ("apsw", "orjson", "tzlocal", "xxhash")


def register(app: typer.Typer, settings: Callable[[], Settings]) -> None:
    """Add the commands to the program; `settings` reads the environment as the others do."""

    @app.command("import")
    def import_(
        source_dir: Annotated[
            Path | None,
            typer.Option(
                help="The folder with Aragora's files; subfolders count.  [default: ARAGORA_DATA_DIR, .nomic]"
            ),
        ] = None,
        target_url: Annotated[
            str | None, typer.Option(metavar="URL", help="Where to; the environment's database by default.")
        ] = None,
        database: Annotated[
            list[str] | None, typer.Option(metavar="NAME", help="Only this file, such as debates; may be repeated.")
        ] = None,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Do all of it with real figures, and change nothing.")
        ] = False,
        verify_only: Annotated[
            bool, typer.Option("--verify-only", help="Look up every row of an earlier import, and change nothing.")
        ] = False,
        strict: Annotated[
            bool, typer.Option("--strict", help="Import nothing at all when a row would be rejected.")
        ] = False,
        orphans: Annotated[
            str,
            typer.Option(
                metavar="park|reject", help="Rows without a parent: keep them until it comes, or reject them."
            ),
        ] = "park",
        source_timezone: Annotated[
            str | None,
            typer.Option(metavar="ZONE", help="Whose local time naive timestamps are.  [default: this machine's]"),
        ] = None,
        archive: Annotated[
            Path | None, typer.Option(metavar="DIR", help="Move files here once they are proven to be in the database.")
        ] = None,
        jobs: Annotated[int, typer.Option(min=1, max=32, help="Tables written at the same time.")] = 2,
        json: Json = False,
    ) -> int:
        """Import Aragora's SQLite files: nothing lost, proven row by row.

        It may be stopped at any time: run it again, and it goes on. What was imported already is skipped.

        Tables are told by their columns, whatever a file is called.

        What has no place goes whole into legacy_rows.

        What no column could hold is written to aragora-import-TIME.rejects.jsonl, with its reason and its bytes.

        Exit code 1: something was left; the report says what, and why.
        """
        _check_extra()
        from aragora_db.transfer import Options, import_folder  # noqa: PLC0415 -- the extra `import` may be missing

        if orphans not in {"park", "reject"}:
            raise UsageError(f"--orphans takes park or reject, not {orphans}")
        if dry_run and (archive or verify_only):
            raise UsageError("--dry-run changes nothing: leave --archive and --verify-only out")
        read = settings()
        options = Options(
            source_dir or read.data_dir,
            tuple(database or ()),
            source_timezone,
            "park" if orphans == "park" else "reject",
            strict,
            dry_run,
            verify_only,
            jobs,
            archive,
        )
        target = _aimed_at(target_url, read) if target_url else read
        with _shown_progress() as progress, closing(Database(target)) as opened:
            report = import_folder(opened, options, progress)
        if json:
            print_json(report.as_dict())
        else:
            stdout.print(summary(report), soft_wrap=False)
        return 0 if report.good else 1

    @app.command("export")
    def export(
        tables: Annotated[
            list[str] | None, typer.Argument(metavar="[TABLE]...", help="With --csv-sql: only these.")
        ] = None,
        to: Annotated[
            Path | None, typer.Option(metavar="FILE.db", help="A new SQLite file with everything in it.")
        ] = None,
        csv_sql: Annotated[
            bool, typer.Option("--csv-sql", help="Print SQL for sqlite3 that writes CSV for psql's \\copy, exactly.")
        ] = False,
        json: Json = False,
    ) -> None:
        """Write the database into one SQLite file of the same schema, proven like an import; or print SQL for CSV.

        aragora-db export --to backup.db        # read in one snapshot; the file appears when it is complete

        aragora-db export --csv-sql | sqlite3 .nomic/aragora.db     # a CSV file for each table, without this program
        """
        if (to is None) == (not csv_sql) or (tables and to is not None) or (json and csv_sql):
            raise UsageError("say either --to FILE.db, or --csv-sql and perhaps names of tables")
        _check_extra()
        from aragora_db import transfer  # noqa: PLC0415 -- the extra `import` may be missing

        if to is None:
            print("\n".join(transfer.csv_script(tables or ())))  # noqa: T201 -- Rich would wrap it
            return
        with _shown_progress() as progress, closing(Database(settings())) as opened:
            written = transfer.export_file(opened, to, progress)
        if json:
            print_json(_exported(written))
        else:
            rows = sum(table.rows for table in written.tables)
            stdout.print(
                f"{written.file}: {rows} rows of {len(written.tables)} tables, each with the same checksum "
                "on both sides",
                highlight=False,
                soft_wrap=True,
            )


def _check_extra() -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigurationError(f"this needs {', '.join(missing)}: pip install 'aragora_db[import]'")


def _named(settings: Settings) -> dict[str, Any]:
    """What the environment says beside the database, for another database."""
    other = {"postgres_dsn", "database_url", "backend"}
    given = settings.model_fields_set - other - {name for name in settings.model_fields_set if name.startswith("pg_")}
    return {name: getattr(settings, name) for name in given}


def _aimed_at(url: str, settings: Settings) -> Settings:
    """The settings of the environment for another database.

    Raises:
        ConfigurationError: the URL names none.
    """
    try:
        return Settings.explicit(**_named(settings), database_url=url)
    except ConfigurationError as error:
        raise ConfigurationError(str(error).replace("DATABASE_URL", "--target-url")) from None


# -- progress ---------------------------------------------------------------------------------------------------------


class _Speed(ProgressColumn):
    """Rows per second."""

    def render(self, task: Task) -> Text:
        """The speed of late, or over all when it is done."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} rows/s", style="progress.data.speed")


class _Bars:
    """A bar for each table that is under way; those that are done leave one line."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, Any] = {}

    def start(self, name: str, rows: int) -> None:
        """A bar."""
        self._tasks[name] = self._progress.add_task(escape(name), total=rows or None)

    def advance(self, name: str, rows: int) -> None:
        """Further."""
        self._progress.advance(self._tasks[name], rows)

    def finish(self, name: str, outcome: str) -> None:
        """Make room for the next."""
        self._progress.remove_task(self._tasks.pop(name))
        if outcome == "failed":
            self._progress.console.print(f"{escape(name)}: failed", style="red")


@contextmanager
def _shown_progress() -> Generator[_Bars]:
    """Progress on a terminal's stderr; quiet elsewhere."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
        _Speed(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
        yield _Bars(progress)


def _exported(written: Export) -> dict[str, Any]:
    return {
        "version": 1,
        "file": str(written.file),
        "tables": [{"table": table.table, "rows": table.rows, "checksum": table.checksum} for table in written.tables],
    }
