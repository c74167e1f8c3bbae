"""The fields of the settings, in groups; each with its variable, default, range and meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from aragora_db.config import validators
from aragora_db.config.enums import Backend, Environment, PoolerChoice, SslMode
from aragora_db.config.variables import Variable

__all__ = ["ConnectionFields", "DatabaseFields", "DeploymentFields", "RedisFields", "SecretsFields"]

_DSN = "postgresql://user:password@host:5432/database?sslmode=require"
_NO_LIMIT = "seconds; 0 is no limit"
_NODES = "host or host:port, several separated by commas"
_SYSTEM = "seconds; 0 leaves it to the operating system"

RedisMode = Literal["auto", "standalone", "sentinel", "cluster"]

_Text = Annotated[str, Field(min_length=1), AfterValidator(validators.plain)]
_Secret = Annotated[SecretStr, AfterValidator(validators.plain_secret)]


class _FieldGroup(BaseSettings):
    """Some of the fields. Only ``Settings`` is ever filled, so that no other validator is built (17 ms of import)."""

    model_config = SettingsConfigDict(defer_build=True)


class DatabaseFields(_FieldGroup):
    """Where the database is."""

    backend: Annotated[
        Backend,
        Variable(
            "ARAGORA_DB_BACKEND",
            "Which database is meant. `auto` goes by what follows, and is SQLite when nothing names PostgreSQL. "
            "`postgres`, `postgresql` and `supabase` are the same thing. A DSN that disagrees is an error.",
            accepts="auto, sqlite, postgres, postgresql or supabase, in any case",
        ),
    ] = Backend.AUTO
    postgres_dsn: Annotated[
        _Secret | None,
        Variable(
            "ARAGORA_POSTGRES_DSN",
            "Where PostgreSQL is. Asked before `DATABASE_URL`.",
            accepts=_DSN,
            secret=True,
        ),
    ] = None
    database_url: Annotated[
        _Secret | None,
        Variable("DATABASE_URL", "Where the database is.", accepts=f"{_DSN} or sqlite:///path", secret=True),
    ] = None
    pg_host: Annotated[
        _Text,
        AfterValidator(validators.host),
        Variable(
            "ARAGORA_PG_HOST",
            "Where PostgreSQL is when there is no DSN. Any one ARAGORA_PG_* means PostgreSQL.",
            accepts="a host name or an address, several separated by commas, or the folder of a Unix socket",
        ),
    ] = "localhost"
    pg_port: Annotated[int, Variable("ARAGORA_PG_PORT", "Its port.")] = Field(default=5432, ge=1, le=65535)
    pg_database: Annotated[
        _Text,
        AfterValidator(validators.name),
        Variable("ARAGORA_PG_DATABASE", "The database's name.", accepts="a name, taken as it is"),
    ] = "aragora"
    pg_user: Annotated[
        _Text,
        AfterValidator(validators.name),
        Variable("ARAGORA_PG_USER", "The role to log in as.", accepts="a name, taken as it is"),
    ] = "aragora"
    pg_password: Annotated[
        _Secret | None,
        Variable(
            "ARAGORA_PG_PASSWORD",
            "Its password. Unlike in a DSN nothing is percent-encoded.",
            accepts="any UTF-8 text without NUL, taken as it is",
            secret=True,
        ),
    ] = None
    pg_ssl_mode: Annotated[
        SslMode,
        BeforeValidator(validators.lower),
        Variable(
            "ARAGORA_PG_SSL_MODE",
            "How far the connection is secured. A DSN says `sslmode=` itself.",
            accepts="disable, prefer, require, verify-ca or verify-full",
        ),
    ] = "require"
    pg_iam_auth: Annotated[
        bool,
        Variable(
            "ARAGORA_PG_IAM_AUTH",
            "Log in to RDS with an IAM token instead of a password, a new one every ten minutes. Needs the extra `aws` "
            "and an encrypted connection.",
        ),
    ] = False
    read_urls: Annotated[
        _Secret | None,
        Variable(
            "ARAGORA_DB_READ_URLS",
            "Streaming replicas for read-only sessions. What a URL leaves out (user, password, database, sslmode) is "
            "taken from the primary's DSN.",
            accepts="postgresql://host:5432, several separated by commas",
            secret=True,
        ),
    ] = None
    data_dir: Annotated[
        Path,
        AfterValidator(validators.folder),
        Variable("ARAGORA_DATA_DIR", "Folder of the SQLite file `aragora.db`.", accepts="a folder's path in UTF-8"),
    ] = Path(".nomic")


class ConnectionFields(_FieldGroup):
    """Connections, the pool and timeouts."""

    pool_size: Annotated[int, Variable("ARAGORA_DB_POOL_SIZE", "Connections that are kept open.")] = Field(
        default=20, ge=1, le=100
    )
    pool_max_overflow: Annotated[
        int,
        Variable(
            "ARAGORA_DB_POOL_MAX_OVERFLOW",
            "Connections beyond them during a burst.",
            aliases=("ARAGORA_DB_POOL_OVERFLOW",),
        ),
    ] = Field(default=15, ge=0, le=100)
    pool_timeout: Annotated[
        float, Variable("ARAGORA_DB_POOL_TIMEOUT", "How long to wait for a free connection.", unit="seconds")
    ] = Field(default=30.0, ge=1, le=300, allow_inf_nan=False)
    pool_recycle: Annotated[
        int,
        Variable(
            "ARAGORA_DB_POOL_RECYCLE", "Age at which a connection is replaced at its next checkout.", unit="seconds"
        ),
    ] = Field(default=1800, ge=60, le=7200)
    connect_timeout: Annotated[
        int,
        Variable("ARAGORA_DB_CONNECT_TIMEOUT", "How long to wait for a connection to open.", unit="seconds"),
    ] = Field(default=10, ge=2, le=300)  # libpq takes 1 for 2
    statement_timeout: Annotated[
        int,
        Variable(
            "ARAGORA_DB_STATEMENT_TIMEOUT",
            "After this the server cancels a statement. Follows ARAGORA_DB_COMMAND_TIMEOUT down when only that is set.",
            unit=_NO_LIMIT,
        ),
    ] = Field(default=60, ge=0, le=3600)
    command_timeout: Annotated[
        float,
        AfterValidator(validators.none_or_a_second),
        Variable(
            "ARAGORA_DB_COMMAND_TIMEOUT",
            "After this the client gives up on an answer. Not below ARAGORA_DB_STATEMENT_TIMEOUT, so that the server "
            "cancels first; follows it up when only that is set. Rows of a server-side cursor (`yield_per`) are waited "
            "for without it.",
            accepts=f"0, or a number from 1 to 3600 ({_NO_LIMIT})",
        ),
    ] = Field(default=60.0, ge=0, le=3600, allow_inf_nan=False)
    idle_in_transaction_timeout: Annotated[
        int,
        Variable(
            "ARAGORA_DB_IDLE_IN_TRANSACTION_TIMEOUT",
            "After this the server ends a session that sits in an open transaction.",
            unit=_NO_LIMIT,
        ),
    ] = Field(default=300, ge=0, le=3600)
    busy_timeout: Annotated[
        float,
        Variable(
            "ARAGORA_DB_TIMEOUT",
            "How long SQLite waits for another writer.",
            unit="seconds; 0 does not wait",
        ),
    ] = Field(default=30.0, ge=0, le=300, allow_inf_nan=False)
    replica_max_lag: Annotated[
        float,
        Variable(
            "ARAGORA_DB_REPLICA_MAX_LAG",
            "A replica that is further behind the primary is left out until it has caught up.",
            unit="seconds",
        ),
    ] = Field(default=10.0, ge=0.1, le=3600, allow_inf_nan=False)
    replica_wait: Annotated[
        float,
        Variable(
            "ARAGORA_DB_REPLICA_WAIT",
            "How long a read-only session waits for a replica to reach what this thread or task wrote, before it goes "
            "to the primary.",
            unit="seconds; 0 does not wait",
        ),
    ] = Field(default=0.2, ge=0, le=60, allow_inf_nan=False)
    migration_lock_timeout: Annotated[
        int,
        Variable(
            "ARAGORA_DB_MIGRATION_LOCK_TIMEOUT", "How long to wait for another process's migration.", unit="seconds"
        ),
    ] = Field(default=300, ge=1, le=3600)
    keepalives_idle: Annotated[
        int,
        Variable("ARAGORA_DB_KEEPALIVES_IDLE", "Silence after which TCP asks whether the peer is there.", unit=_SYSTEM),
    ] = Field(default=30, ge=0, le=7200)
    keepalives_interval: Annotated[
        int, Variable("ARAGORA_DB_KEEPALIVES_INTERVAL", "Time between two such questions.", unit=_SYSTEM)
    ] = Field(default=10, ge=0, le=3600)
    keepalives_count: Annotated[
        int,
        Variable(
            "ARAGORA_DB_KEEPALIVES_COUNT",
            "Unanswered questions after which the connection is lost.",
            unit="0 leaves it to the operating system",
        ),
    ] = Field(default=3, ge=0, le=100)
    tcp_user_timeout: Annotated[
        int,
        Variable(
            "ARAGORA_DB_TCP_USER_TIMEOUT",
            "After this, data that nobody acknowledged means that the connection is lost.",
            unit=_SYSTEM,
        ),
    ] = Field(default=30, ge=0, le=3600)
    pooler: Annotated[
        PoolerChoice,
        BeforeValidator(validators.lower),
        Variable(
            "ARAGORA_DB_POOLER",
            "Whether a pooler stands in front of the server. `auto` goes by port 6543, known hosts and "
            "`pgbouncer=true` in the DSN.",
            accepts="auto, none, session or transaction, in any case",
        ),
    ] = "auto"
    application_name: Annotated[
        str,
        Variable(
            "ARAGORA_DB_APPLICATION_NAME",
            "How `pg_stat_activity` shows us.",
            accepts="1 to 63 printable ASCII characters",
        ),
    ] = Field(default="aragora_db", pattern=r"^[ -~]{1,63}$")


class SecretsFields(_FieldGroup):
    """Secrets in AWS Secrets Manager."""

    use_secrets_manager: Annotated[
        bool,
        Variable(
            "ARAGORA_USE_SECRETS_MANAGER",
            "Ask AWS Secrets Manager for ARAGORA_POSTGRES_DSN, DATABASE_URL, ARAGORA_REDIS_URL and REDIS_URL when the "
            "environment names no database or no Redis. Needs the extra `aws`.",
        ),
    ] = False
    secret_name: Annotated[
        _Text,
        AfterValidator(validators.name),
        Variable(
            "ARAGORA_SECRET_NAME",
            "The secret: a JSON object with the variables' names. Where it names no database, `<name>/database` with "
            "the property `url` is asked.",
            accepts="a name or an ARN",
        ),
    ] = "aragora/production"  # noqa: S105 -- where it is, not what it is
    aws_region: Annotated[
        _Text,
        Variable(
            "AWS_REGION",
            "The first region to ask.",
            accepts="a region's name",
            aliases=("AWS_DEFAULT_REGION",),
            first_wins=True,
        ),
    ] = "us-east-1"
    secret_regions: Annotated[
        str,
        AfterValidator(validators.plain),
        Variable(
            "ARAGORA_SECRET_REGIONS",
            "Regions to ask after the first one, in this order; unset is us-east-2, us-east-1.",
            accepts="names of regions separated by commas",
        ),
    ] = "us-east-2,us-east-1"  # noqa: S105 -- as above
    secret_ttl: Annotated[
        int,
        Variable("ARAGORA_SECRET_TTL", "Age at which a secret is asked for again.", unit="seconds"),
    ] = Field(default=300, ge=1, le=86400)


class RedisFields(_FieldGroup):
    """Redis, as shared cache, locks and events."""

    redis_url: Annotated[
        _Secret | None,
        Variable(
            "ARAGORA_REDIS_URL",
            "Where Redis is. The first name that is set wins. With Sentinel or Cluster it is where user, password, "
            "database and TLS come from.",
            accepts="redis://host:6379, rediss://:password@host:6379, rediss://user:password@host:6379/0 or "
            "unix:///path",
            aliases=("REDIS_URL",),
            first_wins=True,
            secret=True,
        ),
    ] = None
    redis_mode: Annotated[
        RedisMode,
        BeforeValidator(validators.lower),
        Variable(
            "ARAGORA_REDIS_MODE",
            "`auto` is `sentinel` with ARAGORA_REDIS_SENTINEL_HOSTS, `cluster` with ARAGORA_REDIS_CLUSTER_NODES, else "
            "`standalone`.",
            accepts="auto, standalone, sentinel or cluster, in any case",
        ),
    ] = "auto"
    redis_sentinel_hosts: Annotated[
        _Text | None, Variable("ARAGORA_REDIS_SENTINEL_HOSTS", "The Sentinels; port 26379.", accepts=_NODES)
    ] = None
    redis_sentinel_master: Annotated[
        _Text, Variable("ARAGORA_REDIS_SENTINEL_MASTER", "What they call the primary.", accepts="a name")
    ] = "mymaster"
    redis_sentinel_password: Annotated[
        _Secret | None,
        Variable("ARAGORA_REDIS_SENTINEL_PASSWORD", "Their own password.", accepts="any text", secret=True),
    ] = None
    redis_sentinel_tls: Annotated[
        bool,
        Variable(
            "ARAGORA_REDIS_SENTINEL_TLS",
            "Whether the Sentinels speak TLS as well; their certificates are verified like Redis's.",
        ),
    ] = False
    redis_cluster_nodes: Annotated[
        _Text | None,
        Variable("ARAGORA_REDIS_CLUSTER_NODES", "Nodes to find the cluster by; port 6379.", accepts=_NODES),
    ] = None
    redis_ssl_ca_certs: Annotated[
        Path | None,
        AfterValidator(lambda value: value if value is None else validators.folder(value)),
        Variable(
            "ARAGORA_REDIS_SSL_CA_CERTS",
            "The authority that signed Redis's certificate; unset trusts what the system trusts.",
            accepts="a PEM file's path",
        ),
    ] = None
    redis_timeout: Annotated[
        float,
        Variable(
            "ARAGORA_REDIS_SOCKET_TIMEOUT",
            "After this Redis counts as away. Short: what it keeps is also in the database.",
            unit="seconds",
        ),
    ] = Field(default=1.0, ge=0.05, le=60, allow_inf_nan=False)
    redis_connect_timeout: Annotated[
        float,
        Variable("ARAGORA_REDIS_SOCKET_CONNECT_TIMEOUT", "How long to wait for a connection to open.", unit="seconds"),
    ] = Field(default=1.0, ge=0.05, le=60, allow_inf_nan=False)
    redis_max_connections: Annotated[
        int, Variable("ARAGORA_REDIS_MAX_CONNECTIONS", "Connections of one process at most.")
    ] = Field(default=50, ge=1, le=10000)
    redis_health_check_interval: Annotated[
        int,
        Variable(
            "ARAGORA_REDIS_HEALTH_CHECK_INTERVAL",
            "Idle time after which a connection is tried before it is used.",
            unit="seconds; 0 does not try",
        ),
    ] = Field(default=30, ge=0, le=3600)
    redis_namespace: Annotated[
        str,
        Variable(
            "ARAGORA_REDIS_NAMESPACE",
            "How the names of our keys and channels begin, so that two deployments can share one Redis.",
            accepts="letters, digits, dots, dashes and underscores",
        ),
    ] = Field(default="aragora", pattern=r"^[A-Za-z0-9._-]{1,64}$")
    cache_ttl: Annotated[
        float,
        Variable("ARAGORA_CACHE_TTL", "Age at which a cached answer is computed again at the latest.", unit="seconds"),
    ] = Field(default=300.0, ge=0.1, le=86400, allow_inf_nan=False)


class DeploymentFields(_FieldGroup):
    """What kind of deployment this is."""

    env: Annotated[
        Environment,
        Variable(
            "ARAGORA_ENV",
            "`production` and `staging` require PostgreSQL and Redis, unless ARAGORA_SINGLE_INSTANCE is true or "
            "ARAGORA_REQUIRE_DISTRIBUTED false.",
            accepts="development (dev), test (testing), staging (stage) or production (prod, live), in any case",
        ),
    ] = Environment.DEVELOPMENT
    require_distributed: Annotated[
        bool | None,
        Variable(
            "ARAGORA_REQUIRE_DISTRIBUTED",
            "Require PostgreSQL and Redis, whatever ARAGORA_ENV is: nothing that only this machine can see.",
            aliases=("ARAGORA_REQUIRE_DISTRIBUTED_STATE",),
        ),
    ] = None
    multi_instance: Annotated[
        bool | None,
        Variable("ARAGORA_MULTI_INSTANCE", "Several instances run: requires PostgreSQL and Redis as well."),
    ] = None
    single_instance: Annotated[
        bool | None,
        Variable(
            "ARAGORA_SINGLE_INSTANCE", "This is the only instance: SQLite, and no Redis, are allowed in production too."
        ),
    ] = None
    instances: Annotated[
        int | None,
        Variable(
            "ARAGORA_INSTANCES",
            "How many processes share the database, for the connection arithmetic of `aragora-db doctor`; unset is 2 "
            "with ARAGORA_MULTI_INSTANCE=true, else 1.",
            accepts="a whole number from 1 to 1000",
        ),
    ] = Field(default=None, ge=1, le=1000)
    health_token: Annotated[
        _Secret | None,
        Variable(
            "ARAGORA_HEALTH_TOKEN",
            "Who sends it as `Authorization: Bearer ...` sees the health checks in full.",
            accepts="a text of your own, long and random",
            secret=True,
        ),
    ] = None
    auto_migrate: Annotated[
        bool | None,
        Variable(
            "ARAGORA_AUTO_MIGRATE_ON_STARTUP",
            "`true` migrates at start, `false` does not even initialise an empty database; unset initialises an "
            "empty database only.",
        ),
    ] = None
