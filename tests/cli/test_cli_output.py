"""What the commands print: JSON for programs, help for people, and no password for anybody."""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit

import pytest
import typer.main

from aragora_db import Database, Settings
from aragora_db.cli.app import app
from aragora_db.migrations import scripts
from aragora_db.testing.process import free_port

pytestmark = pytest.mark.slow

COMMANDS = sorted(typer.main.get_command(app).commands)
PASSWORD = "p@ss:w/o?rd#%&+ '\""  # noqa: S105 -- nobody's


EXIT_CODES = {
    0: "done",
    1: "the answer is no",
    2: "wrong use or configuration",
    3: "database not reached",
    4: "a lock or timeout was in the way",
    5: "a bug of ours",
}


@pytest.fixture
def stopped_at(dialect, fresh_databases):
    """Makes a database that has been migrated up to a revision, or not at all."""

    def make(version: str | None) -> str:
        url = fresh_databases.url(dialect, migrated=version == scripts.head())
        if version not in {None, scripts.head()}:
            database = Database(Settings.explicit(database_url=url))
            database.migrate(version)
            database.close()
        return url

    return make


@pytest.mark.parametrize("version", [None, "20260115_add_workspace_id", scripts.head()])
def test_each_json_document_stands_alone(version, stopped_at, aragora_db):
    """One line of progress on stdout, and `jq` in somebody's pipeline stops the deployment."""
    url = stopped_at(version)
    status = aragora_db("status", "--json", DATABASE_URL=url).document
    assert status["version"] == 1
    assert (status["current"], status["head"]) == (version, scripts.head())
    assert status["good"] == (version == scripts.head())
    assert status["database"] == Database(Settings.explicit(database_url=url)).dsn.masked
    applied = [row["revision"] for row in status["history"]]
    assert applied + status["pending"] == list(scripts.chain())

    check = aragora_db("check", "--json").document
    assert (check["version"], check["good"], check["revisions"]) == (1, status["good"], [])
    assert check["schema"] == status

    migrated = aragora_db("migrate", "--json")
    assert migrated.document == {"version": 1, "applied": status["pending"]}
    assert all(revision in migrated.err for revision in status["pending"])
    assert aragora_db("status", "--json").document["good"]


def test_times_and_drift_in_json_can_be_read_back(dialect, fresh_databases, aragora_db):
    """Dashboards compare them: an instant without a zone, or a difference without a name, is of no use."""
    database = Database(Settings.explicit(database_url=fresh_databases.url(dialect)))
    with database.engine.begin() as connection:
        connection.exec_driver_sql("DROP INDEX ix_elo_ratings_leaderboard")
    document = aragora_db("status", "--json", DATABASE_URL=database.settings.database_url.get_secret_value()).document
    assert all(row["applied_at"].endswith("+00:00") for row in document["history"])
    (drift,) = document["drift"]
    assert (drift["table"], drift["name"], drift["change"]) == ("elo_ratings", "ix_elo_ratings_leaderboard", "missing")
    database.close()


def test_the_program_teaches(aragora_db):
    """The first thing that anybody types, in a terminal of the usual width."""
    ended = aragora_db("--help", COLUMNS="80")
    assert (ended.code, ended.err) == (0, "")
    assert all(command in ended.out for command in COMMANDS)
    assert all(word in ended.out for word in ("DATABASE_URL", "ARAGORA_PG_", ".nomic/aragora.db"))
    assert all(f"{code} {meaning}" in ended.out for code, meaning in EXIT_CODES.items())
    bare = aragora_db()
    assert bare.code == 2
    assert "Commands" in bare.out + bare.err


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_teaches(command, aragora_db):
    """An option without a word about it is one that nobody dares to use."""
    ended = aragora_db(command, "--help")
    assert (ended.code, ended.err) == (0, "")
    definition = typer.main.get_command(app).commands[command]
    assert len(definition.help.split()) > 5
    for parameter in definition.params:
        if parameter.param_type_name == "option" and parameter.name != "help":
            assert parameter.help, parameter.name
            assert parameter.opts[0] in ended.out


def test_the_version(aragora_db):
    """What a bug report begins with."""
    ended = aragora_db("--version")
    assert ended.code == 0
    assert ended.out.startswith("aragora_db ")


def encoded(text: str) -> set[str]:
    """Forms in which a password may turn up."""
    return {text, quote(text, safe=""), quote(text), repr(text)[1:-1]}


def test_no_password_is_printed_by_a_command_that_works(fresh_databases, aragora_db):
    """Terminals are shared, and CI keeps the output for years."""
    url = fresh_databases.url("postgresql", migrated=False)
    password = urlsplit(url).password
    if not password:
        pytest.skip("no password in the URL of the tests' PostgreSQL: there is nothing to hide")
    for command in ("status", "migrate", "status --json", "check", "check --json", "migrate --json", "migrate --sql"):
        ended = aragora_db(*command.split(), DATABASE_URL=url)
        assert ended.code in {0, 1}
        assert password not in unquote(ended.out + ended.err)


@pytest.mark.parametrize("command", ["status", "migrate --json", "check"])
@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://me:{}@127.0.0.1:{port}/db",
        "postgresql://me:{}@127.0.0.1:{port}/db?sslmode=wrong",
        "postgresql://me:{}@127.0.0.1:port/db",
        "mysql://me:{}@127.0.0.1/db",
        "postgresql://me@127.0.0.1:{port}/db?password={}",
    ],
)
def test_no_password_is_printed_by_a_command_that_fails(command, dsn, aragora_db):
    """Errors are what people paste into tickets."""
    given = dsn.replace("{port}", str(free_port())).replace("{}", quote(PASSWORD, safe=""))
    ended = aragora_db(*command.split(), DATABASE_URL=given)
    assert ended.code in {2, 3}
    assert ended.out == ""
    assert not [form for form in encoded(PASSWORD) if form in ended.err], ended.err


def test_a_wrong_password_is_not_printed(postgres_server, aragora_db):
    """The server's own message is passed on; ours must not add to it."""
    host_and_database = postgres_server.admin_url.rpartition("@")[2]
    ended = aragora_db("status", DATABASE_URL=f"postgresql://nobody:{quote(PASSWORD, safe='')}@{host_and_database}")
    assert ended.code in {2, 3}
    assert "nobody" in ended.err
    assert not [form for form in encoded(PASSWORD) if form in ended.err], ended.err
