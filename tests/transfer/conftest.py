"""Small SQLite files of Aragora's shapes, and imports of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from aragora_db import Database
from aragora_db.models import Base
from aragora_db.testing.fresh import FreshDatabases
from aragora_db.transfer import Options, Report, TableReport, import_folder

HERE = Path(__file__).parent
SCRIPTS = {
    script.stem: script
    for folder in (HERE.parent / "fixtures" / "layout_a", HERE / "layout_a")
    for script in folder.glob("*.sql")
}
"""Aragora's files, a script for each, with a few rows per table."""


@dataclass
class Sources:
    """A folder of SQLite files."""

    folder: Path
    written: list[Path] = field(default_factory=list)
    real: bool = False

    def write(self, name: str, *scripts: str, rows: dict[str, list[tuple[Any, ...]]] | None = None) -> Path:
        """Make a file, or go on with it: run scripts, then insert rows by table, values for every column."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as connection:
            for script in scripts:
                connection.executescript(script)
            for table, values in (rows or {}).items():
                places = ", ".join("?" * len(values[0]))
                connection.executemany(f'INSERT INTO "{table}" VALUES ({places})', values)
            connection.commit()
        self.written.append(path)
        return path

    def aragora(self, *names: str) -> None:
        """Make Aragora's files, by their names without ``.db``; all of them without names."""
        for name in names or SCRIPTS:
            self.write(f"{name}.db", SCRIPTS[name].read_text(encoding="utf-8"))

    def script(self, name: str) -> str:
        """The script of one of Aragora's files."""
        return SCRIPTS[name].read_text(encoding="utf-8")


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    """An empty folder for source files."""
    (tmp_path / "nomic").mkdir()
    return Sources(tmp_path / "nomic")


@dataclass
class Importer:
    """Imports a folder into a database; each call is a run of its own."""

    database: Database
    sources: Sources
    output: Path

    def __call__(self, **options: Any) -> Report:
        """Import, with UTC as the time zone unless another is named."""
        chosen = {"source_dir": self.sources.folder, "timezone": "UTC", "output_dir": self.output, **options}
        return import_folder(self.database, Options(**chosen))

    def one(self, table: str, **options: Any) -> TableReport:
        """Import, and the report of the one source table of this name."""
        (found,) = [each for each in self(**options).tables if each.table == table]
        return found

    def rows(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        """What stands in a table of ours, sorted by the chosen columns (all of them without a choice)."""
        target = Base.metadata.tables[table]
        chosen = [target.c[name] for name in columns] or list(target.columns)
        with self.database.session(read_only=True) as session:
            return sorted((tuple(row) for row in session.execute(sa.select(*chosen))), key=repr)

    def count(self, table: str) -> int:
        """How many rows a table of ours has."""
        with self.database.session(read_only=True) as session:
            return session.scalar(sa.select(sa.func.count()).select_from(Base.metadata.tables[table])) or 0


@pytest.fixture
def importer(dialect: str, fresh_databases: FreshDatabases, sources: Sources, tmp_path: Path) -> Iterator[Importer]:
    """Imports `sources` into a database at head, once for each dialect."""
    database = Database(fresh_databases.url(dialect))
    (tmp_path / "output").mkdir()
    yield Importer(database, sources, tmp_path / "output")
    database.close()


@pytest.fixture
def into(fresh_databases: FreshDatabases, sources: Sources, tmp_path: Path) -> Iterator[Callable[[str], Importer]]:
    """Makes importers into new databases: ``into("postgresql")``."""
    made: list[Database] = []
    (tmp_path / "output").mkdir(exist_ok=True)

    def importer(dialect: str) -> Importer:
        made.append(Database(fresh_databases.url(dialect)))
        return Importer(made[-1], sources, tmp_path / "output")

    yield importer
    for database in made:
        database.close()
