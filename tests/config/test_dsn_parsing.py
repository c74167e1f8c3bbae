"""DSNs in and out; a failure means a connection to the wrong place, or with the wrong parameters."""

from __future__ import annotations

import copy
import pickle

import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import make_url

from aragora_db.config import Dsn, parse_dsn
from aragora_db.errors import ConfigurationError

POSTGRESQL = [
    "postgresql://",
    "postgresql:///arena",
    "postgresql://ann@db.example",
    "postgresql://ann:Zk9%40%3A%2F%25%3F%23x@db.example:5433/arena?sslmode=verify-full&sslrootcert=/etc/ca.pem",
    "postgresql://ann:Zk9secret@db.example/arena?options=-c%20search_path%3Dx%20-c%20a%3Db&application_name=me%40x",
    "postgresql://ann:Zk9secret@a.example:5432,b.example:5433/arena?target_session_attrs=read-write",
    "postgresql://a.example,b.example/arena",
    "postgresql://a.example,b.example:6000/arena",
    "postgresql:///arena?host=a.example,b.example&port=5432",
    "postgresql:///arena?host=a.example,b.example",
    "postgresql:///arena?host=/var/run/postgresql&port=5555",
    "postgresql://%2Fvar%2Frun%2Fpostgresql/arena",
    "postgresql://ann@/arena?host=%40abstract",
    "postgresql://[2001:db8::1]:5432/arena",
    "postgresql://[::1],[::2]:5433/arena",
    "postgresql://[fe80::1%25eth0]/arena",
    "postgresql://:Zk9secret@db.example/arena",
    "postgresql://:5433/arena",
    "postgresql://db.example/?password=&user=",
    "postgresql://db.example/a%2Fb%3Fc%40d?connect_timeout=3",
    "postgresql://ann@db.example/arena?password=Zk9secret&sslpassword=Zk9other",
    "postgresql://ann@db.example/arena?ssl=true",
    "postgresql://ann:Zk9secret@db.example/arena?sslrootcert=/run/credentials/arena@blue/ca.pem",
    "postgresql://ann:Zk9?#&=x@db.example/arena",
]

SQLITE = [
    ("sqlite:///arena.db", "arena.db"),
    ("sqlite:///.nomic/arena.db", ".nomic/arena.db"),
    ("sqlite:////srv/arena.db", "/srv/arena.db"),
    ("sqlite+pysqlite:///arena.db", "arena.db"),
    ("sqlite+aiosqlite:////srv/arena.db", "/srv/arena.db"),
    ("SQLite:///arena.db", "arena.db"),
    ("sqlite:///odd%20name%3F%25%23.db", "odd name?%#.db"),
    ("sqlite:///C:/arena.db", "C:/arena.db"),
    ("sqlite://", None),
    ("sqlite:///:memory:", None),
    ("sqlite+aiosqlite:///:memory:", None),
]

MALFORMED = [
    ("", "no scheme that is accepted"),
    ("arena", "no scheme that is accepted"),
    ("host=db.example password=Zk9secret", "no scheme that is accepted"),
    ("mysql://ann:Zk9secret@db.example/arena", "no scheme that is accepted"),
    ("postgresql+asyncpg://ann:Zk9secret@db.example/arena", "no scheme that is accepted"),
    ("postgresql:/ann:Zk9secret@db.example", "no scheme that is accepted"),
    ("Zk9secret://db.example", "no scheme that is accepted"),
    ("postgresql+Zk9secret://db.example", "no scheme that is accepted"),
    ("postgresql://ann:p@Zk9@db.example/arena", "as when the password is not encoded"),
    ("postgresql://ann:12/Zk9@db.example/arena", "as when the password is not encoded"),
    ("postgresql://ann:Zk9/x", "as when a / in the password is not encoded"),
    ("postgresql://db.example:0/arena", "a port is not a number"),
    ("postgresql://db.example:65536/arena", "a port is not a number"),
    ("postgresql://db.example/arena?port=" + "9" * 5000, "a port is not a number"),
    ("postgresql://ann:Zk9 x@db.example/arena", "libpq cannot read it"),
    ("postgresql://ann:Zk9%zz@db.example/arena", "libpq cannot read it"),
    ("postgresql://ann:Zk9%00@db.example/arena", "libpq cannot read it"),
    ("postgresql://ann:Zk9%FF@db.example/arena", "libpq cannot read it"),
    ("postgresql://ann:Zk9\udcff@db.example/arena", "libpq cannot read it"),
    ("postgresql://[::1/arena", "libpq cannot read it"),
    ("postgresql://db.example/arena?sslmode", "libpq cannot read it"),
    ("postgresql://db.example/arena?sslmode=off", "sslmode is none of disable"),
    ("postgresql://db.example/arena?connection_limit=5", "libpq knows no parameter connection_limit"),
    ("postgresql://db.example/arena?ssl=1", "libpq knows no parameter ssl"),
    ("postgresql://ann:p@x/y?Zk9=1@db.example/arena", "libpq does not know one of its parameters"),
    ("postgresql://db.example/arena?%ff=1", "libpq cannot read it"),
    ("postgresql://db.example/arena?pgbouncer=perhaps", "neither true nor false"),
    ("postgresql://db.example/arena?supa=%ff", "libpq cannot read it"),
    ("sqlite:///", "names no file"),
    ("sqlite://arena.db", "three slashes"),
    ("sqlite:///arena.db?mode=ro", "takes no parameters"),
    ("sqlite:///file:arena.db", "file: URIs are not supported"),
    ("sqlite:///file:arena.db?uri=true", "takes no parameters"),
    ("sqlite:///x%00y", "names no file"),
    ("sqlite:///x%ff", "not valid UTF-8"),
]


