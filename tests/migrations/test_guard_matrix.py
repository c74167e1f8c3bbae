"""Every known way to take the schema, or its record, backward; on both dialects none of them gets through.

Two doors are outside, because whoever may use them owns the tables: ``DROP TABLE aragora_schema_version`` (and
dropping or disabling the triggers), and a forged INSERT into ``schema_history``. They are closed by giving the
application a role that owns nothing (docs/guide/migrations.md).
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import support
from alembic import command
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory

from aragora_db.config import Settings
from aragora_db.engine import Target
from aragora_db.migrations import scripts
from aragora_db.migrations.state import VERSION_TABLE
from aragora_db.migrations.upgrade import alembic_config
from aragora_db.testing.fresh import DatabaseMaker, FreshDatabases

HEAD, BEFORE, OLD, FIRST = scripts.chain()[-1], scripts.chain()[-2], "20260112_debates", scripts.chain()[0]
ROOT = scripts.script_location().parent

# Who refuses, and what the message must therefore say.
GUARD = (HEAD, "aragora-db revision -m TEXT --reverses", "docs/guide/migrations.md")
MODULE = ("aragora-db revision -m TEXT --reverses", "docs/guide/migrations.md")
TRIGGER = ("refused", "the schema only moves forward", "docs/guide/migrations.md")
OFFLINE = ("this SQL starts at no revision", *MODULE)
ALEMBIC = ("FAILED",)


DIALECTS = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Place:
    """A database, a scratch folder, and Alembic's command in this process."""

    url: str
    folder: Path
    alembic: Callable[..., str]


@dataclass(frozen=True)
class Attempt:
    """A named way to go back; ``make`` raises when it was refused."""

    name: str
    make: Callable[[Place], object]
    says: tuple[str, ...]
    dialects: tuple[str, ...] = DIALECTS


def typed(line: str, says: tuple[str, ...] = GUARD) -> Attempt:
    """An ``alembic`` command line, without a process of its own."""
    return Attempt(f"alembic {line}", lambda place: place.alembic(place.url, *line.split()), says)


def process(line: str, *dialects: str) -> Attempt:
    """The real command in a process of its own, from the root of the checkout."""

    def run(place: Place) -> None:
        ended = subprocess.run(
            [Path(sys.executable).with_name("alembic"), *line.split()],
            cwd=ROOT,
            env=support.clean_environment(DATABASE_URL=place.url),
            capture_output=True,
            text=True,
            check=False,
            timeout=support.HANG_SECONDS,
        )
        assert not [row for row in ended.stdout.splitlines() if row and not row.startswith("FAILED")], "SQL leaked"
        if ended.returncode:
            raise SystemExit(ended.stdout + ended.stderr)

    return Attempt(f"process: alembic {line}", run, GUARD, dialects)


def called(name: str, call: Callable[..., Any], *arguments: Any, **keywords: Any) -> Attempt:
    """A function of ``alembic.command``, as `Database.migrate` calls them."""

    def run(place: Place) -> None:
        call(alembic_config(Target.of(Settings.explicit(database_url=place.url))), *arguments, **keywords)

    return Attempt(f"command.{name}", run, GUARD)


def foreign(line: str, says: tuple[str, ...]) -> Attempt:
    """Somebody else's env.py over our revisions, with Alembic's default settings."""

    def run(place: Place) -> None:
        project = place.folder / "foreign"
        project.mkdir()
        (project / "env.py").write_text(
            "import sqlalchemy as sa\nfrom alembic import context\n"
            f"engine = sa.create_engine({plain_url(place.url)!r}, poolclass=sa.NullPool)\n"
            "with engine.connect() as connection:\n"
            f"    context.configure(connection=connection, version_table={VERSION_TABLE!r})\n"
            "    with context.begin_transaction():\n"
            "        context.run_migrations()\n"
        )
        ini = project / "alembic.ini"
        versions = scripts.script_location() / "versions"
        ini.write_text(
            f"[alembic]\nscript_location = {project}\nversion_locations = {versions}\npath_separator = newline\n"
        )
        place.alembic(place.url, *line.split(), config=ini)

    return Attempt(f"foreign env.py: alembic {line}", run, says)


def migration_context(place: Place, work: Callable[[MigrationContext, ScriptDirectory], None], **opts: Any) -> None:
    """A bare MigrationContext on a connection of somebody else's."""
    directory = ScriptDirectory(scripts.script_location())
    with plain_engine(place.url).connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, **opts})
        with context.begin_transaction():
            work(context, directory)
        connection.commit()


def stamp_by_context(place: Place) -> None:
    """``MigrationContext.stamp``."""
    migration_context(place, lambda context, directory: context.stamp(directory, OLD))


def downgrade_by_context(place: Place) -> None:
    """A MigrationContext whose function is Alembic's own planning of a downgrade."""
    plan = ScriptDirectory(scripts.script_location())._downgrade_revs
    migration_context(place, lambda context, _: context.run_migrations(), fn=lambda heads, _: plan("base", heads))


