"""What each variable accepts and means; a failure means that an operator's value is lost, bent or let through."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from aragora_db.config import Backend, Environment, Settings
from aragora_db.config.resolve import resolve
from aragora_db.config.variables import variable_of
from aragora_db.errors import ConfigurationError

PG = "postgresql://ann:Zk9secret@db.example:5433/arena?sslmode=require"

DEFAULTS: dict[str, Any] = {
    "backend": "auto",
    "postgres_dsn": None,
    "database_url": None,
    "pg_host": "localhost",
    "pg_port": 5432,
    "pg_database": "aragora",
    "pg_user": "aragora",
    "pg_password": None,
    "pg_ssl_mode": "require",
    "pg_iam_auth": False,
    "read_urls": None,
    "data_dir": Path(".nomic"),
    "pool_size": 20,
    "pool_max_overflow": 15,
    "pool_timeout": 30.0,
    "pool_recycle": 1800,
    "connect_timeout": 10,
    "statement_timeout": 60,
    "command_timeout": 60.0,
    "idle_in_transaction_timeout": 300,
    "busy_timeout": 30.0,
    "replica_max_lag": 10.0,
    "replica_wait": 0.2,
    "migration_lock_timeout": 300,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30,
    "pooler": "auto",
    "application_name": "aragora_db",
    "env": "development",
    "require_distributed": None,
    "multi_instance": None,
    "single_instance": None,
    "instances": None,
    "health_token": None,
    "auto_migrate": None,
    "use_secrets_manager": False,
    "secret_name": "aragora/production",
    "aws_region": "us-east-1",
    "secret_regions": "us-east-2,us-east-1",
    "secret_ttl": 300,
    "redis_url": None,
    "redis_mode": "auto",
    "redis_sentinel_hosts": None,
    "redis_sentinel_master": "mymaster",
    "redis_sentinel_password": None,
    "redis_sentinel_tls": False,
    "redis_cluster_nodes": None,
    "redis_ssl_ca_certs": None,
    "redis_timeout": 1.0,
    "redis_connect_timeout": 1.0,
    "redis_max_connections": 50,
    "redis_health_check_interval": 30,
    "redis_namespace": "aragora",
    "cache_ttl": 300.0,
}

# variable, text in the environment, field, what the field becomes
ACCEPTED: list[tuple[str, str, str, Any]] = [
    ("ARAGORA_DB_BACKEND", "SQLite", "backend", Backend.SQLITE),
    ("ARAGORA_DB_BACKEND", "auto", "backend", Backend.AUTO),
    *(("ARAGORA_DB_BACKEND", each, "backend", Backend.POSTGRESQL) for each in ("postgres", "PostgreSQL", "SUPABASE")),
    ("ARAGORA_PG_HOST", "a.example,b.example", "pg_host", "a.example,b.example"),
    ("ARAGORA_PG_HOST", "/var/run/postgresql", "pg_host", "/var/run/postgresql"),
    ("ARAGORA_PG_HOST", "@abstract", "pg_host", "@abstract"),
    ("ARAGORA_PG_PORT", "6543", "pg_port", 6543),
    ("ARAGORA_PG_DATABASE", "odd name", "pg_database", "odd name"),
    ("ARAGORA_PG_USER", "role@tenant", "pg_user", "role@tenant"),
    *(
        ("ARAGORA_PG_SSL_MODE", each, "pg_ssl_mode", each.lower())
        for each in ("disable", "prefer", "Require", "verify-ca", "VERIFY-FULL")
    ),
    ("ARAGORA_USE_SECRETS_MANAGER", "yes", "use_secrets_manager", True),
    ("ARAGORA_DATA_DIR", "/srv/arena", "data_dir", Path("/srv/arena")),
    ("ARAGORA_DB_POOL_SIZE", "1", "pool_size", 1),
    ("ARAGORA_DB_POOL_SIZE", "100", "pool_size", 100),
    ("ARAGORA_DB_POOL_MAX_OVERFLOW", "0", "pool_max_overflow", 0),
    ("ARAGORA_DB_POOL_OVERFLOW", "0", "pool_max_overflow", 0),
    ("ARAGORA_DB_POOL_OVERFLOW", "100", "pool_max_overflow", 100),
    ("ARAGORA_DB_POOL_TIMEOUT", "2.5", "pool_timeout", 2.5),
    ("ARAGORA_DB_POOL_RECYCLE", "60", "pool_recycle", 60),
    ("ARAGORA_DB_CONNECT_TIMEOUT", "2", "connect_timeout", 2),
    ("ARAGORA_DB_STATEMENT_TIMEOUT", "0", "statement_timeout", 0),
    ("ARAGORA_DB_COMMAND_TIMEOUT", "0", "command_timeout", 0.0),
    ("ARAGORA_DB_IDLE_IN_TRANSACTION_TIMEOUT", "0", "idle_in_transaction_timeout", 0),
    ("ARAGORA_DB_TIMEOUT", "0", "busy_timeout", 0.0),
    ("ARAGORA_DB_MIGRATION_LOCK_TIMEOUT", "1", "migration_lock_timeout", 1),
    ("ARAGORA_DB_KEEPALIVES_IDLE", "0", "keepalives_idle", 0),
    ("ARAGORA_DB_KEEPALIVES_INTERVAL", "5", "keepalives_interval", 5),
    ("ARAGORA_DB_KEEPALIVES_COUNT", "9", "keepalives_count", 9),
    ("ARAGORA_DB_TCP_USER_TIMEOUT", "0", "tcp_user_timeout", 0),
    *(("ARAGORA_DB_POOLER", each, "pooler", each.lower()) for each in ("auto", "none", "Session", "TRANSACTION")),
    ("ARAGORA_DB_APPLICATION_NAME", "arena 1", "application_name", "arena 1"),
    *(("ARAGORA_ENV", each, "env", Environment.PRODUCTION) for each in ("prod", "Production", "LIVE")),
    *(("ARAGORA_ENV", each, "env", Environment.STAGING) for each in ("stage", "STAGING")),
    *(("ARAGORA_ENV", each, "env", Environment.DEVELOPMENT) for each in ("dev", "Development")),
    *(("ARAGORA_ENV", each, "env", Environment.TEST) for each in ("test", "Testing")),
    ("ARAGORA_REQUIRE_DISTRIBUTED", "false", "require_distributed", False),
    ("ARAGORA_REQUIRE_DISTRIBUTED_STATE", "1", "require_distributed", True),
    ("ARAGORA_MULTI_INSTANCE", "true", "multi_instance", True),
    ("ARAGORA_SINGLE_INSTANCE", "0", "single_instance", False),
    ("ARAGORA_INSTANCES", "2", "instances", 2),
    ("ARAGORA_PG_IAM_AUTH", "on", "pg_iam_auth", True),
    ("ARAGORA_DB_REPLICA_MAX_LAG", "0.5", "replica_max_lag", 0.5),
    ("ARAGORA_DB_REPLICA_WAIT", "0", "replica_wait", 0.0),
    ("ARAGORA_SECRET_NAME", "aragora/staging", "secret_name", "aragora/staging"),
    ("AWS_REGION", "eu-west-1", "aws_region", "eu-west-1"),
    ("AWS_DEFAULT_REGION", "eu-west-2", "aws_region", "eu-west-2"),
    ("ARAGORA_SECRET_REGIONS", "eu-west-1", "secret_regions", "eu-west-1"),
    ("ARAGORA_SECRET_TTL", "60", "secret_ttl", 60),
    ("ARAGORA_REDIS_MODE", "Standalone", "redis_mode", "standalone"),
    ("ARAGORA_REDIS_SENTINEL_HOSTS", "a,b:26380", "redis_sentinel_hosts", "a,b:26380"),
    ("ARAGORA_REDIS_SENTINEL_MASTER", "main", "redis_sentinel_master", "main"),
    ("ARAGORA_REDIS_SENTINEL_TLS", "true", "redis_sentinel_tls", True),
    ("ARAGORA_REDIS_CLUSTER_NODES", "a:7000,b", "redis_cluster_nodes", "a:7000,b"),
    ("ARAGORA_REDIS_SSL_CA_CERTS", "/etc/ca.pem", "redis_ssl_ca_certs", Path("/etc/ca.pem")),
    ("ARAGORA_REDIS_SOCKET_TIMEOUT", "0.2", "redis_timeout", 0.2),
    ("ARAGORA_REDIS_SOCKET_CONNECT_TIMEOUT", "0.2", "redis_connect_timeout", 0.2),
    ("ARAGORA_REDIS_MAX_CONNECTIONS", "5", "redis_max_connections", 5),
    ("ARAGORA_REDIS_HEALTH_CHECK_INTERVAL", "0", "redis_health_check_interval", 0),
    ("ARAGORA_REDIS_NAMESPACE", "arena.b", "redis_namespace", "arena.b"),
    ("ARAGORA_CACHE_TTL", "1.5", "cache_ttl", 1.5),
    ("ARAGORA_AUTO_MIGRATE_ON_STARTUP", "false", "auto_migrate", False),
    ("ARAGORA_AUTO_MIGRATE_ON_STARTUP", "true", "auto_migrate", True),
]

# variable, refused text, something that the message must say about what is accepted
REFUSED: list[tuple[str, str, str]] = [
    ("ARAGORA_DB_BACKEND", "mysql", "sqlite, postgres, postgresql or supabase"),
    ("ARAGORA_DB_BACKEND", "redis", "sqlite, postgres"),
    ("ARAGORA_PG_HOST", "two hosts", "a host name"),
    ("ARAGORA_PG_PORT", "0", "1 to 65535"),
    ("ARAGORA_PG_PORT", "65536", "1 to 65535"),
    ("ARAGORA_PG_PORT", "5432/tcp", "1 to 65535"),
    ("ARAGORA_PG_SSL_MODE", "allow", "disable, prefer, require, verify-ca or verify-full"),
    ("ARAGORA_PG_SSL_MODE", "true", "verify-full"),
    ("ARAGORA_USE_SECRETS_MANAGER", "maybe", "true or false"),
    ("ARAGORA_DB_POOL_SIZE", "0", "1 to 100"),
    ("ARAGORA_DB_POOL_SIZE", "101", "1 to 100"),
    ("ARAGORA_DB_POOL_SIZE", "20.5", "whole number"),
    ("ARAGORA_DB_POOL_SIZE", "many", "whole number"),
    ("ARAGORA_DB_POOL_MAX_OVERFLOW", "-1", "0 to 100"),
    ("ARAGORA_DB_POOL_OVERFLOW", "101", "0 to 100"),
    ("ARAGORA_DB_POOL_TIMEOUT", "0", "1 to 300"),
    ("ARAGORA_DB_POOL_TIMEOUT", "nan", "1 to 300"),
    ("ARAGORA_DB_POOL_TIMEOUT", "inf", "1 to 300"),
    ("ARAGORA_DB_POOL_RECYCLE", "59", "60 to 7200"),
    ("ARAGORA_DB_POOL_RECYCLE", "7201", "60 to 7200"),
    ("ARAGORA_DB_CONNECT_TIMEOUT", "1", "2 to 300"),
    ("ARAGORA_DB_STATEMENT_TIMEOUT", "3601", "0 to 3600"),
    ("ARAGORA_DB_STATEMENT_TIMEOUT", "1.5", "whole number"),
    ("ARAGORA_DB_COMMAND_TIMEOUT", "0.5", "1 to 3600"),
    ("ARAGORA_DB_COMMAND_TIMEOUT", "-1", "1 to 3600"),
    ("ARAGORA_DB_IDLE_IN_TRANSACTION_TIMEOUT", "3601", "0 to 3600"),
    ("ARAGORA_DB_TIMEOUT", "301", "0 to 300"),
    ("ARAGORA_DB_MIGRATION_LOCK_TIMEOUT", "0", "1 to 3600"),
    ("ARAGORA_DB_KEEPALIVES_IDLE", "-1", "0 to 7200"),
    ("ARAGORA_DB_KEEPALIVES_INTERVAL", "x", "0 to 3600"),
    ("ARAGORA_DB_KEEPALIVES_COUNT", "101", "0 to 100"),
    ("ARAGORA_DB_TCP_USER_TIMEOUT", "3601", "0 to 3600"),
    ("ARAGORA_DB_POOLER", "statement", "auto, none, session or transaction"),
    ("ARAGORA_DB_APPLICATION_NAME", "a" * 64, "63 printable ASCII"),
    ("ARAGORA_DB_APPLICATION_NAME", "ar\u00e9na", "63 printable ASCII"),
    ("ARAGORA_ENV", "prd", "production (prod, live)"),
    ("ARAGORA_REQUIRE_DISTRIBUTED", "maybe", "true or false"),
    ("ARAGORA_REQUIRE_DISTRIBUTED_STATE", "maybe", "true or false"),
    ("ARAGORA_MULTI_INSTANCE", "2", "true or false"),
    ("ARAGORA_SINGLE_INSTANCE", "two", "true or false"),
    ("ARAGORA_AUTO_MIGRATE_ON_STARTUP", "sometimes", "true or false"),
    ("ARAGORA_INSTANCES", "0", "1 to 1000"),
    ("ARAGORA_DB_REPLICA_MAX_LAG", "0", "0.1 to 3600"),
    ("ARAGORA_DB_REPLICA_WAIT", "-1", "0 to 60"),
    ("ARAGORA_SECRET_TTL", "0", "1 to 86400"),
    ("ARAGORA_REDIS_MODE", "ring", "standalone, sentinel or cluster"),
    ("ARAGORA_REDIS_SENTINEL_TLS", "maybe", "true or false"),
    ("ARAGORA_REDIS_NAMESPACE", "a:b", "letters, digits, dots, dashes and underscores"),
    ("ARAGORA_REDIS_MAX_CONNECTIONS", "0", "1 to 10000"),
    ("ARAGORA_REDIS_SOCKET_TIMEOUT", "inf", "0.05 to 60"),
    ("ARAGORA_CACHE_TTL", "0", "0.1 to 86400"),
]


def test_defaults() -> None:
    """A change here changes every deployment that sets nothing."""
    assert dict(Settings()) == DEFAULTS
    assert dict(Settings.explicit()) == DEFAULTS


@pytest.mark.parametrize(("variable", "text", "field", "value"), ACCEPTED)
def test_accepted(monkeypatch: pytest.MonkeyPatch, variable: str, text: str, field: str, value: object) -> None:
    """A documented value would be refused or mean something else."""
    monkeypatch.setenv(variable, text)
    if field == "backend" and value is Backend.POSTGRESQL:
        monkeypatch.setenv("DATABASE_URL", PG)
    assert getattr(Settings(), field) == value


@pytest.mark.parametrize(("variable", "text", "says"), REFUSED)
def test_refused(monkeypatch: pytest.MonkeyPatch, variable: str, text: str, says: str) -> None:
    """A mistake would go into production, or its message would not say what to do."""
    monkeypatch.setenv(variable, text)
    with pytest.raises(ConfigurationError) as caught:
        Settings()
    message = str(caught.value)
    assert message.startswith(f"{variable} is {text!a}")
    assert says in message


def test_the_tables_cover_every_field() -> None:
    """A new field would be untested."""
    secrets = {name for name, field in Settings.model_fields.items() if variable_of(field).secret}
    assert {field for _, _, field, _ in ACCEPTED} | secrets == set(Settings.model_fields)


def test_every_variable_is_named_once() -> None:
    """Two fields would read the same variable."""
    names = [
        name
        for field in Settings.model_fields.values()
        for name in (variable_of(field).name, *variable_of(field).aliases)
    ]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("field", sorted(Settings.model_fields))
def test_no_variable_by_the_bare_name_of_a_field(monkeypatch: pytest.MonkeyPatch, field: str, tmp_path: Path) -> None:
    """A variable of some other program, such as ``env`` or ``pooler``, would change our settings."""
    for name in (field, field.upper(), variable_of(Settings.model_fields[field]).name.lower()):
        monkeypatch.setenv(name, "1")
    file = tmp_path / ".env"
    file.write_text(f"{field}=1\n", encoding="utf-8")
    if field in {"database_url", "redis_url", "aws_region"}:  # in upper case these are variables of ours
        monkeypatch.delenv(field.upper())
    assert dict(Settings(_env_file=file)) == DEFAULTS


def test_empty_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line such as ``ARAGORA_PG_PASSWORD=`` in an environment file would mean PostgreSQL."""
    for field in Settings.model_fields.values():
        monkeypatch.setenv(variable_of(field).name, "")
    assert dict(Settings()) == DEFAULTS
    assert not Settings().model_fields_set


