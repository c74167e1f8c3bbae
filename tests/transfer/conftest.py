"""Small SQLite files of Aragora's shapes, and imports of them."""

from __future__ import annotations

import json
import os
import select
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support import HANG_SECONDS, clean_environment, end_process, output_of

from aragora_db import Database
from aragora_db.models import Base
from aragora_db.testing.fresh import FreshDatabases
from aragora_db.transfer import ImportReport, Options, TableReport, import_folder

HERE = Path(__file__).parent
SCRIPTS = {
    script.stem: script
    for folder in (HERE.parent / "fixtures" / "layout_a", HERE / "layout_a")
    for script in folder.glob("*.sql")
}
"""Aragora's files, a script for each, with a few rows per table."""


@lru_cache(maxsize=100)
def _file_of(script: str) -> bytes:
    """Return the SQLite file that a script makes. Each is made once: a statement of a script is a transaction."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(script)
        return connection.serialize()


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
        if not path.exists() and scripts and "PRAGMA" not in scripts[0]:
            path.write_bytes(_file_of(scripts[0]))
            scripts = scripts[1:]
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
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


@pytest.fixture(scope="session")
def sources_in() -> Callable[[Path], Sources]:
    """Makes source files in a folder of a wider scope than one test: ``sources_in(folder).write(...)``."""
    return Sources


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

    def __call__(self, **options: Any) -> ImportReport:
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


@pytest.fixture
def held() -> Callable[[str, Path], AbstractContextManager[None]]:
    """Run Python text in another process, which holds a file open or locked.

    Use it as ``with held(source, path):``. The text prints a line when it has the file, and ends when its stdin ends.
    It is a process of its own because POSIX locks do not count against the process that holds them.
    """

    @contextmanager
    def holding(source: str, path: Path) -> Iterator[None]:
        command = [sys.executable, "-c", source, str(path)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            assert process.stdout is not None
            ready, _, _ = select.select([process.stdout], [], [], HANG_SECONDS)
            assert ready
            assert process.stdout.readline().endswith(b"\n")
            yield
            output_of(process)
        finally:
            end_process(process)

    return holding


# -- the command-line program as a process ----------------------------------------------------------------------------


class Program:
    """A run of the command-line program in a process of its own.

    Args:
        programs: the server that started it.
        pid: its process ID.
        output: the file that its stdout and stderr go to.
    """

    def __init__(self, programs: Programs, pid: int, output: Path) -> None:
        self._programs, self.pid, self._output = programs, pid, output

    @property
    def said(self) -> str:
        """What it wrote so far."""
        return self._output.read_text(encoding="utf-8")

    def poll(self) -> int | None:
        """Return its exit code (negative: the signal that ended it), or None while it runs."""
        return self._programs.ask(poll=self.pid)

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def end(self, seconds: float = HANG_SECONDS) -> tuple[str, int]:
        """Wait for its end and return what it wrote and its exit code."""
        deadline = time.monotonic() + seconds
        while (code := self.poll()) is None:
            assert time.monotonic() < deadline, f"process {self.pid} did not end within {seconds:g} s: {self.said}"
            time.sleep(0.005)
        return self.said, code


class Programs:
    """A server that forks copies of the command-line program; see fork_server.py."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-W", "error", str(HERE / "fork_server.py")],
            env=clean_environment(COLUMNS="500"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def ask(self, **request: Any) -> Any:
        """Send a request and return its answer."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(request).encode() + b"\n")
        self._server.stdin.flush()
        # Every request is answered at once; should the server hang, the test's own time limit ends the test.
        return json.loads(self._server.stdout.readline())

    def start(self, importer: Importer, arguments: tuple[str, ...], source: str | None, output: Path) -> Program:
        """Start the program, or Python text, for the importer's database, in the importer's output folder."""
        output.touch()
        pid = self.ask(
            arguments=arguments,
            source=source,
            environment=clean_environment(DATABASE_URL=importer.database.dsn.url()),
            folder=str(importer.output),
            output=str(output),
        )
        return Program(self, pid, output)

    def close(self) -> None:
        """End the server."""
        end_process(self._server)


@pytest.fixture(scope="session")
def programs() -> Iterator[Programs]:
    """The server, started by the first test that needs a process."""
    server = Programs()
    yield server
    server.close()


@pytest.fixture
def start(programs: Programs, tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Starts imports as processes: ``start(importer, "--dry-run")``; none of them outlives its test.

    ``source`` is Python text to run instead of the program; it finds the command line in ``sys.argv``, with the texts
    in ``before`` first.
    """
    started: list[Program] = []

    def begin(importer: Importer, *options: str, source: str | None = None, before: tuple[str, ...] = ()) -> Program:
        command = (*before, "import", "--source-dir", str(importer.sources.folder), *options)
        output = tmp_path / f"program-{len(started)}.txt"
        started.append(programs.start(importer, command, source, output))
        return started[-1]

    yield begin
    for program in started:
        if program.poll() is None:
            program.send_signal(signal.SIGKILL)
            program.end()
