"""The driver's errors become ours, the same on every engine, and say nothing that must not be said."""

from __future__ import annotations

import pickle
import sqlite3
from urllib.parse import quote, urlsplit

import pytest
from sqlalchemy import exc as sa_exc
from sqlalchemy import insert, text

from aragora_db import errors
from aragora_db.models import EloDomainRating, EloRating
from aragora_db.testing.process import free_port

VALUE = "row-value-7f3a"


def _rating(**values):
    return insert(EloRating).values(agent_name=VALUE, **values)


def _twice(session):
    session.execute(_rating())
    session.execute(_rating())


BROKEN = {
    "unique": (_twice, errors.UniqueViolation),
    "foreign key": (
        lambda session: session.execute(insert(EloDomainRating).values(agent_name=VALUE, domain=VALUE)),
        errors.ForeignKeyViolation,
    ),
    "check": (
        lambda session: session.execute(
            text(
                "INSERT INTO consensus (id, topic, topic_hash, conclusion, strength, data) "
                "VALUES (:a, :a, :a, :a, :a, '{}')"
            ),
            {"a": VALUE},
        ),
        errors.CheckViolation,
    ),
    "not null": (lambda session: session.execute(_rating(elo=None)), errors.NotNullViolation),
}


def _assert_says_nothing(error, *secrets):
    """Neither the error nor its twin on the other side of a process border shows them."""
    twin = pickle.loads(pickle.dumps(error))  # noqa: S301 -- our own bytes
    assert (type(twin), str(twin), twin.constraint, twin.table) == (
        type(error),
        str(error),
        error.constraint,
        error.table,
    )
    for shown in (str(error), repr(error), str(error.args), str(twin), repr(twin), repr(twin.orig)):
        for secret in secrets:
            assert secret not in shown


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_constraint_has_its_own_class(database, kind):
    """A caller that catches UniqueViolation on a laptop would let it through in production."""
    work, expected = BROKEN[kind]
    with pytest.raises(expected) as caught:
        database.run(work)
    error = caught.value
    assert type(error) is expected
    assert isinstance(error, sa_exc.IntegrityError)
    assert error.exit_code == 1
    assert error.constraint or error.table or kind == "foreign key", "SQLite names nothing for a foreign key only"
    _assert_says_nothing(error, VALUE)


def test_a_check_is_named(database):
    """The name says which rule was broken; the naming convention makes it the same on both databases."""
    with pytest.raises(errors.CheckViolation) as caught:
        database.run(BROKEN["check"][0])
    assert caught.value.constraint is not None
    assert caught.value.constraint.startswith("ck_consensus_")


@pytest.mark.parametrize("kind", ["unique", "not null"])
def test_the_table_is_named(database, kind):
    """With it a store can tell its own unique key from another table's."""
    with pytest.raises(errors.ConstraintViolation) as caught:
        database.run(BROKEN[kind][0])
    assert caught.value.table == "elo_ratings"


def test_removing_a_parent_that_rows_belong_to(database):
    """The other half of a foreign key, where no cascade is declared."""

    def work(session):
        session.execute(text("CREATE TABLE parents (id integer PRIMARY KEY)"))
        session.execute(text("CREATE TABLE children (id integer REFERENCES parents)"))
        session.execute(text("INSERT INTO parents VALUES (1)"))
        session.execute(text("INSERT INTO children VALUES (1)"))
        session.execute(text("DELETE FROM parents"))

    with pytest.raises(errors.ForeignKeyViolation):
        database.run(work)


def test_a_write_to_a_read_only_database(database):
    """The session's advice must come with the database's error."""
    with pytest.raises(errors.ReadOnlyViolation, match="read_only=True") as caught:
        database.run(lambda session: session.execute(_rating()), read_only=True)
    assert isinstance(caught.value, sa_exc.DBAPIError)
    _assert_says_nothing(caught.value, VALUE)


