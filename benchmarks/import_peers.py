r"""What the import is measured against: psql's ``\copy``, pgloader, and psycopg's executemany."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter

import psycopg

__all__ = ["Finished", "copy_by_hand", "executemany", "pgloader", "run", "to_our_schema"]

TABLES = ("elo_matches", "elo_match_participants", "continuum_memory")
EXECUTEMANY_ROWS = 50_000  # its rate does not depend on the number


@dataclass(frozen=True)
class Finished:
    """A command that ended well: seconds, and the peak of its resident memory in MB."""

    seconds: float
    megabytes: float
    output: str


def run(command: Sequence[str], folder: Path | None = None, **environment: str) -> Finished:
    """Run a command and wait for it, with the kernel's own account of its memory."""
    started = perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output = process.stdout.read() if process.stdout is not None else b""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}: {output.decode()[-2000:]}")
    return Finished(perf_counter() - started, usage.ru_maxrss / 1024, output.decode())


def export_text(url: str, psql: str, folder: Path) -> None:
    """The rows that an import wrote, as files in COPY's text format."""
    for table in TABLES:
        run([psql, url, "-qc", rf"\copy {table} to '{folder / table}.txt'"])


def copy_by_hand(url: str, psql: str, folder: Path) -> tuple[float, float, float]:
    r"""``\copy`` of existing files into tables without indexes, then the same index builds; a table after the other.

    Returns:
        Seconds of loading, seconds of building, and psql's memory in MB.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS by_hand CASCADE; CREATE SCHEMA by_hand")
        builds: list[str] = []
        for table in TABLES:
            connection.execute(f"CREATE TABLE by_hand.{table} AS SELECT * FROM public.{table} LIMIT 0")
            found = connection.execute(
                "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = %s::regclass", (f"public.{table}",)
            )
            builds += [definition.replace(" ON public.", " ON by_hand.") for (definition,) in found]
        loads = [run([psql, url, "-qc", rf"\copy by_hand.{t} from '{folder / t}.txt'"]) for t in TABLES]
        started = perf_counter()
        connection.execute("SET maintenance_work_mem = '256MB'")
        for definition in builds:
            connection.execute(definition)
        built = perf_counter() - started
        connection.execute("DROP SCHEMA by_hand CASCADE")
    return sum(load.seconds for load in loads), built, max(load.megabytes for load in loads)


def pgloader(url: str, files: Sequence[Path], folder: Path) -> Finished | None:
    """The files with pgloader's own defaults, tables and indexes as in the source; None where it is not installed.

    With the default prefetch it exhausts its heap on the memories.
    """
    if shutil.which("pgloader") is None:
        return None
    seconds, megabytes = 0.0, 0.0
    for file in files:
        script = folder / f"{file.stem}.load"
        script.write_text(
            f"LOAD DATABASE FROM sqlite://{file} INTO {url} WITH include drop, create tables, create indexes, "
            "reset sequences, prefetch rows = 10000 SET maintenance_work_mem TO '256MB';"
        )
        finished = run(["pgloader", str(script)])
        seconds, megabytes = seconds + finished.seconds, max(megabytes, finished.megabytes)
    return Finished(seconds, megabytes, "")


def to_our_schema(url: str) -> float:
    """What is left to do after pgloader: its texts into our columns, participants into rows, our indexes, ANALYZE."""
    with psycopg.connect(url, autocommit=True) as connection:
        started = perf_counter()
        connection.execute("SET maintenance_work_mem = '256MB'; SET TimeZone = 'UTC'")
        connection.execute(_INTO_OURS)
        for table in TABLES:
            definitions = connection.execute(
                "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = %s::regclass", (f"public.{table}",)
            )
            for (definition,) in definitions.fetchall():
                connection.execute(definition.replace(" ON public.", " ON split."))
            connection.execute(f"ANALYZE split.{table}")
        seconds = perf_counter() - started
        connection.execute("DROP SCHEMA split CASCADE")
    return seconds


_INTO_OURS = """
CREATE SCHEMA split;
CREATE TABLE split.elo_matches AS
    SELECT id, debate_id, winner, domain, NULL::float8 AS confidence_weight,
        (created_at || '+00')::timestamptz AS created_at
    FROM loaded.matches;
CREATE TABLE split.elo_match_participants AS
    SELECT m.id AS match_id, p.name AS agent_name, p.place - 1 AS position,
        (m.scores::jsonb ->> p.name)::float8 AS score, (m.elo_changes::jsonb ->> p.name)::float8 AS elo_change,
        NULL::float8 AS k_multiplier
    FROM loaded.matches m, jsonb_array_elements_text(m.participants::jsonb) WITH ORDINALITY AS p(name, place);
CREATE TABLE split.continuum_memory AS
    SELECT id, tier, content, importance::float8, surprise_score::float8, consolidation_score::float8, update_count,
        success_count, failure_count, semantic_centroid, last_promotion_at::timestamptz, created_at::timestamptz,
        updated_at::timestamptz, metadata::jsonb AS metadata, expires_at::timestamptz,
        red_line::int::bool AS red_line, red_line_reason
    FROM loaded.continuum_memory;
"""


def executemany(url: str, file: Path) -> float:
    """Rows per second of matches by psycopg's executemany, participants included, into tables with their indexes."""
    with closing(sqlite3.connect(file)) as source, psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SET TimeZone = 'UTC'; TRUNCATE elo_matches CASCADE")
        rows = source.execute(
            "SELECT id, debate_id, winner, participants, domain, scores, elo_changes, created_at FROM matches"
        )
        started = perf_counter()
        done = 0
        while done < EXECUTEMANY_ROWS and (some := list(islice(rows, 1000))):
            cursor.executemany(
                "INSERT INTO elo_matches (id, debate_id, winner, domain, created_at) VALUES (%s, %s, %s, %s, %s)",
                [(row[0], row[1], row[2], row[4], row[7] + "+00") for row in some],
            )
            parts = []
            for row in some:
                scores, changes = json.loads(row[5]), json.loads(row[6])
                names = json.loads(row[3])
                parts += [(row[0], name, place, scores[name], changes[name]) for place, name in enumerate(names)]
            cursor.executemany(
                "INSERT INTO elo_match_participants (match_id, agent_name, position, score, elo_change)"
                " VALUES (%s, %s, %s, %s, %s)",
                parts,
            )
            done += len(some)
        connection.commit()
        seconds = perf_counter() - started
        cursor.execute("TRUNCATE elo_matches CASCADE")
        return done / seconds
