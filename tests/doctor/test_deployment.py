"""The guide's checklist: eleven ticks, each a line, and what can be seen of each from here."""

from __future__ import annotations

import psycopg
import pytest

from aragora_db.config import Settings, parse_dsn
from aragora_db.operate.doctor.deployment import fingerprint

PRODUCTION = {"env": "production", "multi_instance": True, "require_distributed": True, "backend": "postgresql"}

CHECKLIST = {
    "RDS instance created with Multi-AZ, encryption, and correct security group": "rds",
    "ElastiCache Redis created with TLS, Multi-AZ, and correct security group": "elasticache",
    "`DATABASE_URL` set identically on both EC2 instances": "database-url",
    "`ARAGORA_REDIS_URL` set identically on both EC2 instances": "redis-url",
    "`ARAGORA_DB_BACKEND=postgresql` set on both instances": "backend",
    "`ARAGORA_REQUIRE_DISTRIBUTED=true` set on both instances": "distributed",
    "Both instances restarted with `systemctl restart aragora`": "restarted",
    '`/readyz` returns `"status": "ready"` on both instances': "ready",
    "`/readyz/dependencies` shows Redis and PostgreSQL connected": "dependencies",
    "ALB health check target set to `/healthz` (HTTP 200 = healthy)": "load-balancer",
    "Cross-instance data visibility confirmed (debate created on A visible on B)": "visibility",
}


def test_every_tick_of_the_guide_has_a_line(healthy_url, redis_server, examine):
    """A tick that doctor passes over is one that nobody makes."""
    report = examine(database_url=healthy_url, redis_url=redis_server.url, **PRODUCTION)
    assert report.errors == []
    for tick, check in CHECKLIST.items():
        assert report.of(check), f"no line for: {tick}"


def test_what_cannot_be_seen_is_skipped_with_the_command_that_shows_it(healthy_url, redis_server, examine):
    """A tick for what nobody looked at would be a lie."""
    report = examine(database_url=healthy_url, redis_url=redis_server.url, **PRODUCTION)
    for check, command in {
        "rds": "aws rds describe-db-instances",
        "elasticache": "aws elasticache describe-replication-groups",
        "load-balancer": "aws elbv2 describe-target-groups",
        "restarted": "systemctl show aragora",
    }.items():
        assert report[check].level == "skipped"
        assert report[check].fix.startswith(command)


def test_fingerprints():
    """Equal for the same database, however it is written; another for another one; and nothing of the password."""
    one = fingerprint(parse_dsn("postgresql://ann:Zk9@db.example/arena"))
    assert one == fingerprint(parse_dsn("postgres://ann:other@db.example:5432/arena?sslmode=require"))
    assert one != fingerprint(parse_dsn("postgresql://ann:Zk9@db2.example/arena"))
    assert one != fingerprint(parse_dsn("postgresql://bob:Zk9@db.example/arena"))
    assert len(one) == 12


def test_a_backend_that_nobody_said(healthy_url, redis_server, examine):
    """An instance that lost its DATABASE_URL would be stopped by one guard only."""
    report = examine(database_url=healthy_url, redis_url=redis_server.url, env="production", multi_instance=True)
    assert report["backend-not-said"].level == "warn"
    assert report["distributed-not-required"].level == "warn"
    assert report.errors == []


def test_missing_instances(own_healthy_url, redis_server, examine):
    """Two instances are said to run, and only one of them is connected to this database."""
    report = examine(database_url=own_healthy_url, redis_url=redis_server.url, **PRODUCTION)
    assert report["instances-missing"].level == "warn"
    assert "0 addresses are connected" in report["instances-missing"].message
    assert "2 instances are expected" in report["instances-missing"].message
    with psycopg.connect(own_healthy_url, application_name=Settings.explicit().application_name):
        one = examine(database_url=own_healthy_url, redis_url=redis_server.url, **PRODUCTION)
    assert "1 address is connected" in one["instances-missing"].message
    assert "behind one address count once" in one["instances-missing"].message


def test_no_database(examine):
    """PostgreSQL is asked for and nothing says where: nobody must end up on SQLite for that."""
    report = examine(backend="postgresql")
    assert report.errors == ["no-database"]
    assert "DATABASE_URL" in report["no-database"].message


@pytest.mark.parametrize("values", [{"require_distributed": True}, {"env": "production"}, {"multi_instance": True}])
def test_state_on_one_machine(values, examine):
    """The guard stops the instance at its start; doctor says so before."""
    report = examine(**values)
    assert report.errors == ["local-state"]
    assert "ARAGORA_SINGLE_INSTANCE=true" in report["local-state"].fix
