"""``aragora-db doctor``."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from aragora_db.cli.output import print_json, stderr, stdout
from aragora_db.config import Settings

if TYPE_CHECKING:
    from aragora_db.operate.doctor import Finding

__all__ = ["register", "show"]

_LABELS = {"ok": "[ok]", "warn": "[warn]", "error": "[error]", "skipped": "[skip]"}
_STYLES = {"ok": "green", "warn": "yellow", "error": "bold red", "skipped": "dim"}
_WIDTH = 8


def register(app: typer.Typer, settings: Callable[[], Settings]) -> None:
    """Add the command to the program; `settings` reads the environment as the others do."""

    @app.command()
    def doctor(
        url: Annotated[
            list[str] | None,
            typer.Option(metavar="URL", help="A running instance, such as http://10.0.0.7:8080; may be repeated."),
        ] = None,
        json: Annotated[
            bool, typer.Option("--json", help="One JSON document on stdout, and nothing else there.")
        ] = False,
    ) -> int:
        """Say what is wrong between here, the database and Redis, and the command that mends it.

        Walks the checklist of the guide: settings, name, port, TLS, login, server, schema, slow queries, Redis, and
        with --url the running instances. Changes nothing.

        Exit code 1 when there is an error; warnings are no error.
        """
        from aragora_db.operate.doctor import diagnose, healthy  # noqa: PLC0415 -- saves other commands 280 ms

        with stderr.status("looking ..."):
            findings = diagnose(settings, urls=url or ())
        if json:
            print_json(
                {"version": 1, "healthy": healthy(findings), "findings": [finding.as_dict() for finding in findings]}
            )
        else:
            show(findings)
        return 0 if healthy(findings) else 1


def show(findings: list[Finding]) -> None:
    """Print the report for people."""
    # What was skipped for one reason is one line.
    for (level, message, fix), group in groupby(findings, lambda each: (each.level, each.message, each.fix)):
        names = ", ".join(finding.name for finding in group)
        line = Text(f"{_LABELS[level]:<{_WIDTH}}", style=_STYLES[level])
        line.append(f"{names}: ", style="default" if level == "ok" else "bold").append(message, style="default")
        stdout.print(line, soft_wrap=True)
        if fix:
            stdout.print(
                Text(f"{'':<{_WIDTH}}{'see' if level == 'skipped' else 'mend'}: {fix}", style="cyan"), soft_wrap=True
            )
    counts = {level: sum(finding.level == level for finding in findings) for level in _LABELS}
    stdout.print()
    stdout.print(
        f"{_counted(counts['error'], 'error')}, {_counted(counts['warn'], 'warning')}, {counts['ok']} in order, "
        f"{counts['skipped']} skipped; nothing was changed",
        highlight=False,
        soft_wrap=True,
    )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
