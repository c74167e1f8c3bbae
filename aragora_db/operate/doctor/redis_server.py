"""Redis itself: whether it lets us in, and keeps what it is told for as long as it should."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from aragora_db.operate.doctor.check import Check, for_redis
from aragora_db.operate.doctor.context import Examination
from aragora_db.operate.doctor.finding import Fault, Finding, ok, skipped

__all__ = ["CHECKS", "MINIMUM", "judge_memory", "judge_version"]

MINIMUM: Final = 6

_SETTING = "ARAGORA_REDIS_URL"

WRONG_PASSWORD = Fault(
    "redis-wrong-password",
    "error",
    "Redis does not accept the user and password of the URL.",
    f"correct them in {_SETTING}: rediss://:AUTH_TOKEN@host:6379, or rediss://USER:PASSWORD@host:6379 for an ACL user",
)
NO_PASSWORD = Fault(
    "redis-no-password",
    "error",
    "Redis asks for a password, and the URL has none.",
    f"put it into {_SETTING}: rediss://:AUTH_TOKEN@host:6379",
)
NOT_PERMITTED = Fault(
    "redis-not-permitted",
    "error",
    "The ACL user may not do what we need.",
    "ACL SETUSER {user} resetchannels ~{namespace}:* &{namespace}:* +@all -@admin -@dangerous +info",
)
LOGIN_FAILED = Fault(
    "redis-refused",
    "error",
    "Redis refused for a reason that has no name here, such as still loading its data.",
    'redis-cli -u "$ARAGORA_REDIS_URL" PING  # and look into its log',
)
OLD = Fault(
    "redis-old",
    "error",
    f"Redis before {MINIMUM} has no ACL users and no TLS, and gets no more fixes.",
    "upgrade it (ElastiCache: aws elasticache modify-replication-group --engine-version 7.1 ...)",
)
REPLICA = Fault(
    "redis-replica",
    "error",
    "The address leads to a replica, which takes no writes.",
    f"write the primary endpoint into {_SETTING}, or name the Sentinels in ARAGORA_REDIS_SENTINEL_HOSTS",
)
EVICTING = Fault(
    "redis-evicting",
    "warn",
    "Memory ran out and keys were thrown away. Nothing is lost, and the cache helps less than it could.",
    "CONFIG SET maxmemory ...  # more of it, or a larger node; redis-cli INFO stats shows evicted_keys",
)
NO_EVICTION = Fault(
    "redis-noeviction",
    "warn",
    "With a memory limit and maxmemory-policy noeviction every write fails once memory is full.",
    "CONFIG SET maxmemory-policy allkeys-lru  # ElastiCache: in the parameter group; nothing lives in Redis alone",
)


def judge_version(version: str, minimum: int = MINIMUM) -> Finding:
    """Judge a version such as ``7.0.15``."""
    if int(version.partition(".")[0]) < minimum:
        return OLD.found(f"Redis is {version}; {minimum} is the oldest that will do")
    return ok(f"Redis {version}")


def judge_memory(info: dict[str, Any]) -> Iterator[Finding]:
    """Judge what ``INFO`` says about memory."""
    limit, policy = int(info.get("maxmemory", 0)), str(info.get("maxmemory_policy", "unknown"))
    evicted = int(info.get("evicted_keys", 0))
    used = f"{int(info.get('used_memory', 0)) / 1e6:.0f} of {limit / 1e6:.0f} MB used" if limit else "no memory limit"
    if limit and policy == "noeviction":
        yield NO_EVICTION.found(f"maxmemory-policy is noeviction, {used}")
    if evicted:
        yield EVICTING.found(f"{evicted} keys were evicted ({policy}, {used})")
    if not evicted and not (limit and policy == "noeviction"):
        yield ok(f"{policy}, {used}, nothing evicted")


def _login(examination: Examination) -> Iterator[Finding]:
    from redis.exceptions import AuthenticationError, NoPermissionError  # noqa: PLC0415 -- an extra

    from aragora_db.shared.client import REDIS_ERRORS  # noqa: PLC0415 -- imports redis-py

    access = examination.redis
    user = access.url.username or "default"
    try:
        access.read()
    except AuthenticationError:
        if access.url.password is None:
            yield NO_PASSWORD.found(f"Redis asks for a password, and {_SETTING} has none")
        else:
            yield WRONG_PASSWORD.found(f"Redis does not accept the password of the user {user}")
    except NoPermissionError:
        namespace = examination.settings.redis_namespace
        yield NOT_PERMITTED.found(
            f"the user {user} may not PING, or not read keys of {namespace}:", user=user, namespace=namespace
        )
    except REDIS_ERRORS as error:
        yield LOGIN_FAILED.found(f"Redis answers with {type(error).__name__}")
    else:
        yield ok(f"answers, as the user {user}")


def _memory(examination: Examination) -> Iterator[Finding]:
    from redis.exceptions import NoPermissionError  # noqa: PLC0415 -- an extra

    try:
        nodes = examination.redis.info()
    except NoPermissionError:
        yield skipped("this user may not run INFO", "redis-cli INFO  # as an administrator")
        return
    for info in nodes:
        yield judge_version(str(info["redis_version"]))
        if info.get("role") == "slave" and examination.redis.mode == "standalone":
            yield REPLICA.found("INFO says role:slave")
        yield from judge_memory(info)


CHECKS = (
    Check(
        "redis-login",
        "Do user and password let us in?",
        _login,
        (WRONG_PASSWORD, NO_PASSWORD, NOT_PERMITTED, LOGIN_FAILED),
        for_redis,
        ("redis-tls",),
        30,
    ),
    Check(
        "redis-memory",
        "Is it new enough, a primary, and large enough?",
        _memory,
        (OLD, REPLICA, EVICTING, NO_EVICTION),
        for_redis,
        ("redis-login",),
        30,
    ),
)