@pytest.mark.parametrize("text", POSTGRESQL)
def test_libpq_decides(text: str) -> None:
    """A parameter would be lost on its way to libpq, or on the way back out of the object."""
    dsn = parse_dsn(text)
    assert dsn.backend == "postgresql"
    assert dsn.path is None
    assert dsn.parameters == conninfo_to_dict(text)
    assert conninfo_to_dict(dsn.conninfo()) == conninfo_to_dict(text)
    assert conninfo_to_dict(dsn.url()) == conninfo_to_dict(text)
    assert parse_dsn(dsn.url()) == dsn
    assert "Zk9" not in dsn.masked + repr(dsn) + str(dsn) + f"{dsn}"


@pytest.mark.parametrize(
    "scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg_async", "POSTGRES"]
)
def test_schemes_are_one(scheme: str) -> None:
    """A DSN copied from a provider, or from SQLAlchemy, would be refused or taken for another database."""
    rest = "://ann:Zk9secret@db.example:5432/arena?sslmode=require"
    assert parse_dsn(scheme + rest) == parse_dsn("postgresql" + rest)


@pytest.mark.parametrize(
    ("query", "ours", "theirs"),
    [
        ("pgbouncer=true", {"pgbouncer": "true"}, {}),
        ("pgbouncer=true&sslmode=require", {"pgbouncer": "true"}, {"sslmode": "require"}),
        ("sslmode=require&pgbouncer=0&application_name=x", {"pgbouncer": "0"}, {"sslmode", "application_name"}),
        ("supa=base-pooler.x&sslmode=require", {"supa": "base-pooler.x"}, {"sslmode"}),
    ],
)
def test_our_parameters_do_not_reach_libpq(query: str, ours: dict[str, str], theirs: set[str] | dict[str, str]) -> None:
    """A DSN as Prisma and Vercel write it would be refused with "invalid URI query parameter"."""
    dsn = parse_dsn(f"postgresql://ann:Zk9secret@db.example/arena?{query}")
    assert dsn.ours == ours
    assert set(dsn.parameters) == {"user", "password", "host", "dbname", *theirs}
    assert set(conninfo_to_dict(dsn.conninfo())) == set(dsn.parameters)
    assert parse_dsn(dsn.url()) == dsn


@pytest.mark.parametrize(("text", "path"), SQLITE)
def test_sqlite(text: str, path: str | None) -> None:
    """The file would be created somewhere else, and SQLAlchemy and we would disagree about where."""
    dsn = parse_dsn(text)
    assert dsn == Dsn("sqlite", path=path)
    assert parse_dsn(dsn.url()) == dsn
    assert dsn.masked == dsn.url()
    assert make_url(dsn.url()).database == path
    with pytest.raises(ConfigurationError, match="is SQLite"):
        dsn.conninfo()


@pytest.mark.parametrize(("text", "says"), MALFORMED)
def test_malformed(text: str, says: str) -> None:
    """A malformed DSN would be guessed at, or its error would show the password in any of its chain."""
    with pytest.raises(ConfigurationError) as caught:
        parse_dsn(text, variable="DATABASE_URL")
    message = str(caught.value)
    assert message.startswith("DATABASE_URL (")
    assert says in message
    for hint in ("%40", "ARAGORA_PG_PASSWORD", "postgresql://user:password@host", "sqlite:///"):
        assert hint in message
    assert "Zk9" not in message
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_masked_is_readable() -> None:
    """An operator could not tell which database an error is about."""
    dsn = parse_dsn("postgres://ann:Zk9secret@a.example:5432,b.example:5433/arena?sslmode=require&sslpassword=Zk9")
    assert dsn.masked == "postgresql://ann:***@a.example:5432,b.example:5433/arena?sslmode=require&sslpassword=***"
    assert str(dsn) == dsn.masked
    assert repr(dsn) == f"Dsn({dsn.masked!r})"


def test_a_value() -> None:
    """A DSN could be changed under an engine, or not be a key, or not travel to another process."""
    given = {"host": "a.example"}
    dsn = Dsn("postgresql", given, {"pgbouncer": "true"})
    given["host"] = "b.example"
    assert dsn.parameters["host"] == "a.example"
    with pytest.raises(TypeError):
        dsn.parameters["host"] = "b.example"
    with pytest.raises(AttributeError):
        dsn.path = "x"
    again = pickle.loads(pickle.dumps(dsn))  # noqa: S301 -- our own bytes
    assert again == dsn == copy.deepcopy(dsn)
    assert len({again, dsn}) == 1
    assert dsn != Dsn("postgresql", given)