def test_env_file_only_when_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A forgotten ``.env`` would lead a production process to another database, or beat its environment."""
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("ARAGORA_DB_POOL_SIZE=7\nARAGORA_DB_TIMEOUT=9\nOTHER=x\n", encoding="utf-8")
    assert Settings().pool_size == 20
    monkeypatch.setenv("ARAGORA_DB_TIMEOUT", "3")
    settings = Settings(_env_file=".env")
    assert (settings.pool_size, settings.busy_timeout) == (7, 3.0)
    with pytest.raises(ConfigurationError, match=r"missing\.env does not exist"):
        Settings(_env_file="missing.env")
    Path("latin.env").write_bytes(b"ARAGORA_PG_PASSWORD=\xe9Zk9secret\n")
    with pytest.raises(ConfigurationError, match=r"latin\.env is not UTF-8"):
        Settings(_env_file="latin.env")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Settings(_env_file=tmp_path)


def test_env_file_is_taken_as_it_is(tmp_path: Path) -> None:
    """A unit of systemd reads the same file; a password must not mean one thing to it and another one to us."""
    file = tmp_path / "env"
    file.write_text("\ufeff# ours\nexport ARAGORA_PG_HOST=db\nARAGORA_PG_PASSWORD=a${HOME}b#c\nREDIS_URL=\n", "utf-8")
    settings = Settings(_env_file=file)
    assert (settings.pg_host, settings.redis_url) == ("db", None)
    assert settings.pg_password is not None
    assert settings.pg_password.get_secret_value() == "a${HOME}b#c"


@pytest.mark.parametrize("line", [f"DATABASE_URL {PG}", "ARAGORA_ENV: production", "DATABASE_URL"])
def test_a_line_that_is_none_is_an_error(tmp_path: Path, line: str) -> None:
    """Without its DATABASE_URL a server ran on SQLite, and without its ARAGORA_ENV nobody objected."""
    file = tmp_path / "env"
    file.write_text(f"OTHER=1\n{line}\nARAGORA_DB_POOL_SIZE=7\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"not NAME=value: 2\. Correct") as caught:
        Settings(_env_file=file)
    assert "secret" not in str(caught.value)


def test_explicit_ignores_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo would write into real data."""
    monkeypatch.setenv("DATABASE_URL", PG)
    monkeypatch.setenv("ARAGORA_DB_POOL_SIZE", "junk")
    settings = Settings.explicit(pool_size=3)
    assert isinstance(settings, Settings)
    assert settings.pool_size == 3
    assert settings.database_url is None
    assert resolve(settings).backend == "sqlite"


