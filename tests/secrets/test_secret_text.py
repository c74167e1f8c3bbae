"""What a secret's text means, and that no error says what is in it."""

from __future__ import annotations

import json
import traceback

import pytest

from aragora_db.config import parse_dsn
from aragora_db.config.secrets.source import read_secret
from aragora_db.errors import ConfigurationError

MARK = "Zk9"


def _read(content):
    return read_secret(content if isinstance(content, str) else json.dumps(content), "arena/live")


def test_names_of_variables():
    """The guide's own form would not be understood."""
    content = {"DATABASE_URL": "postgresql://db/arena", "ARAGORA_REDIS_URL": "rediss://:k@cache:6379", "OTHER": "x"}
    assert _read(content) == content


def test_empty_is_unset():
    """An empty string in AWS would hide the next name, where an empty variable does not."""
    assert _read({"ARAGORA_POSTGRES_DSN": "", "url": "postgresql://db/arena"}) == {
        "url": "postgresql://db/arena",
        "DATABASE_URL": "postgresql://db/arena",
    }


def test_a_name_of_a_variable_beats_url():
    """A secret with both would change its meaning with our version."""
    assert _read({"ARAGORA_POSTGRES_DSN": "postgresql://a/b", "url": "postgresql://c/d"}).get("DATABASE_URL") is None


@pytest.mark.parametrize("port", [5433, "5433"])
def test_as_rds_writes_it(port):
    """The secret that RDS makes and rotates could not be used without writing it again by hand."""
    password = "p@ss:w/o?r#d% '\u00e9"  # noqa: S105 -- nobody's
    found = _read(
        {
            "engine": "postgres",
            "host": "db.example",
            "port": port,
            "username": "arena",
            "password": password,
            "dbname": "games",
            "dbInstanceIdentifier": "arena",
        }
    )
    assert parse_dsn(found["DATABASE_URL"]).parameters == {
        "host": "db.example",
        "port": "5433",
        "user": "arena",
        "password": password,
        "dbname": "games",
        "sslmode": "require",
    }


def test_as_rds_writes_it_with_defaults():
    """RDS leaves the database's name out; without sslmode libpq would put up with an unencrypted connection."""
    found = _read({"host": "db.example", "username": "arena", "password": "x", "sslmode": "verify-full"})
    dsn = parse_dsn(found["DATABASE_URL"])
    assert dsn.masked == "postgresql://arena:***@db.example:5432/aragora?sslmode=verify-full"


@pytest.mark.parametrize(
    "content",
    [
        f"postgresql://u:{MARK}@db/arena",
        f'{{"DATABASE_URL": "postgresql://u:{MARK}@db/arena"',
        json.dumps(f"postgresql://u:{MARK}@db/arena"),
        json.dumps([f"{MARK}"]),
        "[" * 60000 + MARK,
        "",
        json.dumps({"DATABASE_URL": {"password": MARK}}),
        json.dumps({"DATABASE_URL": None, "other": MARK}),
        json.dumps({"port": 5432, "password": MARK}),
        json.dumps({"host": "db", "port": 54.32, "password": MARK}),
        json.dumps({"host": "db", "port": True, "password": MARK}),
        json.dumps({f"postgresql://u:{MARK}@db/arena": 1}),
        json.dumps({"DATABASE_URL": f"{MARK}\0"}),
        f'{{"DATABASE_URL": "{MARK}\\ud800"}}',
        json.dumps({"host": "db", "username": "u", "password": MARK, "engine": f"{MARK}sql"}),
    ],
)
def test_errors_show_no_content(content):
    """The one place where a password is sure to be malformed is the one that would print it, into every log."""
    with pytest.raises(ConfigurationError, match="arena/live") as caught:
        _read(content)
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    assert MARK not in "".join(traceback.format_exception(error))


def test_the_bad_key_is_named():
    """A secret with thirty keys would have to be searched by hand."""
    with pytest.raises(ConfigurationError, match="no string under 'JWT_TTL'"):
        _read({"DATABASE_URL": "postgresql://db/arena", "JWT_TTL": 60})
