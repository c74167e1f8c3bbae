"""The way to the server, step by step: its name, its port, whether it speaks PostgreSQL and TLS, its certificate."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace

from aragora_db.operate.doctor import tls, wire
from aragora_db.operate.doctor.address import ServerAddress, connect, reason, resolve_host
from aragora_db.operate.doctor.check import DoctorCheck, Fault, Finding, for_server, ok
from aragora_db.operate.doctor.context import DoctorContext

__all__ = ["CHECKS"]

_URLS = "ARAGORA_POSTGRES_DSN, DATABASE_URL"

UNKNOWN_HOST = Fault(
    "unknown-host",
    "error",
    "The name of the server leads nowhere: a typing error, or a private name asked from outside its network.",
    f"getent hosts {{host}}  # and correct the host in {_URLS} or ARAGORA_PG_HOST",
)
CLOSED_PORT = Fault(
    "closed-port",
    "error",
    "The machine answers, and nothing listens on that port: the server is down, or listens on another port or address.",
    f"pg_isready -h {{host}} -p {{port}}  # correct the port in {_URLS} or ARAGORA_PG_PORT, or start the server "
    "(listen_addresses)",
)
NO_ANSWER = Fault(
    "no-answer",
    "error",
    "Nobody answers at all: a security group or firewall drops what we send, or there is no route.",
    "allow inbound TCP {port} from this machine's address in the server's security group or firewall, then: "
    "nc -vz {host} {port}",
)
NO_POSTGRESQL = Fault(
    "not-postgresql",
    "error",
    "Something answers on that port, and it is no PostgreSQL.",
    f"correct the host or the port in {_URLS}, or ARAGORA_PG_HOST and ARAGORA_PG_PORT",
)
NO_TLS = Fault(
    "no-tls",
    "error",
    "The connection must be encrypted (sslmode), and the server does not offer TLS.",
    "switch TLS on at the server (ssl = on, ssl_cert_file, ssl_key_file; RDS: rds.force_ssl = 1), or, where nobody "
    "can listen on the way, set sslmode=disable",
)
NOT_ENCRYPTED = Fault(
    "not-encrypted",
    "warn",
    "Password hashes and rows cross the network in the clear.",
    "set sslmode=require, or better sslmode=verify-full with sslrootcert=/path/to/ca.pem, in the DSN",
)
UNTRUSTED = Fault(
    "untrusted-certificate",
    "error",
    "The server's certificate was not signed by an authority that we trust: the wrong CA file, or another server.",
    "openssl s_client -starttls postgres -connect {host}:{port} -showcerts </dev/null  # then set sslrootcert to "
    "its authority's PEM file (RDS: global-bundle.pem)",
)
WRONG_NAME = Fault(
    "wrong-host-name",
    "error",
    "The certificate is trusted, and was made for another name than the one we connect to.",
    "connect to a name that the certificate has, or have one made with DNS:{host}: openssl s_client -starttls postgres "
    "-connect {host}:{port} </dev/null | openssl x509 -noout -ext subjectAltName",
)
EXPIRED = Fault(
    "expired-certificate",
    "error",
    "The certificate's time is over, or has not begun: renew it, or set this machine's clock.",
    "openssl s_client -starttls postgres -connect {host}:{port} </dev/null | openssl x509 -noout -dates",
)
EXPIRES_SOON = Fault(
    "certificate-expires-soon",
    "warn",
    f"The certificate ends in less than {tls.SOON_DAYS} days. From then on nobody gets in.",
    "renew the server's certificate before then, and reload: SELECT pg_reload_conf()",
)
NO_ROOT = Fault(
    "no-root-certificate",
    "error",
    "sslmode asks to verify the server, and there is no file with the authority to trust.",
    "set sslrootcert=/path/to/ca.pem in the DSN, or sslrootcert=system for public authorities",
)
TLS_FAILED = Fault(
    "tls-failed",
    "error",
    "Both sides know TLS and found no common ground, such as a version: ours is 1.2 at least.",
    "openssl s_client -starttls postgres -connect {host}:{port} </dev/null",
)


def _host(context: DoctorContext) -> Iterator[Finding]:
    found: list[Finding] = []
    known = context.facts["known_hosts"] = list[ServerAddress]()
    for address in context.addresses:
        problem = resolve_host(address)
        if problem:
            found.append(UNKNOWN_HOST.found(problem, host=address.host or address.path))
        else:
            known.append(address)
            found.append(ok(f"{address.path or address.host or address.number} is known"))
    yield from _one_is_enough(found)


def _port(context: DoctorContext) -> Iterator[Finding]:
    found: list[Finding] = []
    opened = context.facts["open_ports"] = list[ServerAddress]()
    for address in context.fact("known_hosts"):
        values = {"host": address.host or address.number or address.path, "port": address.port}
        try:
            connect(address, context.seconds).close()
        except ConnectionRefusedError as error:
            found.append(CLOSED_PORT.found(f"{address}: {reason(error)}", **values))
        except OSError as error:
            found.append(NO_ANSWER.found(f"{address}: {reason(error)}", **values))
        else:
            opened.append(address)
            found.append(ok(f"{address} accepts connections"))
    yield from _one_is_enough(found)


def _one_is_enough(found: list[Finding]) -> list[Finding]:
    """Of several hosts libpq needs one: with that one there, the others are a warning."""
    if any(finding.level == "ok" for finding in found):
        return [replace(finding, level="warn") if finding.level == "error" else finding for finding in found]
    return found


def _tls(context: DoctorContext) -> Iterator[Finding]:
    mode = context.parameters.get("sslmode", "prefer")
    offers: dict[object, bool] = {}
    for address in context.fact("open_ports"):
        with closing(connect(address, context.seconds)) as connection:
            try:
                answer = wire.ask_for_tls(connection)
            except OSError as error:
                yield NO_POSTGRESQL.found(f"{address} does not answer as PostgreSQL does: {reason(error)}")
                continue
        offers[address] = answer == b"S"
        if answer not in {b"S", b"N"}:
            yield NO_POSTGRESQL.found(f"{address} answers, but not as PostgreSQL does")
        elif address.path:
            yield ok(f"{address} is a unix socket: nothing leaves this machine")
        elif answer == b"N" and mode not in {"disable", "allow", "prefer"}:
            yield NO_TLS.found(f"sslmode={mode}, and {address} does not offer TLS")
        elif (answer == b"N" or mode == "disable") and not address.local:
            why = f"sslmode={mode}" + ("" if answer == b"S" else ", and the server does not offer TLS")
            yield NOT_ENCRYPTED.found(f"connections to {address} are not encrypted: {why}")
        elif answer == b"N" or mode == "disable":
            yield ok(f"{address} is this machine; connections are not encrypted (sslmode={mode})")
        else:
            yield ok(f"{address} offers TLS, and sslmode={mode} uses it")
    context.facts["offers_tls"] = offers


def _certificate(context: DoctorContext) -> Iterator[Finding]:
    offers = context.fact("offers_tls")
    for address in context.fact("open_ports"):
        if not offers.get(address):
            continue
        values = {"host": address.host or address.number, "port": address.port}
        try:
            with closing(tls.connect(address, context.parameters, context.seconds)) as connection:
                yield from _accepted(connection, str(address), context)
        except FileNotFoundError as error:
            yield NO_ROOT.found(f"sslmode={context.parameters['sslmode']}, and {error.filename} does not exist")
        except ssl.SSLCertVerificationError as error:
            yield _refused(error, str(address), values)
        except (ssl.SSLError, ConnectionError) as error:
            code = getattr(error, "reason", None) or type(error).__name__
            yield TLS_FAILED.found(f"TLS with {address} failed: {code}", **values)


def _accepted(connection: ssl.SSLSocket, address: str, context: DoctorContext) -> Iterator[Finding]:
    version = connection.version()
    if tls.verification(context.parameters) is tls.TlsVerification.NONE:
        mode = context.parameters.get("sslmode")
        yield ok(f"{address} speaks {version}; whose certificate it is, is not looked at (sslmode={mode})")
        return
    days = tls.days_left(connection)
    if days < tls.SOON_DAYS:
        yield EXPIRES_SOON.found(f"the certificate of {address} ends in {days} days")
    else:
        yield ok(f"{address} speaks {version}, its certificate is trusted and valid for {days} days")


def _refused(error: ssl.SSLCertVerificationError, address: str, values: dict[str, object]) -> Finding:
    kind = tls.REFUSALS.get(error.verify_code, "untrusted")
    # OpenSSL's own words: English, and without any content of ours.
    message = f"the certificate of {address} is refused: {error.verify_message}"
    return {"name": WRONG_NAME, "expired": EXPIRED, "untrusted": UNTRUSTED}[kind].found(message, **values)


def _without_tls(context: DoctorContext) -> str:
    reason_ = for_server(context)
    if reason_:
        return reason_
    with suppress(KeyError):
        if not any(context.facts["offers_tls"].values()):
            return "the connection is not encrypted"
    if context.parameters.get("sslmode") == "disable":
        return "sslmode=disable"
    return ""


CHECKS = (
    DoctorCheck("host", "Is the server's name known?", _host, (UNKNOWN_HOST,), for_server, ("database",)),
    DoctorCheck(
        "port", "Does its port accept connections?", _port, (CLOSED_PORT, NO_ANSWER), for_server, ("host",), 30
    ),
    DoctorCheck(
        "tls",
        "Is it a PostgreSQL, and is the connection encrypted?",
        _tls,
        (NO_POSTGRESQL, NO_TLS, NOT_ENCRYPTED),
        for_server,
        ("port",),
        30,
    ),
    DoctorCheck(
        "certificate",
        "Is its certificate trusted, in time, and made for its name?",
        _certificate,
        (UNTRUSTED, WRONG_NAME, EXPIRED, EXPIRES_SOON, NO_ROOT, TLS_FAILED),
        _without_tls,
        ("tls",),
        30,
    ),
)