def test_a_busy_file(file_case, fresh_databases, open_database):
    """Another writer in the way is the same class as a deadlock on a server: run it again."""
    database = open_database(file_case, fresh_databases.url("sqlite"), busy_timeout=0)
    database.ensure_ready()
    other = sqlite3.connect(database.dsn.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(errors.LockTimeout) as caught:
        database.run(lambda session: session.execute(_rating()), attempts=1)
    other.close()
    assert isinstance(caught.value, sa_exc.OperationalError)
    assert caught.value.exit_code == 4
    _assert_says_nothing(caught.value, VALUE)


def test_a_connection_that_could_not_begin_begins_later(file_case, fresh_databases, open_database):
    """Code that tries again on the same connection would else run outside a transaction and commit every statement."""
    database = open_database(file_case, fresh_databases.url("sqlite"), busy_timeout=0)
    database.ensure_ready()
    other = sqlite3.connect(database.dsn.path, isolation_level=None)
    with database.engine.connect() as connection:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(errors.LockTimeout):
            connection.execute(_rating())
        other.execute("ROLLBACK")
        connection.execute(_rating())
        connection.rollback()
    assert other.execute("SELECT count(*) FROM elo_ratings").fetchone() == (0,)
    other.close()


@pytest.mark.parametrize("extended", ["SQLITE_BUSY_RECOVERY", "SQLITE_BUSY_TIMEOUT", "SQLITE_LOCKED_SHAREDCACHE"])
def test_kinds_of_busy(file_case, fresh_databases, open_database, extended):
    """After a crash the first process replays the WAL, and the second is told SQLITE_BUSY_RECOVERY."""
    database = open_database(file_case, fresh_databases.url("sqlite"))

    def work(session):
        error = sqlite3.OperationalError("database is locked")
        error.sqlite_errorname = extended
        session.connection()._handle_dbapi_exception(error, None, None, None, None)

    with pytest.raises(errors.LockTimeout):
        database.run(work, attempts=1)


def test_a_file_that_is_no_database(file_case, tmp_path, open_database):
    """A text file at the database's path is an operator's mistake, and the message names what SQLite found."""
    path = tmp_path / "notes.db"
    path.write_text("not a database " * 100)
    with pytest.raises(errors.DatabaseUnavailable, match="not a database"):
        open_database(file_case, f"sqlite:///{path}").run(lambda _: None)
    assert path.read_text().startswith("not a database")


def test_a_folder_that_is_a_file(file_case, tmp_path, open_database):
    """As above, one level up."""
    (tmp_path / "folder").write_text("")
    with pytest.raises((errors.AragoraDBError, OSError)):
        open_database(file_case, f"sqlite:///{tmp_path}/folder/x.db").run(lambda _: None)


PASSWORD = "p@ss/w:rd%?#&=1"  # noqa: S105 -- made up, and the point of the test


def _elsewhere(url, **changes):
    parts = urlsplit(url)
    values = {"user": parts.username, "host": parts.hostname, "port": parts.port, "name": parts.path[1:]} | changes
    return (
        f"postgresql://{values['user']}:{quote(PASSWORD, safe='')}@{values['host']}:{values['port']}/{values['name']}"
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "password authentication failed"),
        ({"user": "nobody_here"}, "nobody_here"),
        ({"name": "no_such_database"}, "password authentication failed"),
        ({"host": "host.invalid"}, "host.invalid|resolve|known"),
        ({"port": None}, r"refused\. Is the server running .*\? The address comes from .*aragora-db doctor finds"),
    ],
    ids=["password", "user", "database", "name", "port"],
)
def test_a_server_that_cannot_be_reached(server_case, fresh_databases, open_database, changes, says):
    """The message goes to logs and terminals: it names the server, and never the password."""
    if "port" in changes:
        changes = {"port": free_port()}
    database = open_database(server_case, _elsewhere(fresh_databases.url("postgresql"), **changes), connect_timeout=5)
    with pytest.raises(errors.DatabaseUnavailable, match=says) as caught:
        database.run(lambda _: None, attempts=1)
    assert isinstance(caught.value, sa_exc.OperationalError)
    assert caught.value.exit_code == 3
    _assert_says_nothing(caught.value, PASSWORD, quote(PASSWORD, safe=""))
    assert PASSWORD not in repr(database.health())
    assert not database.health_check()


def test_an_error_that_we_have_no_class_for(database):
    """A mistake in the SQL stays SQLAlchemy's ProgrammingError or OperationalError; values stay hidden."""
    with pytest.raises(sa_exc.DBAPIError) as caught:
        database.run(lambda session: session.execute(text("SELECT :secret FROM no_such_table"), {"secret": VALUE}))
    assert not isinstance(caught.value, errors.AragoraDBError)
    assert VALUE not in str(caught.value)


def test_every_error_keeps_the_drivers(database):
    """Whoever needs more than our class looks at `orig`."""
    with pytest.raises(errors.UniqueViolation) as caught:
        database.run(_twice)
    assert caught.value.orig is caught.value.__cause__
    assert type(caught.value.orig).__module__.split(".")[0] in {"psycopg", "sqlite3"}
