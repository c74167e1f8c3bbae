"""The fields of the settings about secrets and Redis, each with its variable, default, range and meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from aragora_db.config import validators
from aragora_db.config.base import Group
from aragora_db.config.variables import Variable

__all__ = ["Redis", "Secrets"]

RedisMode = Literal["auto", "standalone", "sentinel", "cluster"]

_Text = Annotated[str, Field(min_length=1), AfterValidator(validators.plain)]
_Secret = Annotated[SecretStr, AfterValidator(validators.plain_secret)]

_NODES = "host or host:port, several separated by commas"


class Secrets(Group):
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


class Redis(Group):
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
