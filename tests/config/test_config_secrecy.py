"""Passwords arrive exactly, and show nowhere. The marker in each of them makes even a piece of one visible."""

from __future__ import annotations

import copy
import os
import pickle
import tempfile
import traceback
from unittest import mock
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from aragora_db.config import Dsn, Settings, parse_dsn
from aragora_db.config.resolve import resolve
from aragora_db.errors import ConfigurationError

pytestmark = pytest.mark.slow

MARK = "Zk9"
AWKWARD = "@:/%?#&='\\ +\"$;,[]{}<>|`~!*\t\u00e9\u00df\u6f22\U0001f511aB4"

# A busy machine is no failure.
calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

passwords = st.builds(
    lambda before, after: f"{before}{MARK}{after}",
    st.text(AWKWARD, min_size=2, max_size=12),
    st.text(AWKWARD, min_size=1, max_size=12),
)


def assert_arrives(dsn: Dsn, password: str) -> None:
    """The password is exact in what drivers get and in nothing that people get."""
    assert dsn.parameters["password"] == password
    assert conninfo_to_dict(dsn.conninfo())["password"] == password
    if not dsn.ours:
        assert conninfo_to_dict(dsn.url()) == dsn.parameters
    assert parse_dsn(dsn.url()) == dsn
    assert pickle.loads(pickle.dumps(dsn)) == dsn  # noqa: S301 -- our own bytes
    assert copy.deepcopy(dsn) == dsn
    assert MARK not in dsn.masked + str(dsn) + repr(dsn) + f"{dsn!r:>5} %s" % dsn


@calm
@given(password=passwords)
def test_encoded_in_a_dsn(password: str) -> None:
    """A password with a special character would be cut, or a password would be in the log."""
    text = f"postgresql://ann:{quote(password, safe='')}@db.example:5432/arena?sslmode=require&pgbouncer=true"
    for name in ("ARAGORA_POSTGRES_DSN", "DATABASE_URL"):
        with mock.patch.dict(os.environ, {name: text}):
            found = Settings()
        assert_arrives(resolve(found), password)
        assert MARK not in repr(found) + str(found)
        assert "ann:***@db.example" in repr(found)


@calm
@given(password=passwords)
def test_as_a_query_parameter(password: str) -> None:
    """As above, for the other place where libpq takes a password; and for the key's."""
    encoded = quote(password, safe="")
    dsn = parse_dsn(f"postgresql://db.example/arena?password={encoded}&sslpassword={encoded}")
    assert dsn.parameters["sslpassword"] == password
    assert_arrives(dsn, password)


@calm
@given(password=passwords)
def test_raw_in_a_variable(password: str) -> None:
    """ARAGORA_PG_PASSWORD would need an encoding that nobody documents."""
    with mock.patch.dict(os.environ, {"ARAGORA_PG_PASSWORD": password}):
        found = Settings()
    assert found.pg_password is not None
    assert found.pg_password.get_secret_value() == password
    assert_arrives(resolve(found), password)
    assert MARK not in repr(found) + str(found) + repr(found.model_dump()) + found.model_dump_json()
    assert resolve(Settings.explicit(pg_password=password)) == resolve(found)


@calm
@given(password=passwords.filter(lambda text: "${" not in text))  # python-dotenv replaces ${NAME} in any quotes
def test_quoted_in_a_file(password: str) -> None:
    """The ``.env`` of the documentation would bend a password."""
    quoted = password.replace("\\", "\\\\").replace("'", "\\'")
    with tempfile.NamedTemporaryFile("w", suffix=".env", encoding="utf-8") as file:
        file.write(f"ARAGORA_PG_PASSWORD='{quoted}'\n")
        file.flush()
        found = Settings(_env_file=file.name)
    assert_arrives(resolve(found), password)


@settings(calm, max_examples=150)
@given(password=passwords)
def test_not_encoded_in_a_dsn(password: str) -> None:
    """An operator's mistake would put the password into a host name, and that into the log."""
    text = f"postgresql://ann:{password}@db.example/arena"
    try:
        found = Settings.explicit(database_url=text)
    except ConfigurationError as error:
        assert MARK not in "".join(traceback.format_exception(error))  # noqa: PT017 -- either outcome is right
        assert "DATABASE_URL" in str(error)  # noqa: PT017 -- as above
    else:
        assert MARK in resolve(found).parameters["password"]
        assert resolve(found).parameters["host"] == "db.example"
        assert MARK not in repr(found) + resolve(found).masked


@calm
@given(
    password=passwords,
    template=st.sampled_from(
        [
            "{}",
            "{}://db.example",
            "mysql://ann:{}@db.example/arena",
            "postgresql://ann:{}%zz@db.example/arena",
            "postgresql://ann:{}@db.example:port/arena",
            "postgresql://ann:{}@db.example/arena?unknown=1",
            "postgresql://ann:{}@db.example/arena?pgbouncer=perhaps",
            "sqlite://ann:{}@db.example/arena",
            "sqlite:///arena.db?key={}",
        ]
    ),
    encode=st.booleans(),
)
def test_in_every_error(password: str, template: str, *, encode: bool) -> None:
    """The message, or the traceback behind it, would show a password."""
    text = template.format(quote(password, safe="") if encode else password)
    for field in ("postgres_dsn", "database_url"):
        with pytest.raises(ConfigurationError) as caught:
            Settings.explicit(**{field: text, "pg_password": password, "redis_url": password, "pool_size": 0})
        assert MARK not in "".join(traceback.format_exception(caught.value))
        assert caught.value.__context__ is None
        assert "ARAGORA_DB_POOL_SIZE is 0" in str(caught.value)


@calm
@given(password=passwords)
def test_contradictions_and_lost_dsns(password: str) -> None:
    """As above, for DSNs that are well formed and not used."""
    text = f"postgresql://ann:{quote(password, safe='')}@db.example/arena"
    with pytest.raises(ConfigurationError) as caught:
        Settings.explicit(backend="sqlite", database_url=text)
    assert MARK not in "".join(traceback.format_exception(caught.value))
    lost = Settings.explicit(postgres_dsn="postgresql://db.example/arena", database_url=f"mysql://ann:{password}@h")
    assert MARK not in repr(lost) + str(lost)
    redis = Settings.explicit(redis_url=f"rediss://:{password}@cache.example:6379")
    assert MARK not in repr(redis)
    assert "redis_url='rediss://***'" in repr(redis)


def test_other_secrets_of_libpq() -> None:
    """A key or a token in the DSN would be in the log."""
    for name in ("sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret"):
        dsn = Dsn("postgresql", {"host": "db.example", name: MARK})
        assert MARK not in repr(dsn)
        assert MARK in dsn.url()


@pytest.mark.parametrize("variable", ["ARAGORA_DATA_DIR", "ARAGORA_PG_DATABASE", "ARAGORA_PG_USER", "ARAGORA_PG_HOST"])
def test_a_dsn_in_the_wrong_variable_is_refused_unseen(variable):
    """Taken for a name or a folder it would be shown, password and all, by every status and log line."""
    with pytest.raises(ConfigurationError) as refused:
        Settings.explicit(**{variable: "postgresql://aragora:hunter2-secret@db/aragora"})
    assert variable in str(refused.value)
    assert "hunter2-secret" not in str(refused.value)
