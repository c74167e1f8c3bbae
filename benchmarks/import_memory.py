"""The import's memory, which must not grow with the number of rows."""

from __future__ import annotations

import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from import_data import write_matches
from import_runs import Page, drop, new_database, ours
from measure import machine

from aragora_db.testing.client import OwnKeeper, ask

SIZES = (100_000, 1_000_000, 10_000_000)


def measure(_runs: int) -> Page:
    """Matches alone, each size once: the kernel's account of the peak of resident memory."""
    with tempfile.TemporaryDirectory() as name, closing(OwnKeeper()) as keeper:
        server = ask(keeper.control, "postgresql")
        if isinstance(server, str):
            return Page(("# The import's memory", "", f"Without PostgreSQL: {server}"))
        lines = [_line(server["admin_url"], Path(name), size) for size in SIZES]
    return Page(
        (
            "# The import's memory",
            "",
            f"{datetime.now(UTC):%Y-%m-%d}; {machine()}.",
            "",
            "A file of matches into an empty PostgreSQL, participants, indexes, proof and head to head included. Bar:",
            "at most 150 MB, flat.",
            "",
            "| matches | seconds | rows/s | peak MB |",
            "|--:|--:|--:|--:|",
            *lines,
        )
    )


def _line(admin_url: str, folder: Path, size: int) -> str:
    sources = folder / f"size{size}"
    sources.mkdir()
    write_matches(sources / "agent_elo.db", size)
    url = new_database(admin_url, "bench_import_memory")
    finished, report = ours(url, sources)
    drop(admin_url, "bench_import_memory")
    (sources / "agent_elo.db").unlink()
    if report["totals"]["carried"] != size:
        raise RuntimeError(f"{report['totals']} of {size} matches")
    return f"| {size:,} | {finished.seconds:.1f} | {size / finished.seconds:,.0f} | {finished.megabytes:.0f} |"