def test_keywords_win_and_may_be_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """An argument in the code would lose against the environment, or be dropped."""
    monkeypatch.setenv("ARAGORA_DB_POOL_SIZE", "junk")
    assert Settings(pool_size=3).pool_size == 3
    assert Settings(ARAGORA_DB_POOL_SIZE=4, ARAGORA_DB_POOL_OVERFLOW=0).pool_size == 4


def test_a_misspelt_keyword_is_refused() -> None:
    """``postgres_dns=...`` would quietly mean SQLite."""
    with pytest.raises(ConfigurationError, match="no field postgres_dns; did you mean postgres_dsn"):
        Settings.explicit(postgres_dns=PG)


def test_all_problems_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator would mend a deployment one restart at a time."""
    for name, value in {
        "ARAGORA_DB_POOL_SIZE": "0",
        "ARAGORA_ENV": "prd",
        "ARAGORA_POSTGRES_DSN": "postgresql://ann:Zk9secret@db:port/x",
        "ARAGORA_MULTI_INSTANCE": "true",
        "ARAGORA_SINGLE_INSTANCE": "true",
        "ARAGORA_DB_POOL_OVERFLOW": "1",
        "ARAGORA_DB_POOL_MAX_OVERFLOW": "2",
        "ARAGORA_DB_COMMAND_TIMEOUT": "5",
        "ARAGORA_DB_STATEMENT_TIMEOUT": "6",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        Settings(pool_sise=3)
    message = str(caught.value)
    assert message.startswith("7 things are wrong")
    for word in (
        "POOL_SIZE",
        "ENV",
        "POSTGRES_DSN",
        "SINGLE_INSTANCE",
        "POOL_OVERFLOW",
        "COMMAND_TIMEOUT",
        "pool_sise",
    ):
        assert word in message
    assert "Zk9" not in message


@pytest.mark.parametrize(
    ("one", "first", "other", "second", "fits"),
    [
        ("ARAGORA_DB_POOL_MAX_OVERFLOW", "5", "ARAGORA_DB_POOL_OVERFLOW", "5", True),
        ("ARAGORA_DB_POOL_MAX_OVERFLOW", "5", "ARAGORA_DB_POOL_OVERFLOW", "05", True),
        ("ARAGORA_DB_POOL_MAX_OVERFLOW", "5", "ARAGORA_DB_POOL_OVERFLOW", "6", False),
        ("ARAGORA_DB_POOL_MAX_OVERFLOW", "0", "ARAGORA_DB_POOL_OVERFLOW", "15", False),
        ("ARAGORA_REQUIRE_DISTRIBUTED", "true", "ARAGORA_REQUIRE_DISTRIBUTED_STATE", "1", True),
        ("ARAGORA_REQUIRE_DISTRIBUTED", "false", "ARAGORA_REQUIRE_DISTRIBUTED_STATE", "true", False),
        ("ARAGORA_REQUIRE_DISTRIBUTED", "true", "ARAGORA_REQUIRE_DISTRIBUTED_STATE", "junk", False),
        ("ARAGORA_REDIS_URL", "redis://a", "REDIS_URL", "redis://b", True),
    ],
)
def test_aliases(monkeypatch: pytest.MonkeyPatch, one: str, first: str, other: str, second: str, *, fits: bool) -> None:
    """Of two contradicting values one would be dropped in silence."""
    monkeypatch.setenv(one, first)
    monkeypatch.setenv(other, second)
    if fits:
        Settings()
        return
    with pytest.raises(ConfigurationError) as caught:
        Settings()
    assert one in str(caught.value)
    assert f"{other}, another name for it" in str(caught.value)


def test_redis_first_name_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """An instance would talk to another Redis than its neighbour."""
    monkeypatch.setenv("REDIS_URL", "redis://b")
    assert Settings().redis_url.get_secret_value() == "redis://b"
    monkeypatch.setenv("ARAGORA_REDIS_URL", "redis://a")
    assert Settings().redis_url.get_secret_value() == "redis://a"


@pytest.mark.parametrize(
    ("given", "statement", "command"),
    [
        ({}, 60, 60.0),
        ({"statement_timeout": 120}, 120, 120.0),
        ({"statement_timeout": 30}, 30, 60.0),
        ({"statement_timeout": 0}, 0, 0.0),
        ({"command_timeout": 120}, 60, 120.0),
        ({"command_timeout": 30}, 30, 30.0),
        ({"command_timeout": 1.5}, 1, 1.5),
        ({"command_timeout": 0}, 60, 0.0),
        ({"statement_timeout": 0, "command_timeout": 5}, 0, 5.0),
        ({"statement_timeout": 100, "command_timeout": 0}, 100, 0.0),
        ({"statement_timeout": 5, "command_timeout": 5}, 5, 5.0),
    ],
)
def test_timeouts_follow(given: dict[str, float], statement: int, command: float) -> None:
    """The client would hang up before the server cancels, and every slow query would cost a connection."""
    settings = Settings.explicit(**given)
    assert (settings.statement_timeout, settings.command_timeout) == (statement, command)
    assert settings.model_fields_set == given.keys()


def test_timeouts_that_contradict() -> None:
    """As above, by two explicit values."""
    with pytest.raises(ConfigurationError, match="ARAGORA_DB_COMMAND_TIMEOUT is 30 and ARAGORA_DB_STATEMENT_TIMEOUT"):
        Settings.explicit(statement_timeout=60, command_timeout=30)


def test_multi_and_single() -> None:
    """Instances that each believe to be alone would write to the same data."""
    with pytest.raises(ConfigurationError, match="ARAGORA_MULTI_INSTANCE and ARAGORA_SINGLE_INSTANCE"):
        Settings.explicit(multi_instance=True, single_instance=True)
    Settings.explicit(multi_instance=True, single_instance=False)


def test_frozen_copied_pickled() -> None:
    """Settings could change under an engine, or not travel to a worker process."""
    settings = Settings.explicit(postgres_dsn=PG, pool_size=3)
    with pytest.raises(ValidationError):
        settings.pool_size = 4
    again = pickle.loads(pickle.dumps(settings))  # noqa: S301 -- our own bytes
    assert again == settings
    assert hash(again) == hash(settings)
    assert resolve(again) == resolve(settings)
    assert copy.deepcopy(settings) == settings
    other = settings.model_copy(update={"postgres_dsn": None, "pool_size": 5})
    assert (other.pool_size, resolve(other).backend, resolve(settings).backend) == (5, "sqlite", "postgresql")


def test_a_dsn_in_the_wrong_variable_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slip of the hand would put a password into the log."""
    for name in ("ARAGORA_DB_BACKEND", "ARAGORA_PG_HOST", "ARAGORA_DB_POOL_SIZE", "ARAGORA_ENV"):
        for value in (PG, "ann:Zk9secret@db.example"):
            with monkeypatch.context() as patch:
                patch.setenv(name, value)
                with pytest.raises(ConfigurationError) as caught:
                    Settings()
            assert name in str(caught.value)
            assert "Zk9" not in str(caught.value)


def test_bytes_that_are_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable in another encoding would surface as an error from deep inside, with its value."""
    for name in ("ARAGORA_PG_PASSWORD", "ARAGORA_POSTGRES_DSN", "REDIS_URL", "ARAGORA_DATA_DIR", "ARAGORA_PG_USER"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "\udce9")
            with pytest.raises(ConfigurationError, match=name):
                Settings()
    for name in ("pg_password", "pg_user", "pg_host", "data_dir"):
        with pytest.raises(ConfigurationError, match=name.removeprefix("pg_").upper()):
            Settings.explicit(**{name: "x\0y"})
