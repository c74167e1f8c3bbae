"""Redis: the way to it, and whether it keeps what it is told for as long as it should."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any, Final

from aragora_db.doctor import tls
from aragora_db.doctor.address import Address, connect, reason, resolve
from aragora_db.doctor.check import Check, for_redis
from aragora_db.doctor.examination import Examination
from aragora_db.doctor.finding import Fault, Finding, ok, skipped
from aragora_db.errors import ConfigurationError

__all__ = ["CHECKS", "MINIMUM", "judge_memory", "judge_version"]

MINIMUM: Final = 6

_SETTING = "ARAGORA_REDIS_URL"
_OPENSSL = "openssl s_client -connect {host}:{port} -showcerts </dev/null"

SETTINGS_REFUSED = Fault(
    "redis-settings-refused",
    "error",
    "What names Redis cannot be used as it stands.",
    f"correct {_SETTING}, or the variable that the message names (docs/reference/environment.md)",
)
UNKNOWN_HOST = Fault(
    "redis-unknown-host",
    "error",
    "The name of the Redis leads nowhere.",
    f"getent hosts {{host}}  # and correct the host in {_SETTING}",
)
CLOSED_PORT = Fault(
    "redis-closed-port",
    "error",
    "The machine answers, and no Redis listens on that port.",
    f"redis-cli -h {{host}} -p {{port}} PING  # correct the port in {_SETTING}, or start Redis (bind, protected-mode)",
)
NO_ANSWER = Fault(
    "redis-no-answer",
    "error",
    "Nobody answers: a security group or firewall drops what we send, or there is no route.",
    "allow inbound TCP {port} from this machine's address in Redis's security group or firewall, then: "
    "nc -vz {host} {port}",
)
NEEDS_TLS = Fault(
    "redis-needs-tls",
    "error",
    "The URL says redis://, and the port speaks TLS only.",
    f"write rediss:// instead of redis:// in {_SETTING}",
)
NO_TLS = Fault(
    "redis-no-tls",
    "error",
    "The URL says rediss://, and the port speaks no TLS, or none that we speak.",
    "switch TLS on at Redis (tls-port; ElastiCache: encryption in transit), or, where nobody can listen on the way, "
    f"write redis:// in {_SETTING}",
)
NOT_ENCRYPTED = Fault(
    "redis-not-encrypted",
    "warn",
    "What Redis is told, its password included, crosses the network in the clear.",
    f"switch encryption in transit on, and write rediss:// in {_SETTING}",
)
UNTRUSTED = Fault(
    "redis-untrusted-certificate",
    "error",
    "Redis's certificate was not signed by an authority that we trust.",
    f"{_OPENSSL}  # then set ARAGORA_REDIS_SSL_CA_CERTS to its authority's PEM file",
)
WRONG_NAME = Fault(
    "redis-wrong-host-name",
    "error",
    "Redis's certificate was made for another name than the one in the URL.",
    f"connect to a name that the certificate has: {_OPENSSL} | openssl x509 -noout -ext subjectAltName",
)
EXPIRED = Fault(
    "redis-expired-certificate",
    "error",
    "The time of Redis's certificate is over, or has not begun.",
    f"{_OPENSSL} | openssl x509 -noout -dates  # renew it, or set the clock",
)
NO_ROOT = Fault(
    "redis-no-root-certificate",
    "error",
    "The file with the authority to trust does not exist.",
    "set ARAGORA_REDIS_SSL_CA_CERTS to a PEM file that is there",
)
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
    "ACL SETUSER {user} ~aragora:* &aragora:* +@all -@admin -@dangerous +info",
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


def _settings(examination: Examination) -> Iterator[Finding]:
    try:
        access = examination.redis
        access.check()
        yield ok(f"{access.mode}: {', '.join(map(str, access.addresses))}")
    except ConfigurationError as error:
        yield SETTINGS_REFUSED.found(str(error))


def _port(examination: Examination) -> Iterator[Finding]:
    for address in examination.redis.addresses:
        values = {"host": address.host or address.path, "port": address.port}
        problem = resolve(address)
        if problem and not address.path:
            yield UNKNOWN_HOST.found(problem, **values)
            continue
        try:
            connect(address, examination.seconds).close()
        except (ConnectionRefusedError, FileNotFoundError) as error:
            yield CLOSED_PORT.found(f"{address}: {reason(error)}", **values)
        except OSError as error:
            yield NO_ANSWER.found(f"{address}: {reason(error)}", **values)
        else:
            yield ok(f"{address} accepts connections")


def _tls(examination: Examination) -> Iterator[Finding]:
    access = examination.redis
    if access.mode == "sentinel":
        yield skipped("Sentinels are asked in the clear; whether their primary speaks TLS shows when we log in")
        return
    for address in access.addresses:
        values = {"host": address.host, "port": address.port}
        if not access.url.tls:
            if not address.path and _speaks_tls(address, examination.seconds):
                yield NEEDS_TLS.found(f"{address} speaks TLS, and the URL says redis://")
            elif not address.local:
                yield NOT_ENCRYPTED.found(f"connections to {address} are not encrypted")
            else:
                yield ok(f"{address} is this machine; connections are not encrypted")
            continue
        verify = tls.Verification.NAME if access.url.verify else tls.Verification.NONE
        try:
            made = tls.context(verify, access.authority)
            if access.url.certfile:
                made.load_cert_chain(access.url.certfile, access.url.keyfile)
            plain = connect(address, examination.seconds)
            with closing(plain), closing(made.wrap_socket(plain, server_hostname=address.host)) as connection:
                yield ok(f"{address} speaks {connection.version()}" + ("" if access.url.verify else ", not verified"))
        except FileNotFoundError:
            yield NO_ROOT.found(f"{access.authority} does not exist")
        except ssl.SSLCertVerificationError as error:
            fault = {"name": WRONG_NAME, "expired": EXPIRED}.get(tls.REFUSALS.get(error.verify_code, ""), UNTRUSTED)
            yield fault.found(f"the certificate of {address} is refused: {error.verify_message}", **values)
        except OSError as error:
            code = getattr(error, "reason", None) or type(error).__name__
            yield NO_TLS.found(f"TLS with {address} failed: {code}")


def _speaks_tls(address: Address, seconds: float) -> bool:
    """Whether nothing but TLS is understood. A plain Redis answers a plain PING, if only with ``-NOAUTH``."""
    with suppress(OSError), closing(connect(address, seconds)) as connection:
        connection.sendall(b"PING\r\n")
        if connection.recv(1) in {b"+", b"-"}:
            return False
    try:
        made = tls.context(tls.Verification.NONE, None)
        plain = connect(address, seconds)
        with closing(plain), closing(made.wrap_socket(plain, server_hostname=address.host)):
            return True
    except OSError:
        return False


def _login(examination: Examination) -> Iterator[Finding]:
    from redis.exceptions import AuthenticationError, NoPermissionError  # noqa: PLC0415 -- an extra

    from aragora_db.shared.client import REDIS_ERRORS  # noqa: PLC0415 -- imports redis-py

    access = examination.redis
    user = access.url.username or "default"
    try:
        access.ping()
    except AuthenticationError:
        if access.url.password is None:
            yield NO_PASSWORD.found(f"Redis asks for a password, and {_SETTING} has none")
        else:
            yield WRONG_PASSWORD.found(f"Redis does not accept the password of the user {user}")
    except NoPermissionError:
        yield NOT_PERMITTED.found(f"the user {user} may not even PING", user=user)
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


_AFTER_SETTINGS = ("redis-settings",)

CHECKS = (
    Check(
        "redis-settings",
        "Can what names Redis be used?",
        _settings,
        (SETTINGS_REFUSED,),
        for_redis,
        ("settings", "extras"),
    ),
    Check(
        "redis-port",
        "Is its name known, and does its port accept connections?",
        _port,
        (UNKNOWN_HOST, CLOSED_PORT, NO_ANSWER),
        for_redis,
        _AFTER_SETTINGS,
        30,
    ),
    Check(
        "redis-tls",
        "Is the connection encrypted, and its certificate trusted?",
        _tls,
        (NEEDS_TLS, NO_TLS, NOT_ENCRYPTED, UNTRUSTED, WRONG_NAME, EXPIRED, NO_ROOT),
        for_redis,
        ("redis-port",),
        30,
    ),
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
