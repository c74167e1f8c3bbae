r"""The import, complete with validation, indexes and proof, against ``\copy``, pgloader and executemany in one run."""

from __future__ import annotations

import statistics
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from import_data import write_matches, write_memories
from import_peers import copy_by_hand, executemany, export_text, pgloader, to_our_schema
from import_runs import Page, drop, new_database, ours
from measure import machine

from aragora_db.testing.client import OwnKeeper, ask

MATCHES, MEMORIES = 1_000_000, 500_000
ROWS = MATCHES + MEMORIES


def measure(runs: int) -> Page:
    """One PostgreSQL, everything in turns, medians of a few runs."""
    runs = max(1, min(runs, 3))
    with tempfile.TemporaryDirectory() as name, closing(OwnKeeper()) as keeper:
        folder = Path(name)
        server = ask(keeper.control, "postgresql")
        if isinstance(server, str):
            return Page(("# The import", "", f"Without PostgreSQL: {server}"))
        psql = str(Path(server["bindir"]) / "psql")
        sources = folder / "sources"
        sources.mkdir()
        write_matches(sources / "agent_elo.db", MATCHES)
        write_memories(sources / "continuum.db", MEMORIES)
        figures = [_once(server["admin_url"], psql, sources, folder, number) for number in range(runs)]
        version = _version(server["admin_url"])
    return Page(tuple(_page(figures, version)))


def _once(admin_url: str, psql: str, sources: Path, folder: Path, number: int) -> dict[str, float]:
    """Everything once, in its own database."""
    name = f"bench_import_{number}"
    url = new_database(admin_url, name)
    whole, document = ours(url, sources)
    export_text(url, psql, folder)
    drop(admin_url, name)
    url = new_database(admin_url, name)
    _, serial = ours(url, sources, "--jobs", "1")
    copied, built, psql_memory = copy_by_hand(url, psql, folder)
    found = {
        "load": sum(table["load_seconds"] for table in serial["tables"]),
        "tables": max(table["seconds"] for table in document["tables"]),
        "whole": whole.seconds,
        "memory": whole.megabytes,
        "copied": copied,
        "built": built,
        "psql_memory": psql_memory,
    }
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA loaded")
        connection.execute(f'ALTER DATABASE "{name}" SET search_path = loaded')
    loaded = pgloader(url, sorted(sources.glob("*.db")), folder)
    if loaded is not None:
        found |= {"pgloader": loaded.seconds, "pgloader_memory": loaded.megabytes}
        found["split"] = to_our_schema(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" RESET search_path')
    found["executemany"] = executemany(url, sources / "agent_elo.db")
    drop(admin_url, name)
    return found


def _version(admin_url: str) -> str:
    with psycopg.connect(admin_url) as connection:
        return str(connection.info.parameter_status("server_version")).partition(" ")[0]


def _page(figures: list[dict[str, float]], version: str) -> list[str]:
    middle = {name: statistics.median(each[name] for each in figures) for name in figures[0]}
    copy = middle["copied"]
    lines = [
        "# The import against its peers",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}; {machine()}; PostgreSQL {version} beside them; medians of {len(figures)} runs.",
        "",
        f"{MATCHES:,} matches of two or three agents (2.3 million participants) and {MEMORIES:,} memories of about 500",
        "characters, from two SQLite files into our tables: `elo_matches`, `elo_match_participants`,",
        "`continuum_memory`, with 22 indexes.",
        "",
        "| | seconds | source rows/s | peak MB |",
        "|---|--:|--:|--:|",
        _line(r"`psql \copy` of three files that exist, no indexes", copy, middle["psql_memory"]),
        _line(r"`psql \copy`, then the same index builds", copy + middle["built"], middle["psql_memory"]),
        _line("ours: loading (`--jobs 1`, the sum of both tables)", middle["load"], None),
        _line("ours: loaded, indexed, foreign keys validated, proven (`--jobs 2`)", middle["tables"], None),
        _line("ours: the whole command, search words and head to head included", middle["whole"], middle["memory"]),
    ]
    if "pgloader" in middle:
        lines += [
            _line(
                "pgloader, its own tables and the source's 13 indexes", middle["pgloader"], middle["pgloader_memory"]
            ),
            _line(
                "pgloader, then SQL into the same tables and indexes as ours",
                middle["pgloader"] + middle["split"],
                middle["pgloader_memory"],
            ),
        ]
    lines.append(f"| psycopg executemany, matches into live tables | - | {middle['executemany']:,.0f} | - |")
    lines += ["", "| what | bar | reached |", "|---|--:|--:|"]
    lines.append(rf"| load phase, rate to `\copy` | 0.9 | {copy / middle['load']:.2f} |")
    if "pgloader" in middle:
        plain, same = middle["pgloader"], middle["pgloader"] + middle["split"]
        lines += [
            _bar(
                "end to end with indexes and proof, rate to pgloader into the same schema", 3, same / middle["tables"]
            ),
            _bar("the same, to pgloader as it leaves the tables", 3, plain / middle["tables"]),
        ]
    else:
        lines.append("| end to end, rate to pgloader | 3 | pgloader is not installed here |")
    lines += [
        f"| peak memory | 150 MB | {middle['memory']:.0f} MB |",
        "",
        r"`\copy` reads lines that are ready; ours reads SQLite, checks every value, takes JSON apart into rows and",
        "counts a checksum, on the cores that PostgreSQL parses on. pgloader copies texts as they are, timestamps and",
        "JSON too.",
    ]
    return lines


def _bar(name: str, bar: float, reached: float) -> str:
    return f"| {name} | {bar} | {reached:.2f} |"


def _line(name: str, seconds: float, megabytes: float | None) -> str:
    memory = "-" if megabytes is None else f"{megabytes:.0f}"
    return f"| {name} | {seconds:.1f} | {ROWS / seconds:,.0f} | {memory} |"
