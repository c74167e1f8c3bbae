"""Which database the settings lead to; a failure means data in the wrong place."""

from __future__ import annotations

from typing import Any

import pytest

from aragora_db.config import Settings
from aragora_db.config.resolve import resolve
from aragora_db.errors import ConfigurationError

A = "postgresql://ann:Zk9secret@a.example/arena"
B = "postgres://ann:Zk9secret@b.example/arena"


class Vault:
    """A secrets source in memory that notes what it was asked for."""

    def __init__(self, **secrets: str) -> None:
        self.secrets = secrets
        self.asked: list[str] = []

    def get(self, name: str) -> str | None:
        """Look a secret up."""
        self.asked.append(name)
        return self.secrets.get(name)


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({}, ".nomic/aragora.db"),
        ({"data_dir": "/srv/x"}, "/srv/x/aragora.db"),
        ({"backend": "sqlite"}, ".nomic/aragora.db"),
        ({"backend": "sqlite", "database_url": "sqlite:///mine.db"}, "mine.db"),
        ({"database_url": "sqlite:////abs/mine.db"}, "/abs/mine.db"),
        ({"postgres_dsn": A}, "a.example"),
        ({"database_url": B}, "b.example"),
        ({"database_url": f" {B}\n"}, "b.example"),
        ({"postgres_dsn": A, "database_url": B}, "a.example"),
        ({"postgres_dsn": A, "database_url": "sqlite:///mine.db"}, "a.example"),
        ({"postgres_dsn": A, "database_url": "mysql://not-ours"}, "a.example"),
        ({"postgres_dsn": A, "pg_host": "c.example"}, "a.example"),
        ({"database_url": "sqlite:///mine.db", "pg_host": "c.example"}, "mine.db"),
        ({"pg_host": "c.example"}, "c.example"),
        ({"pg_password": "x"}, "localhost"),
        ({"pg_port": 5432}, "localhost"),
        *(({"backend": name, "pg_host": "c.example"}, "c.example") for name in ("postgres", "postgresql", "supabase")),
        *(({"backend": name, "database_url": B}, "b.example") for name in ("postgres", "postgresql", "supabase")),
        ({"backend": "auto", "use_secrets_manager": True, "database_url": B}, "b.example"),
        ({"backend": "sqlite", "use_secrets_manager": True}, ".nomic/aragora.db"),
    ],
)
def test_order(given: dict[str, Any], where: str) -> None:
    """Another variable than the documented one would win."""
    dsn = resolve(Settings.explicit(**given))
    assert (dsn.path if dsn.backend == "sqlite" else dsn.parameters["host"]) == where


def test_pg_variables_become_parameters() -> None:
    """The connection would be unencrypted or go elsewhere, as it did when SSL_MODE was read and never used."""
    given = {"pg_host": "h", "pg_port": 6000, "pg_database": "d", "pg_user": "u", "pg_ssl_mode": "verify-full"}
    settings = Settings.explicit(pg_password="p w%40", **given)  # noqa: S106 -- a test value
    assert resolve(settings).parameters == {
        "host": "h",
        "port": "6000",
        "dbname": "d",
        "user": "u",
        "password": "p w%40",
        "sslmode": "verify-full",
    }
    assert "password" not in resolve(Settings.explicit(pg_host="h")).parameters


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"backend": "sqlite", "database_url": B}, ("ARAGORA_DB_BACKEND is sqlite", "DATABASE_URL")),
        ({"backend": "sqlite", "postgres_dsn": A}, ("ARAGORA_DB_BACKEND is sqlite", "ARAGORA_POSTGRES_DSN")),
        ({"backend": "sqlite", "pg_host": "h"}, ("ARAGORA_DB_BACKEND is sqlite", "ARAGORA_PG_HOST")),
        ({"backend": "postgres", "database_url": "sqlite:///x"}, ("ARAGORA_DB_BACKEND is postgresql", "DATABASE_URL")),
        ({"postgres_dsn": "sqlite:///x"}, ("ARAGORA_POSTGRES_DSN", "no PostgreSQL DSN")),
        ({"database_url": "mysql://u:Zk9secret@h/d"}, ("DATABASE_URL (mysql://***)", "postgresql://", "sqlite:///")),
    ],
)
def test_contradictions_are_found_at_once(given: dict[str, Any], says: tuple[str, ...]) -> None:
    """One of two contradicting settings would be ignored."""
    with pytest.raises(ConfigurationError) as caught:
        Settings.explicit(**given)
    for word in says:
        assert word in str(caught.value)
    assert "Zk9" not in str(caught.value)


@pytest.mark.parametrize("backend", ["postgres", "postgresql", "supabase"])
def test_postgresql_without_a_place_is_never_sqlite(backend: str) -> None:
    """A production process would write into a file that vanishes with its container."""
    settings = Settings.explicit(backend=backend)
    with pytest.raises(ConfigurationError, match="nothing says where it is; set ARAGORA_POSTGRES_DSN"):
        resolve(settings)


@pytest.mark.parametrize(
    ("secrets", "where"),
    [
        ({"ARAGORA_POSTGRES_DSN": A, "DATABASE_URL": B}, "a.example"),
        ({"DATABASE_URL": B}, "b.example"),
        ({"ARAGORA_POSTGRES_DSN": "", "DATABASE_URL": B}, "b.example"),
    ],
)
def test_secrets_source(secrets: dict[str, str], where: str) -> None:
    """A deployment that keeps its DSN in a vault would not start."""
    settings = Settings.explicit(use_secrets_manager=True, backend="postgresql")
    assert resolve(settings, Vault(**secrets)).parameters["host"] == where


def test_secrets_source_comes_last() -> None:
    """The vault would overwrite what the environment says."""
    vault = Vault(DATABASE_URL=B)
    for given in ({"postgres_dsn": A}, {"database_url": A}, {"pg_host": "a.example"}):
        assert resolve(Settings.explicit(use_secrets_manager=True, **given), vault).parameters["host"] == "a.example"
    assert resolve(Settings.explicit(), vault).backend == "sqlite"
    assert resolve(Settings.explicit(use_secrets_manager=True, backend="sqlite"), vault).backend == "sqlite"
    assert vault.asked == []


def test_secrets_that_are_no_use() -> None:
    """An empty vault, or a missing one, would quietly mean SQLite."""
    settings = Settings.explicit(use_secrets_manager=True)
    with pytest.raises(ConfigurationError, match="has neither ARAGORA_POSTGRES_DSN nor DATABASE_URL"):
        resolve(settings, Vault())
    with pytest.raises(ConfigurationError, match="DATABASE_URL of the secrets source") as caught:
        resolve(settings, Vault(DATABASE_URL="postgresql://ann:Zk9 secret@h"))
    assert "Zk9" not in str(caught.value)
    with pytest.raises(ConfigurationError, match=r"ARAGORA_POSTGRES_DSN of the secrets source.*no PostgreSQL DSN"):
        resolve(settings, Vault(ARAGORA_POSTGRES_DSN="sqlite:///x"))
    with pytest.raises(ConfigurationError, match="ARAGORA_DB_BACKEND is postgresql, but DATABASE_URL of the secrets"):
        resolve(Settings.explicit(use_secrets_manager=True, backend="postgres"), Vault(DATABASE_URL="sqlite:///x"))
