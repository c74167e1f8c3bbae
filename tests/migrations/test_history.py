"""The record of what was applied, and what is made of it: edited, ahead, diverged, behind."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from aragora_db import Database, Settings, __version__
from aragora_db.cli import main
from aragora_db.errors import MigrationError, RevisionEdited, SchemaAhead, SchemaBehind, SchemaDiverged
from aragora_db.migrations import scripts
from aragora_db.migrations.state import Applied, SchemaState, Verdict
from aragora_db.migrations.upgrade import inspect_state
from aragora_db.models import SchemaHistory

HEAD = scripts.head()


@pytest.fixture
def make_database(dialect, fresh_databases, at_revision):
    """Makes databases at head, or at a revision, and closes them."""
    made: list[Database] = []

    def make(revision: str | None = HEAD) -> Database:
        url = fresh_databases.url(dialect) if revision == HEAD else at_revision(dialect, revision)
        made.append(Database(Settings.explicit(database_url=url)))
        return made[-1]

    yield make
    for database in made:
        database.close()


@pytest.fixture
def aragora_db(monkeypatch, capsys):
    """Runs ``aragora-db`` in this process: exit code, stdout, stderr."""

    def run(database: Database, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setenv("DATABASE_URL", database.settings.database_url.get_secret_value())
        monkeypatch.setenv("COLUMNS", "300")
        with pytest.raises(SystemExit) as ended:
            main([*arguments])
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    return run


def test_every_revision_is_on_record(make_database):
    """An incident review asks which file ran, when, by whom and how long; a gap in the record is no record."""
    database = make_database(None)
    started = datetime.now(UTC)
    applied = database.migrate()
    with database.session(read_only=True) as session:
        rows = session.scalars(sa.select(SchemaHistory).order_by(SchemaHistory.id)).all()
    assert [row.revision for row in rows] == applied == list(scripts.chain())
    assert [row.predecessor for row in rows] == [None, *scripts.chain()[:-1]]
    for row in rows:
        source = scripts.script_location() / "versions" / f"{row.revision}.py"
        assert row.checksum == hashlib.sha256(source.read_bytes()).hexdigest()
        assert row.package_version == __version__
        assert "@" in row.applied_by
        assert "(pid " in row.applied_by
        assert 0 <= row.duration_ms < 60_000
        assert abs(row.applied_at - started) < timedelta(minutes=5)


@pytest.mark.parametrize("statement", ["UPDATE schema_history SET checksum = 'x'", "DELETE FROM schema_history"])
def test_the_record_only_grows(statement, make_database):
    """Somebody who can rewrite it can hide an edited revision; not even our own sessions can."""
    database = make_database()
    with pytest.raises(sa.exc.DBAPIError, match="schema_history refused"), database.session() as session:
        session.execute(sa.text(statement))
    assert inspect_state(database._target).edited == ()


def test_an_edited_revision_is_reported_and_refused(make_database, revisions, aragora_db):
    """Two databases that ran different texts under one name differ for ever, and nobody knows which is which."""
    database = make_database()
    revisions.edit("20260112_debates")
    code, out, _ = aragora_db(database, "status")
    assert (code, "edited since they were applied: 20260112_debates" in out) == (1, True)
    code, out, _ = aragora_db(database, "status", "--json")
    document = json.loads(out)
    assert (code, document["edited"], document["good"]) == (1, ["20260112_debates"], False)
    for attempt in (database.migrate, database.ensure_ready):
        with pytest.raises(RevisionEdited, match=r"20260112_debates.*git checkout.*aragora-db revision"):
            attempt()
    code, _, err = aragora_db(database, "migrate")
    assert (code, "20260112_debates" in err) == (1, True)


def test_an_edited_revision_stops_the_alembic_command(make_database, revisions, alembic):
    """`alembic upgrade head` is the other door to the same room."""
    database = make_database()
    revisions.edit("20260112_debates")
    revisions.add("20991231_newer")
    with pytest.raises(SystemExit, match="20260112_debates"):
        alembic(database.settings.database_url.get_secret_value(), "upgrade", "head", config=revisions.ini)
    assert inspect_state(database._target).current == HEAD


def test_line_ends_are_no_edit(make_database, revisions):
    """A checkout on Windows has other line ends, and would refuse every database."""
    database = make_database()
    path = revisions.path("20260112_debates")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    revisions.refresh()
    assert inspect_state(database._target).edited == ()


def test_a_database_ahead_says_deploy_the_newer_version(make_database, revisions, aragora_db, alembic):
    """Called "behind", it would send somebody to migrate backward."""
    database = make_database()
    newer = revisions.add("20991231_newer")
    database.migrate()
    revisions.remove(newer)
    text = f"this database is at {newer}, which this version does not know.*deploy the newer version"
    for attempt in (database.migrate, database.ensure_ready):
        with pytest.raises(SchemaAhead, match=text):
            attempt()
    code, out, _ = aragora_db(database, "status", "--json")
    document = json.loads(out)
    assert (code, document["verdict"], document["last_common"], document["pending"]) == (1, "ahead", HEAD, [])
    code, out, _ = aragora_db(database, "status")
    assert "behind" not in out
    assert "deploy the newer version" in out
    url = database.settings.database_url.get_secret_value()
    for command in (["current"], ["upgrade", "head"], ["check"]):
        with pytest.raises(SystemExit, match=text):
            alembic(url, *command)


def test_a_diverged_database_names_the_last_common_revision(make_database, revisions, aragora_db):
    """Two branches were deployed: what to merge starts after the last revision that both have."""
    database = make_database()
    theirs = revisions.add("20991230_theirs")
    database.migrate()
    revisions.remove(theirs)
    ours = revisions.add("20991231_ours")
    with pytest.raises(SchemaDiverged, match=f"at {theirs}, and this version's {ours}.*both know is {HEAD}"):
        database.migrate()
    code, out, _ = aragora_db(database, "status", "--json")
    document = json.loads(out)
    assert (code, document["verdict"], document["last_common"]) == (1, "diverged", HEAD)
    assert document["pending"] == [ours]


def test_a_database_behind_lists_what_is_pending(make_database, aragora_db):
    """The list is what an operator reads before running it."""
    database = make_database(scripts.chain()[-3])
    pending = list(scripts.chain()[-2:])
    code, out, _ = aragora_db(database, "status")
    assert code == 1
    assert all(each in out for each in [*pending, "behind", "aragora-db migrate"])
    document = json.loads(aragora_db(database, "status", "--json")[1])
    assert (document["verdict"], document["pending"]) == ("behind", pending)
    assert [row["revision"] for row in document["history"]] == list(scripts.chain()[:-2])
    with pytest.raises(SchemaBehind, match="2 revisions are pending"):
        database.ensure_ready()


def test_tables_without_a_version_are_not_migrated_over(make_database, aragora_db):
    """Somebody made the tables by hand or restored a part: the first CREATE TABLE would fail half way."""
    database = make_database(None)
    with database.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE elo_ratings (agent_name text)")
    for attempt in (database.migrate, database.ensure_ready):
        with pytest.raises(MigrationError, match=r"tables of ours .elo_ratings.*no aragora_schema_version"):
            attempt()
    code, out, _ = aragora_db(database, "status", "--json")
    assert (code, json.loads(out)["verdict"]) == (1, "unversioned")


def applied(*stems: str) -> tuple[Applied, ...]:
    """History rows, with the checksum of the file where there is one."""
    known = scripts.chain()
    return tuple(
        Applied(stem, scripts.checksum(stem) if stem in known else "x", datetime.now(UTC), "me", None, "0")
        for stem in stems
    )


CHAIN = scripts.chain()


@pytest.mark.parametrize(
    ("state", "verdict", "last_common", "pending"),
    [
        (SchemaState(None), Verdict.EMPTY, None, len(CHAIN)),
        (SchemaState(None, (), frozenset({"schema_history"})), Verdict.UNVERSIONED, None, len(CHAIN)),
        (SchemaState(None, (), frozenset({"debates"})), Verdict.UNVERSIONED, None, len(CHAIN)),
        (SchemaState(HEAD, applied(*CHAIN)), Verdict.AT_HEAD, HEAD, 0),
        (SchemaState(CHAIN[3], applied(*CHAIN[:4])), Verdict.BEHIND, CHAIN[3], len(CHAIN) - 4),
        (SchemaState("9", applied(*CHAIN, "9")), Verdict.AHEAD, HEAD, 0),
        (SchemaState("9", applied(*CHAIN, "8", "9")), Verdict.AHEAD, HEAD, 0),
        (SchemaState("9", applied(*CHAIN[:4], "9")), Verdict.DIVERGED, CHAIN[3], len(CHAIN) - 4),
        (SchemaState(HEAD, applied(*CHAIN[:4], "unknown", *CHAIN[4:])), Verdict.AHEAD, HEAD, 0),
        (SchemaState("9", applied("8", "9")), Verdict.DIVERGED, None, len(CHAIN)),
        # Between reading the version and reading the history, another process may have moved on.
        (SchemaState(CHAIN[3], applied(*CHAIN[:5])), Verdict.BEHIND, CHAIN[3], len(CHAIN) - 4),
    ],
)
def test_verdicts(state, verdict, last_common, pending):
    """Every command decides by this word."""
    assert (state.verdict, state.last_common, len(state.pending)) == (verdict, last_common, pending)


def test_an_edited_release_is_refused_before_anything_is_applied(dialect, fresh_databases, revisions):
    """A new database that takes an edited revision is the start of two histories under one name."""
    revisions.edit("20260102_elo")
    database = Database(fresh_databases.url(dialect, migrated=False))
    with pytest.raises(RevisionEdited, match="20260102_elo"):
        database.migrate()
    assert inspect_state(database._target).current is None
    database.close()
