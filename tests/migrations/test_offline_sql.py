"""``migrate --sql``: for places where a database administrator runs what others wrote."""

from __future__ import annotations

import subprocess

import psycopg
import pytest
import sqlalchemy as sa
import support

from aragora_db import Database, Settings
from aragora_db.cli import main
from aragora_db.engine import Target
from aragora_db.migrations import scripts
from aragora_db.migrations.status import status
from aragora_db.models import ContinuumKeywords
from aragora_db.search import index
from aragora_db.search.keywords import matches
from aragora_db.testing.plugin import missing

pytestmark = pytest.mark.slow


@pytest.fixture
def aragora_db(capsys):
    """Runs ``aragora-db`` in this process; returns stdout."""

    def run(*arguments: str) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*arguments])
        printed = capsys.readouterr()
        assert ended.value.code == 0, printed.err
        return printed.out

    return run


@pytest.fixture
def psql(postgres_server, tmp_path):
    """Runs a script through psql, which stops at the first error."""
    if postgres_server.bindir is None or not (postgres_server.bindir / "psql").exists():
        missing("no psql here: the printed SQL cannot be run. Install the package postgresql-client")

    def run(url: str, script: str) -> None:
        path = tmp_path / "migrate.sql"
        path.write_text(script)
        command = [postgres_server.bindir / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", path, url]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=support.HANG_SECONDS)
        assert ended.returncode == 0, ended.stderr

    return run


@pytest.mark.parametrize("default", ["postgresql", "sqlite"])
def test_the_printed_sql_gives_the_same_database(default, fresh_databases, monkeypatch, aragora_db, psql):
    """A schema that differs by one CHECK from what `migrate` makes is found by the next deployment, not by this one.

    The SQL is PostgreSQL's also where the default backend is SQLite: on the laptop of whoever prints it.
    """
    url = fresh_databases.url("postgresql", migrated=False)
    if default == "postgresql":
        monkeypatch.setenv("DATABASE_URL", url)
    script = aragora_db("migrate", "--sql")
    psql(url, script)

    found = status(Target.of(Settings.explicit(database_url=url)))
    assert found.good, found.as_dict()
    assert [row.revision for row in found.state.history] == list(scripts.chain())
    assert {row.applied_by for row in found.state.history} == {psycopg.conninfo.conninfo_to_dict(url)["user"]}
    with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.RaiseException, match="refused"):
        connection.execute("UPDATE aragora_schema_version SET version_num = '20260112_debates'")
    monkeypatch.setenv("DATABASE_URL", url)
    assert "nothing to do" in aragora_db("migrate")


def test_a_span_goes_on_from_where_the_database_is(at_revision, monkeypatch, aragora_db, psql):
    """The second time, the administrator gets only what is new."""
    url = at_revision("postgresql", "20260115_add_workspace_id")
    target = Target.of(Settings.explicit(database_url=url))
    monkeypatch.setenv("DATABASE_URL", url)
    script = aragora_db("migrate", "--sql", "--version", "20260115_add_workspace_id:head")
    assert "CREATE TABLE elo_matches" not in script
    psql(url, script)
    assert status(target).good


def test_words_are_left_to_later(at_revision, monkeypatch, aragora_db, psql):
    """Python decides what a word is, and printed SQL cannot: the schema is whole, the words come after it."""
    url = at_revision("postgresql", "20260121_drop_index_debates_task")
    target = Target.of(Settings.explicit(database_url=url))
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO continuum_memory (id, content) VALUES ('m', 'Die Straße')")
        connection.execute(
            "INSERT INTO consensus (id, topic, topic_hash, conclusion, strength, data)"
            " VALUES ('c', 'Some topic', 'h', 'c', 'strong', '{}')"
        )
    monkeypatch.setenv("DATABASE_URL", url)
    script = aragora_db("migrate", "--sql", "--version", "20260121_drop_index_debates_task:head")
    assert not [line for line in script.splitlines() if line.startswith(("INSERT INTO continuum", "INSERT INTO conse"))]
    psql(url, script)
    assert status(target).good

    database = Database(Settings.explicit(database_url=url))
    found = sa.select(ContinuumKeywords.owner_id).where(matches(ContinuumKeywords, ["STRASSE"]))
    assert database.transact(lambda session: session.scalars(found).all()) == []
    assert database.transact(index.rebuild) == {
        "continuum_keywords": 1,
        "debate_keywords": 0,
        "insight_keywords": 0,
        "consensus_topic_words": 1,
    }
    assert database.transact(lambda session: session.scalars(found).all()) == ["m"]
    database.close()


def test_a_script_for_another_state_stops_at_once(fresh_databases, aragora_db, psql):
    """Run twice, or against the wrong database, it must not do half of its work."""
    url = fresh_databases.url("postgresql")
    target = Target.of(Settings.explicit(database_url=url))
    before = status(target)
    for span in ("head", "20260115_add_workspace_id:head"):
        script = aragora_db("migrate", "--sql", "--version", span)
        with pytest.raises(AssertionError, match="ERROR"):
            psql(url, script)
        assert status(target) == before
