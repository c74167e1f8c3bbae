"""The way to Redis: what names it, its port, and TLS."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Final

from aragora_db.errors import ConfigurationError
from aragora_db.operate.doctor import tls
from aragora_db.operate.doctor.address import Address, connect, reason, resolve
from aragora_db.operate.doctor.check import Check, for_redis
from aragora_db.operate.doctor.context import Examination
from aragora_db.operate.doctor.finding import Fault, Finding, ok
from aragora_db.operate.doctor.redis_client import RedisAccess

__all__ = ["CHECKS"]

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


def _needs_secret(examination: Examination) -> tuple[str, ...]:
    settings = examination.settings
    return ("secrets",) if settings.use_secrets_manager and settings.redis_url is None else ()


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
    for address in access.addresses:
        if not access.tls:
            if not address.path and _speaks_tls(address, examination.seconds):
                yield NEEDS_TLS.found(f"{address} speaks TLS, and the settings ask for none")
            elif not address.local:
                yield NOT_ENCRYPTED.found(f"connections to {address} are not encrypted")
            else:
                yield ok(f"{address} is this machine; connections are not encrypted")
            continue
        yield _encrypted(access, address, examination.seconds)


def _encrypted(access: RedisAccess, address: Address, seconds: float) -> Finding:
    verify = tls.Verification.NAME if access.url.verify else tls.Verification.NONE
    try:
        made = tls.context(verify, access.authority)
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


CHECKS = (
    Check(
        "redis-settings",
        "Can what names Redis be used?",
        _settings,
        (SETTINGS_REFUSED,),
        for_redis,
        ("settings", "extras"),
        needs_here=_needs_secret,
    ),
    Check(
        "redis-port",
        "Is its name known, and does its port accept connections?",
        _port,
        (UNKNOWN_HOST, CLOSED_PORT, NO_ANSWER),
        for_redis,
        ("redis-settings",),
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
)
