"""``aragora-db demo``: a tournament to look at, in a file that is nobody's."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from aragora_db.cli import render
from aragora_db.cli.output import print_json, stderr, stdout
from aragora_db.database import Database
from aragora_db.engine import Target
from aragora_db.rules.continuum import HALF_LIFE_HOURS

if TYPE_CHECKING:
    from aragora_db.demo import Finale

__all__ = ["demo"]


def demo(
    seed: Annotated[int, typer.Option(help="Another seed, other debates.")] = 28,
    debates: Annotated[int, typer.Option(min=1, max=1000, help="How many to hold.")] = 24,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, and nothing else there.")] = False,
) -> int:
    """Play a tournament of debates in .nomic/demo.db: ratings move, memories are kept, a dissent is stored.

    Never touches real data: DATABASE_URL and every ARAGORA_* variable are ignored. Run again, it goes on.
    """
    from aragora_db import demo as tournament  # noqa: PLC0415 -- saves other commands 160 ms
    from aragora_db.migrations.status import status as read_status  # noqa: PLC0415 -- saves other commands 20 ms

    settings = tournament.demo_settings()
    database = Database(settings)
    before = tournament.prepare(database)
    with _progress() as progress:
        bar = progress.add_task("debating", total=debates, topic="")
        for held in tournament.play(database, debates, seed):
            progress.update(bar, advance=1, topic=held.topic.domain)
    finale = tournament.summarise(database, before)
    database.close()
    found = read_status(Target.of(settings))
    if json:
        print_json({"version": 1, "held": debates, **asdict(finale), "schema": found.as_dict()})
    else:
        stdout.print(Group(_leaderboard(finale, debates), "", _findings(finale), "", render.status(found)))
    return 0 if found.good else 1


def _progress() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[topic]}"),
    )
    return Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal)


def _leaderboard(finale: Finale, held: int) -> Table:
    table = Table(title=f"Leaderboard after {finale.debates} debates, {held} of them now", title_justify="left")
    for name in ("#", "agent", "elo", "+/-", "W/L/D", "best domain"):
        table.add_column(name, justify="left" if name in {"agent", "best domain"} else "right", no_wrap=True)
    for each in finale.standings:
        colour = "green" if each.change > 0 else "red" if each.change < 0 else "dim"
        table.add_row(
            str(each.rank),
            each.agent,
            f"{each.elo:.1f}",
            Text(f"{each.change:+.1f}", style=colour),
            f"{each.wins}/{each.losses}/{each.draws}",
            each.best_domain or "-",
            style="bold" if each.rank == 1 else "",
        )
    return table


def _findings(finale: Finale) -> Table:
    findings = Table.grid(padding=(0, 2))
    if finale.consensus is not None and finale.dissent is not None:
        findings.add_row("debated", finale.consensus["topic"])
        findings.add_row("consensus", f"{finale.consensus['conclusion']} ({finale.consensus['strength']})")
        findings.add_row("dissent", f"{finale.dissent['content']} ({finale.dissent['agent']})")
    kept = (f"{finale.memories.get(tier, 0)} {tier} ({hours} h)" for tier, hours in HALF_LIFE_HOURS.items())
    findings.add_row("memories", f"by half-life: {', '.join(kept)}; {finale.moves} moves between tiers")
    return findings
