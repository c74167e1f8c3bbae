"""The guide's checklist: what AWS holds, what both instances must say alike, and that they were restarted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from aragora_db.config import Backend, Dsn
from aragora_db.config.guard import distributed_required
from aragora_db.operate.doctor.check import DoctorCheck, Fault, Finding, for_redis, for_server, ok, skipped
from aragora_db.operate.doctor.context import DoctorContext

__all__ = ["CHECKS", "fingerprint"]

BACKEND_NOT_SAID = Fault(
    "backend-not-said",
    "warn",
    "Without it an instance that lost its DATABASE_URL would look for SQLite, and be stopped by the guard alone.",
    "set ARAGORA_DB_BACKEND=postgresql on every instance",
)
NOT_REQUIRED = Fault(
    "distributed-not-required",
    "warn",
    "Several instances run, and nothing but ARAGORA_MULTI_INSTANCE or ARAGORA_ENV forbids one of them its own SQLite.",
    "set ARAGORA_REQUIRE_DISTRIBUTED=true on every instance",
)
INSTANCES_MISSING = Fault(
    "instances-missing",
    "warn",
    "Fewer addresses are connected than instances are said to run: one uses another database, role or name, or is "
    "down. Instances behind one address count once; with each of them given as --url, the answers count instead.",
    "SELECT client_addr, application_name, backend_start FROM pg_stat_activity WHERE datname = current_database(); "
    "then compare the fingerprint of database-url on every instance",
)

_FINGERPRINT = 12


def fingerprint(dsn: Dsn) -> str:
    """A short text to compare between machines: the same for the same server, role and database.

    The password is not part of it, so that nobody can find it by trying.
    """
    parameters = dict(dsn.parameters) | dict(dsn.ours)
    named = {name: value for name, value in parameters.items() if value and name in {"host", "port", "user", "dbname"}}
    text = repr(sorted({"port": "5432", **named}.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:_FINGERPRINT]


def _rds(context: DoctorContext) -> Iterator[Finding]:
    host = context.dsn.parameters.get("host", "")
    name = host.split(".", maxsplit=1)[0] if host.endswith(".rds.amazonaws.com") else "aragora"
    yield skipped(
        "Multi-AZ, encryption at rest and security groups cannot be seen from SQL",
        f"aws rds describe-db-instances --db-instance-identifier {name} --query "
        "'DBInstances[].[MultiAZ,StorageEncrypted,BackupRetentionPeriod,VpcSecurityGroups]'",
    )


def _elasticache(_context: DoctorContext) -> Iterator[Finding]:
    yield skipped(
        "Multi-AZ, encryption at rest and security groups cannot be seen from Redis",
        "aws elasticache describe-replication-groups --query "
        "'ReplicationGroups[].[ReplicationGroupId,MultiAZ,TransitEncryptionEnabled,AtRestEncryptionEnabled]'",
    )


def _database_url(context: DoctorContext) -> Iterator[Finding]:
    yield ok(f"fingerprint {fingerprint(context.dsn)}: it has to be the same on every instance")


def _redis_url(context: DoctorContext) -> Iterator[Finding]:
    access = context.redis
    text = repr((access.mode, [str(each) for each in access.addresses], access.url.db, access.url.tls))
    digest = hashlib.sha256(text.encode()).hexdigest()[:_FINGERPRINT]
    yield ok(f"fingerprint {digest}: it has to be the same on every instance")


def _backend(context: DoctorContext) -> Iterator[Finding]:
    settings = context.settings
    if settings.backend is Backend.AUTO and distributed_required(settings):
        yield BACKEND_NOT_SAID.found("ARAGORA_DB_BACKEND is not set, and shared state is required")
    else:
        yield ok(f"ARAGORA_DB_BACKEND is {settings.backend}")


def _distributed(context: DoctorContext) -> Iterator[Finding]:
    settings = context.settings
    if settings.require_distributed:
        yield ok("ARAGORA_REQUIRE_DISTRIBUTED is true")
    elif distributed_required(settings) or context.instances > 1:
        yield NOT_REQUIRED.found("ARAGORA_REQUIRE_DISTRIBUTED is not true, and several instances may run")
    else:
        yield skipped(f"this is one instance (ARAGORA_ENV is {settings.env}, ARAGORA_MULTI_INSTANCE is not true)")


def _instances(context: DoctorContext) -> Iterator[Finding]:
    settings = context.settings
    expected = context.instances
    if expected < 2:  # noqa: PLR2004 -- one needs no company
        yield skipped("one instance is expected (ARAGORA_INSTANCES, ARAGORA_MULTI_INSTANCE)")
        return
    answering = len(context.facts.get("answering", ()))
    if answering >= expected:
        yield ok(f"{answering} instances answer, {expected} are expected")
        return
    if context.target.through_transaction_pooler:
        yield skipped(
            "behind a pooler every connection comes from the pooler", "SHOW CLIENTS  # in PgBouncer's console"
        )
        return
    # Our own connection is not an instance's.
    rows = context.rows(
        "SELECT DISTINCT coalesce(host(client_addr), 'local') FROM pg_catalog.pg_stat_activity "
        "WHERE datname = current_database() AND usename = current_user AND application_name = %s "
        "AND pid <> pg_backend_pid() ORDER BY 1",
        settings.application_name,
    )
    addresses = [str(address) for (address,) in rows]
    counted = "1 address is" if len(addresses) == 1 else f"{len(addresses)} addresses are"
    message = f"{counted} connected as {settings.application_name}"
    message += f" ({', '.join(addresses)})" if addresses else ""
    if len(addresses) < expected:
        yield INSTANCES_MISSING.found(
            f"{message}, {expected} instances are expected (those behind one address count once)"
        )
    else:
        yield ok(message)


def _restarted(_context: DoctorContext) -> Iterator[Finding]:
    yield skipped(
        "when an instance was started cannot be seen from here",
        "systemctl show aragora -p ActiveEnterTimestamp  # on each; after a change: systemctl daemon-reload && "
        "systemctl restart aragora",
    )


def _load_balancer(_context: DoctorContext) -> Iterator[Finding]:
    yield skipped(
        "the load balancer's target group cannot be seen from here",
        "aws elbv2 describe-target-groups --query 'TargetGroups[].[TargetGroupName,HealthCheckPath,Matcher.HttpCode]'"
        "  # /healthz and 200",
    )


def _for_several(context: DoctorContext) -> str:
    settings = context.settings
    several = context.is_server and (distributed_required(settings) or context.instances > 1)
    return "" if several else "one instance stands alone here"


CHECKS = (
    DoctorCheck(
        "rds", "RDS with Multi-AZ, encryption and the right security group", _rds, (), for_server, ("database",)
    ),
    DoctorCheck(
        "elasticache",
        "ElastiCache with TLS, Multi-AZ and the right security group",
        _elasticache,
        (),
        for_redis,
        ("redis-settings",),
    ),
    DoctorCheck("database-url", "DATABASE_URL is the same everywhere", _database_url, (), for_server, ("database",)),
    DoctorCheck(
        "redis-url", "ARAGORA_REDIS_URL is the same everywhere", _redis_url, (), for_redis, ("redis-settings",)
    ),
    DoctorCheck("instances", "Is every instance connected?", _instances, (INSTANCES_MISSING,), for_server, ("login",)),
    DoctorCheck(
        "backend", "Is ARAGORA_DB_BACKEND=postgresql set?", _backend, (BACKEND_NOT_SAID,), for_server, ("database",)
    ),
    DoctorCheck(
        "distributed",
        "Is ARAGORA_REQUIRE_DISTRIBUTED=true set?",
        _distributed,
        (NOT_REQUIRED,),
        for_server,
        ("database",),
    ),
    DoctorCheck("restarted", "Was every instance restarted since?", _restarted, (), _for_several, ("database",)),
    DoctorCheck(
        "load-balancer",
        "Is the load balancer's health check /healthz?",
        _load_balancer,
        (),
        _for_several,
        ("database",),
    ),
)