def downgrade_by_module(place: Place) -> None:
    """``module.downgrade()`` inside an operations context."""
    path = scripts.script_location() / "versions" / f"{HEAD}.py"
    spec = importlib.util.spec_from_file_location("revision", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def work(context: MigrationContext, _: ScriptDirectory) -> None:
        with Operations.context(context):
            module.downgrade()

    migration_context(place, work)


def sql(statement: str, *dialects: str) -> Attempt:
    """Raw SQL by somebody who is connected."""
    return Attempt(f"sql: {statement}", lambda place: execute(place.url, statement), TRIGGER, dialects or DIALECTS)


BACKWARD = [
    process("downgrade -1", "postgresql"),
    process(f"downgrade {HEAD}:{OLD} --sql", "sqlite"),
    *(typed(f"downgrade {to}") for to in ("-1", "base", OLD, f"{HEAD}-2", "-3", "head")),
    *(typed(f"-x {argument} downgrade -1") for argument in ("force=1", "adopt=true")),
    *(typed(f"downgrade {span} --sql") for span in (f"{HEAD}:{OLD}", f"{HEAD}:base", "head:-1")),
    *(typed(f"stamp {to}") for to in (OLD, "base", FIRST, f"{BEFORE} --purge", "head --purge", "base --purge")),
    *(typed(f"stamp {span} --sql") for span in (f"{HEAD}:{OLD}", f"{HEAD}:base")),
    *(typed(f"stamp {to} --sql", OFFLINE) for to in (OLD, "base")),
    *(typed(f"upgrade {to}") for to in (OLD, FIRST, "base", "head-2", f"{OLD}+1")),
    *(typed(f"upgrade {span} --sql") for span in (f"{HEAD}:{OLD}", f"{HEAD}:{BEFORE}")),
    typed("upgrade -1", ALEMBIC),
    called("downgrade -1", command.downgrade, "-1"),
    called("downgrade base", command.downgrade, "base"),
    called("downgrade --sql", command.downgrade, f"{HEAD}:base", sql=True),
    called("stamp old", command.stamp, OLD),
    called("stamp list", command.stamp, [OLD]),
    called("stamp --purge", command.stamp, HEAD, purge=True),
    called("stamp --sql", command.stamp, f"{HEAD}:{OLD}", sql=True),
    called("upgrade old", command.upgrade, OLD),
    foreign("downgrade -1", MODULE),
    foreign("downgrade base", MODULE),
    foreign(f"downgrade {HEAD}:{OLD} --sql", MODULE),
    foreign(f"stamp {OLD}", TRIGGER),
    foreign("stamp base", TRIGGER),
    foreign(f"stamp --purge {OLD}", TRIGGER),
    Attempt("MigrationContext.stamp", stamp_by_context, TRIGGER),
    Attempt("MigrationContext(fn=_downgrade_revs)", downgrade_by_context, MODULE),
    Attempt("module.downgrade()", downgrade_by_module, MODULE),
    sql(f"UPDATE {VERSION_TABLE} SET version_num = '{BEFORE}'"),
    sql(f"UPDATE {VERSION_TABLE} SET version_num = '{OLD}' WHERE version_num = '{HEAD}'"),
    sql(f"UPDATE {VERSION_TABLE} SET version_num = '99999999_unknown'"),
    sql(f"UPDATE {VERSION_TABLE} SET version_num = version_num"),
    sql(f"UPDATE OR REPLACE {VERSION_TABLE} SET version_num = '{OLD}'", "sqlite"),
    sql(f"DELETE FROM {VERSION_TABLE}"),
    sql(f"DELETE FROM {VERSION_TABLE} WHERE version_num = '{HEAD}'"),
    sql(f"TRUNCATE {VERSION_TABLE}", "postgresql"),
    sql(f"TRUNCATE schema_history, {VERSION_TABLE} CASCADE", "postgresql"),
    sql(f"INSERT INTO {VERSION_TABLE} VALUES ('{OLD}')"),
    sql(f"INSERT INTO {VERSION_TABLE} VALUES ('{FIRST}')"),
    sql(f"INSERT OR REPLACE INTO {VERSION_TABLE} VALUES ('{HEAD}')", "sqlite"),
    sql(f"INSERT OR REPLACE INTO {VERSION_TABLE} (rowid, version_num) VALUES (1, '{OLD}')", "sqlite"),
    sql(f"INSERT INTO {VERSION_TABLE} VALUES ('{HEAD}') ON CONFLICT (version_num) DO UPDATE SET version_num = '{OLD}'"),
    sql(f"UPDATE schema_history SET checksum = 'x' WHERE revision = '{HEAD}'"),
    sql(f"UPDATE schema_history SET id = id + 100 WHERE revision = '{OLD}'"),
    sql(f"DELETE FROM schema_history WHERE revision = '{HEAD}'"),
    sql("DELETE FROM schema_history"),
    sql("TRUNCATE schema_history", "postgresql"),
    sql(
        "INSERT OR REPLACE INTO schema_history (revision, checksum, applied_by, package_version)"
        f" VALUES ('{HEAD}', 'x', 'me', '0')",
        "sqlite",
    ),
]

OBJECTS = {
    "sqlite": "SELECT type, name, sql FROM sqlite_master",
    "postgresql": (
        "SELECT relkind::text, relname, pg_get_indexdef(oid) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " UNION ALL SELECT 'trigger', tgname, tgenabled::text FROM pg_trigger"
    ),
}
ROWS = (f"SELECT * FROM {VERSION_TABLE}", "SELECT * FROM schema_history ORDER BY id", "SELECT * FROM elo_ratings")


def plain_url(url: str) -> str:
    """The URL as SQLAlchemy takes it."""
    return url.replace("postgresql://", "postgresql+psycopg://")


def plain_engine(url: str) -> sa.Engine:
    """An engine that has nothing of ours."""
    return sa.create_engine(plain_url(url), poolclass=sa.NullPool)


def execute(url: str, statement: str) -> None:
    """Raw SQL, committed."""
    with plain_engine(url).begin() as connection:
        connection.exec_driver_sql(statement)


def contents(url: str, *, migrated: bool) -> list[Any]:
    """Every object of the database, and the rows of the tables that matter here."""
    with plain_engine(url).connect() as connection:
        objects = sorted(connection.exec_driver_sql(OBJECTS[connection.dialect.name]), key=str)
        return [objects, *(list(connection.exec_driver_sql(query)) for query in ROWS if migrated)]


class Places:
    """One database for all attempts that leave it as it was; a new one after an attempt that did not."""

    def __init__(self, make: FreshDatabases) -> None:
        self._make = make
        self._ready: dict[tuple[str, bool], tuple[str, list[Any]]] = {}

    def url(self, dialect: str, *, migrated: bool) -> str:
        """A database at head with two rows in a table, or an empty one."""
        if (dialect, migrated) not in self._ready:
            url = self._make.url(dialect, migrated=migrated)
            if migrated:
                execute(url, "INSERT INTO elo_ratings (agent_name, elo) VALUES ('claude', 1516.25), ('gpt', 1483.75)")
            self._ready[dialect, migrated] = url, contents(url, migrated=migrated)
        return self._ready[dialect, migrated][0]

    def unchanged(self, dialect: str, *, migrated: bool) -> bool:
        """Whether it is as it was before the attempt."""
        url, before = self._ready.pop((dialect, migrated))
        if contents(url, migrated=migrated) != before:
            return False
        self._ready[dialect, migrated] = url, before
        return True


@pytest.fixture(scope="module")
def places(database_maker: DatabaseMaker) -> Iterator[Places]:
    """The databases of this module."""
    fresh = FreshDatabases(database_maker)
    yield Places(fresh)
    fresh.drop_all()


Scratch = Callable[[str], Place]


@pytest.fixture
def scratch(tmp_path: Path, alembic: Callable[..., str]) -> Scratch:
    """Makes a place of a URL."""
    return lambda url: Place(url, tmp_path, alembic)


def refusal(attempt: Attempt, place: Place, capsys: pytest.CaptureFixture[str]) -> str:
    """Make the attempt; it must be refused, by an error that was meant. Returns what it said."""
    with pytest.raises((Exception, SystemExit)) as refused:
        attempt.make(place)
    assert not isinstance(refused.value, AttributeError)
    if isinstance(refused.value, SystemExit):
        assert refused.value.code != 0
    said = f"{refused.value}{capsys.readouterr().err}"
    assert "AttributeError" not in said
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize(
    ("attempt", "on"),
    [pytest.param(each, on, id=f"{on}-{each.name}") for each in BACKWARD for on in each.dialects],
)
def test_no_way_back(
    attempt: Attempt, on: str, places: Places, scratch: Scratch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that gets through loses data, or leaves a record that lies about the schema."""
    said = refusal(attempt, scratch(places.url(on, migrated=True)), capsys)
    assert [part for part in attempt.says if part not in said] == [], said
    assert places.unchanged(on, migrated=True)


OURS = [
    each
    for each in BACKWARD
    if each.name.startswith(("alembic downgrade", "alembic stamp", "command.downgrade", "command.stamp"))
]


@pytest.mark.parametrize("attempt", OURS, ids=lambda attempt: attempt.name)
def test_an_empty_database_stays_empty(
    attempt: Attempt, dialect: str, places: Places, scratch: Scratch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stamped empty database claims tables that are not there, and nothing would ever create them."""
    refusal(attempt, scratch(places.url(dialect, migrated=False)), capsys)
    assert places.unchanged(dialect, migrated=False)
