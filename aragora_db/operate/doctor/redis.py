"""Redis: what names it, its port and TLS; whether it lets us in, and keeps what it is told for as long as it should."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any, Final

from aragora_db.errors import ConfigurationError
from aragora_db.operate.doctor import tls
from aragora_db.operate.doctor.address import ServerAddress, connect, reason, resolve_host
from aragora_db.operate.doctor.check import DoctorCheck, Fault, Finding, for_redis, ok, skipped
from aragora_db.operate.doctor.context import DoctorContext
from aragora_db.operate.doctor.redis_client import RedisAccess

__all__ = ["CHECKS", "MINIMUM", "judge_memory", "judge_version"]

MINIMUM: Final = 6

_SETTING: Final = "ARAGORA_REDIS_URL"
_SENTINELS: Final = "ARAGORA_REDIS_SENTINEL_TLS"
_GREETING_SECONDS: Final = 2.0
_OPENSSL: Final = "openssl s_client -connect {host}:{port} -showcerts </dev/null"

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
    "The settings ask for no TLS, and the port speaks TLS only.",
    f"write rediss:// instead of redis:// in {_SETTING}  # for Sentinels: export {_SENTINELS}=true",
)
NO_TLS = Fault(
    "redis-no-tls",
    "error",
    "The settings ask for TLS, and the port speaks none, or none that we speak.",
    "switch TLS on at Redis (tls-port; ElastiCache: encryption in transit), or, where nobody can listen on the way, "
    f"write redis:// in {_SETTING}  # for Sentinels: export {_SENTINELS}=false",
)
NOT_ENCRYPTED = Fault(
    "redis-not-encrypted",
    "warn",
    "What Redis is told, its password included, crosses the network in the clear.",
    f"switch encryption in transit on, and write rediss:// in {_SETTING}  # for Sentinels: export {_SENTINELS}=true",
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


def _needs_secret(context: DoctorContext) -> tuple[str, ...]:
    settings = context.settings
    return ("secrets",) if settings.use_secrets_manager and settings.redis_url is None else ()


def _settings(context: DoctorContext) -> Iterator[Finding]:
    try:
        access = context.redis
        access.check()
        yield ok(f"{access.mode}: {', '.join(map(str, access.addresses))}")
    except ConfigurationError as error:
        yield SETTINGS_REFUSED.found(str(error))


def _port(context: DoctorContext) -> Iterator[Finding]:
    for address in context.redis.addresses:
        values = {"host": address.host or address.path, "port": address.port}
        problem = resolve_host(address)
        if problem and not address.path:
            yield UNKNOWN_HOST.found(problem, **values)
            continue
        try:
            connect(address, context.seconds).close()
        except (ConnectionRefusedError, FileNotFoundError) as error:
            yield CLOSED_PORT.found(f"{address}: {reason(error)}", **values)
        except OSError as error:
            yield NO_ANSWER.found(f"{address}: {reason(error)}", **values)
        else:
            yield ok(f"{address} accepts connections")


def _tls(context: DoctorContext) -> Iterator[Finding]:
    access = context.redis
    for address in access.addresses:
        if not access.tls:
            if not address.path and _speaks_tls(address, context.seconds):
                yield NEEDS_TLS.found(f"{address} speaks TLS, and the settings ask for none")
            elif not address.local:
                yield NOT_ENCRYPTED.found(f"connections to {address} are not encrypted")
            else:
                yield ok(f"{address} is this machine; connections are not encrypted")
            continue
        yield _encrypted(access, address, context.seconds)


def _encrypted(access: RedisAccess, address: ServerAddress, seconds: float) -> Finding:
    verify = tls.TlsVerification.NAME if access.url.verify else tls.TlsVerification.NONE
    try:
        made = tls.client_context(verify, access.authority)
        if access.url.certfile:
            made.load_cert_chain(access.url.certfile, access.url.keyfile)
        plain = connect(address, seconds)
        plain.settimeout(_GREETING_SECONDS)
        with closing(plain), closing(made.wrap_socket(plain, server_hostname=address.host)) as connection:
            return ok(f"{address} speaks {connection.version()}" + ("" if access.url.verify else ", not verified"))
    except FileNotFoundError:
        return NO_ROOT.found(f"{access.authority} does not exist")
    except ssl.SSLCertVerificationError as error:
        fault = {"name": WRONG_NAME, "expired": EXPIRED}.get(tls.REFUSALS.get(error.verify_code, ""), UNTRUSTED)
        return fault.found(
            f"the certificate of {address} is refused: {error.verify_message}", host=address.host, port=address.port
        )
    except TimeoutError:
        # A plain Redis takes the greeting for the beginning of a command, and waits for its end.
        return NO_TLS.found(
            f"{address} did not answer TLS's greeting within {_GREETING_SECONDS:g} s: it probably speaks no TLS"
        )
    except OSError as error:
        return NO_TLS.found(f"TLS with {address} failed: {getattr(error, 'reason', None) or reason(error)}")


def _speaks_tls(address: ServerAddress, seconds: float) -> bool:
    """Whether nothing but TLS is understood. A plain Redis answers a plain PING, if only with ``-NOAUTH``."""
    with suppress(OSError), closing(connect(address, seconds)) as connection:
        connection.sendall(b"PING\r\n")
        if connection.recv(1) in {b"+", b"-"}:
            return False
    try:
        made = tls.client_context(tls.TlsVerification.NONE, None)
        plain = connect(address, seconds)
        with closing(plain), closing(made.wrap_socket(plain, server_hostname=address.host)):
            return True
    except OSError:
        return False


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


def _login(context: DoctorContext) -> Iterator[Finding]:
    from redis.exceptions import AuthenticationError, NoPermissionError  # noqa: PLC0415 -- the extra `redis` may be missing

    from aragora_db.shared.client import REDIS_ERRORS  # noqa: PLC0415 -- as above

    access = context.redis
    user = access.url.username or "default"
    try:
        access.read()
    except AuthenticationError:
        if access.url.password is None:
            yield NO_PASSWORD.found(f"Redis asks for a password, and {_SETTING} has none")
        else:
            yield WRONG_PASSWORD.found(f"Redis does not accept the password of the user {user}")
    except NoPermissionError:
        namespace = context.settings.redis_namespace
        yield NOT_PERMITTED.found(
            f"the user {user} may not PING, or not read keys of {namespace}:", user=user, namespace=namespace
        )
    except REDIS_ERRORS as error:
        yield LOGIN_FAILED.found(f"Redis answers with {type(error).__name__}")
    else:
        yield ok(f"answers, as the user {user}")


def _memory(context: DoctorContext) -> Iterator[Finding]:
    from redis.exceptions import NoPermissionError  # noqa: PLC0415 -- the extra `redis` may be missing

    try:
        nodes = context.redis.info()
    except NoPermissionError:
        yield skipped("this user may not run INFO", "redis-cli INFO  # as an administrator")
        return
    for info in nodes:
        yield judge_version(str(info["redis_version"]))
        if info.get("role") == "slave" and context.redis.mode == "standalone":
            yield REPLICA.found("INFO says role:slave")
        yield from judge_memory(info)


CHECKS = (
    DoctorCheck(
        "redis-settings",
        "Can what names Redis be used?",
        _settings,
        (SETTINGS_REFUSED,),
        for_redis,
        ("settings", "extras"),
        needs_here=_needs_secret,
    ),
    DoctorCheck(
        "redis-port",
        "Is its name known, and does its port accept connections?",
        _port,
        (UNKNOWN_HOST, CLOSED_PORT, NO_ANSWER),
        for_redis,
        ("redis-settings",),
        30,
    ),
    DoctorCheck(
        "redis-tls",
        "Is the connection encrypted, and its certificate trusted?",
        _tls,
        (NEEDS_TLS, NO_TLS, NOT_ENCRYPTED, UNTRUSTED, WRONG_NAME, EXPIRED, NO_ROOT),
        for_redis,
        ("redis-port",),
        30,
    ),
    DoctorCheck(
        "redis-login",
        "Do user and password let us in?",
        _login,
        (WRONG_PASSWORD, NO_PASSWORD, NOT_PERMITTED, LOGIN_FAILED),
        for_redis,
        ("redis-tls",),
        30,
    ),
    DoctorCheck(
        "redis-memory",
        "Is it new enough, a primary, and large enough?",
        _memory,
        (OLD, REPLICA, EVICTING, NO_EVICTION),
        for_redis,
        ("redis-login",),
        30,
    ),
)
