"""What the tests of the schema's history share: an empty environment, Alembic in this process, copied revisions."""

from __future__ import annotations

import hashlib
import itertools
import logging
import shutil
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alembic.config import main as alembic_main

from aragora_db.config import Settings
from aragora_db.config.variables import variable_of
from aragora_db.database import Database
from aragora_db.migrations import scripts
from aragora_db.testing.databases import create_database, drop_database, template_database
from aragora_db.testing.fresh import FreshDatabases
from aragora_db.testing.handles import PostgresServer

ROOT = scripts.script_location().parent


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove each variable that the settings read; a CI machine may well have DATABASE_URL set."""
    for field in Settings.model_fields.values():
        variable = variable_of(field)
        for name in (variable.name, *variable.aliases):
            monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    """Both command lines set up logging for a process that ends soon; here it goes on."""
    loggers = [logging.getLogger(name) for name in ("", "alembic", "aragora_db", "aragora_db.engine")]
    before = [(logger.level, logger.handlers[:]) for logger in loggers]
    yield
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.fixture
def alembic(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The ``alembic`` command without a new process: returns what it printed, raises SystemExit as it exits."""

    def run(url: str, *arguments: str, config: Path = ROOT / "alembic.ini") -> str:
        monkeypatch.setenv("DATABASE_URL", url)
        capsys.readouterr()
        try:
            alembic_main(argv=["-c", str(config), *arguments])
        except SystemExit as end:
            printed = capsys.readouterr()
            raise SystemExit(f"{printed.out}{printed.err}" if end.code else 0) from None
        return capsys.readouterr().out

    return run


AtRevision = Callable[[str, str | None], str]


@pytest.fixture(scope="session")
def _sqlite_templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("at_revision")


@pytest.fixture
def at_revision(
    fresh_databases: FreshDatabases, _sqlite_templates: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[AtRevision]:
    """Makes databases that were migrated up to a revision, or not at all: ``at_revision(dialect, revision)``.

    They are copies of a template for each revision, which is migrated once in a run.
    """
    made: list[tuple[PostgresServer, str]] = []
    numbers = itertools.count(1)

    def sqlite(key: str, build: Callable[[str], None]) -> str:
        template = _sqlite_templates / f"{key}.db"
        if not template.exists():
            build(f"sqlite:///{template}")
        path = tmp_path / f"{key}_{next(numbers)}.db"
        shutil.copyfile(template, path)
        return f"sqlite:///{path}"

    def postgresql(key: str, build: Callable[[str], None]) -> str:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        made.append((server, server.unique_name()))
        return create_database(server.admin_url, made[-1][1], template_database(server, key, build))

    def make(dialect: str, revision: str | None) -> str:
        if revision is None:
            return fresh_databases.url(dialect, migrated=False)

        def build(url: str) -> None:
            database = Database(url)
            database.migrate(revision)
            database.close()

        # The checksums: a test that has edited one of these revisions gets a template of its own.
        chain = scripts.chain()[: scripts.chain().index(revision) + 1]
        content = hashlib.sha256("".join(map(scripts.checksum, chain)).encode()).hexdigest()
        return {"sqlite": sqlite, "postgresql": postgresql}[dialect](f"{revision}_{content[:16]}", build)

    yield make
    for server, name in made:
        drop_database(server.admin_url, name)


class Revisions:
    """A copy of ``alembic/`` that a test may change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.released = folder / "released.sha256"
        self.ini = folder.parent / "alembic.ini"

    def refresh(self) -> None:
        """Forget what was read of the files."""
        scripts.chain.cache_clear()
        scripts.checksum.cache_clear()

    def path(self, stem: str) -> Path:
        """A revision's file."""
        return self.folder / "versions" / f"{stem}.py"

    def add(self, stem: str, body: str = "pass", *, follows: str | None = None) -> str:
        """Append a revision whose ``upgrade`` is this; ``follows`` is the newest by default."""
        follows = follows or scripts.head()
        source = f'''
            """A revision of a test."""

            import sqlalchemy as sa
            from alembic import op

            from aragora_db.migrations import vocabulary as v
            from aragora_db.migrations.forward_only import no_way_back as __getattr__

            revision = "{stem}"
            down_revision = "{follows}"
            branch_labels = None
            depends_on = None


            def upgrade():
        '''
        body = textwrap.indent(textwrap.dedent(body).strip(), " " * 4)
        self.path(stem).write_text(f"{textwrap.dedent(source).strip()}\n{body}\n")
        self.refresh()
        return stem

    def edit(self, stem: str, old: str = "", new: str = "# edited\n") -> None:
        """Replace text in a revision; by default, put a comment before it."""
        text = self.path(stem).read_text()
        self.path(stem).write_text(text.replace(old, new, 1) if old else new + text)
        self.refresh()

    def unseal(self) -> None:
        """Nothing is released yet, so that a revision of the real tree may still be edited."""
        self.released.write_text("")

    def remove(self, *stems: str) -> None:
        """Delete revisions, as in an older version of the package."""
        for stem in stems:
            self.path(stem).unlink()
        self.refresh()


@pytest.fixture
def revisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Revisions]:
    """The package takes its revisions from this copy until the test ends."""
    folder = tmp_path / "alembic"
    shutil.copytree(scripts.script_location(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    copy = Revisions(folder)
    shutil.copyfile(ROOT / "alembic.ini", copy.ini)
    monkeypatch.setattr(scripts, "script_location", lambda: folder)
    copy.refresh()
    yield copy
    monkeypatch.undo()
    copy.refresh()
