"""Imports for the benchmarks: the command in a process of its own, databases, and a page of figures."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from import_peers import Finished, run

from aragora_db.testing.databases import create_database

__all__ = ["Page", "drop", "new_database", "ours"]


@dataclass(frozen=True)
class Page:
    """A table of figures, and what a reader has to know."""

    lines: tuple[str, ...]

    def markdown(self) -> str:
        """The page in `results`."""
        return "\n".join(self.lines) + "\n"


def ours(url: str, sources: Path, *options: str) -> tuple[Finished, dict[str, Any]]:
    """Import a folder with the command: how it ended, and its report."""
    command = [sys.executable, "-m", "aragora_db", "import", "--source-dir", str(sources), "--source-timezone", "UTC"]
    finished = run([*command, "--json", *options], folder=sources.parent, DATABASE_URL=url)
    return finished, json.loads(finished.output)


def new_database(admin_url: str, name: str) -> str:
    """A database at head; its URL."""
    url = create_database(admin_url, name)
    run([sys.executable, "-m", "aragora_db", "migrate"], DATABASE_URL=url)
    return url


def drop(admin_url: str, name: str) -> None:
    """Drop it again."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}"')
