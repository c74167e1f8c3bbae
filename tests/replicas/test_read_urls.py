"""ARAGORA_DB_READ_URLS: what it means, and what is refused, without a word of a password."""

from __future__ import annotations

from typing import Any

import pytest

from aragora_db import Database, Settings
from aragora_db.config import parse_dsn
from aragora_db.config.read_urls import completed, read_urls
from aragora_db.errors import ConfigurationError

PRIMARY = "postgresql://app:s3cret@primary:5433/aragora?sslmode=verify-full&sslrootcert=/ca.pem&options=-c%20jit%3Doff"


def replicas(text: str, primary: str = PRIMARY) -> list[dict[str, Any]]:
    """The replicas' parameters, completed."""
    dsn = parse_dsn(primary)
    found = read_urls(Settings.explicit(database_url=primary, read_urls=text), dsn)
    return [dict(completed(each, dsn).parameters) for each in found]


def test_what_is_left_out_comes_from_the_primary():
    """A replica without sslmode would be talked to in the clear, or not at all without the password."""
    first, second = replicas("postgresql://one:5434, postgres://two/other?sslmode=require ,")
    assert first == {
        "user": "app",
        "password": "s3cret",
        "host": "one",
        "port": "5434",
        "dbname": "aragora",
        "sslmode": "verify-full",
        "sslrootcert": "/ca.pem",
        "options": "-c jit=off",
    }
    assert "port" not in second, "the primary's port is the primary's"
    assert (second["host"], second["dbname"], second["sslmode"]) == ("two", "other", "require")


def test_another_user_does_not_get_the_primarys_password():
    """The password of one role would be sent in another one's name."""
    (replica,) = replicas("postgresql://reader@one")
    assert replica["user"] == "reader"
    assert "password" not in replica


def test_a_comma_in_a_password_is_percent_encoded():
    """A password with a comma could not be written at all."""
    (replica,) = replicas("postgresql://reader:a%2Cb@one")
    assert "a,b" in replica.values()


def test_nothing_is_taken_from_where_the_primary_is():
    """A read would go to the primary's address, or look for a server that takes writes."""
    (replica,) = replicas(
        "postgresql://one", "postgresql://app:s3cret@a:1,b:2/aragora?target_session_attrs=read-write&hostaddr=10.0.0.1"
    )
    assert replica == {"user": "app", "password": "s3cret", "dbname": "aragora", "host": "one"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("postgresql://app:hunter2@one,two:5432/aragora", "one by one"),
        ("postgresql://app:hunter,2@one/aragora", "%2C"),
        ("postgresql://app:hunter2@/aragora?host=one%2Ctwo", "names several"),
        ("postgresql://app:hunter2@/aragora", "names none"),
        ("postgresql://one,sqlite:///hunter2.db", "URL 2"),
        ("mysql://app:hunter2@one", "URL 1"),
        ("one:5432", "postgresql://"),
    ],
)
def test_what_cannot_be_used_is_refused(text: str, says: str):
    """A typing error would leave a replica unused, or put a password into a log."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.explicit(database_url=PRIMARY, read_urls=text)
    assert says in str(caught.value)
    assert "ARAGORA_DB_READ_URLS" in str(caught.value)
    assert "hunter" not in str(caught.value)


def test_sqlite_has_no_replicas():
    """Reads would go to another database than writes."""
    with pytest.raises(ConfigurationError, match=r"ARAGORA_DB_READ_URLS names 1 replicas, but .*sqlite"):
        Database(Settings.explicit(database_url="sqlite://", read_urls="postgresql://app:hunter2@one"))
