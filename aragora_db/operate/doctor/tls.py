"""TLS as libpq and redis-py would speak it, with Python's ssl, which says exactly what it does not like."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from enum import Enum, auto
from pathlib import Path
from typing import Final

from aragora_db.operate.doctor import wire
from aragora_db.operate.doctor.address import ServerAddress
from aragora_db.operate.doctor.address import connect as connect_plainly

__all__ = ["REFUSALS", "SOON_DAYS", "TlsVerification", "client_context", "connect", "days_left", "verification"]

SOON_DAYS: Final = 21

# https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/; everything else is a matter of trust.
REFUSALS: Final = {9: "expired", 10: "expired", 62: "name", 63: "name", 64: "name"}

_VERSIONS: Final = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}

_DAY: Final = 86400


class TlsVerification(Enum):
    """How much of the server's certificate is looked at."""

    NONE = auto()
    AUTHORITY = auto()
    NAME = auto()


def verification(parameters: Mapping[str, str]) -> TlsVerification:
    """What libpq verifies. ``require`` is ``verify-ca`` where a root certificate is there, as it was before 8.4."""
    mode = parameters.get("sslmode", "prefer")
    if mode == "verify-full":
        return TlsVerification.NAME
    if mode == "verify-ca" or (mode == "require" and _root(parameters).exists()):
        return TlsVerification.AUTHORITY
    return TlsVerification.NONE


def client_context(
    verify: TlsVerification, authority: Path | None, versions: Mapping[str, str] | None = None
) -> ssl.SSLContext:
    """A client's context: TLS 1.2 at least.

    Args:
        verify: how much of the certificate is looked at.
        authority: a PEM file with the authorities to trust; None trusts the system's.
        versions: ``ssl_min_protocol_version`` and ``ssl_max_protocol_version``, in libpq's words.

    Raises:
        FileNotFoundError: there is no such file.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    given = versions or {}
    made.minimum_version = _VERSIONS.get(given.get("ssl_min_protocol_version", ""), ssl.TLSVersion.TLSv1_2)
    made.maximum_version = _VERSIONS.get(given.get("ssl_max_protocol_version", ""), ssl.TLSVersion.MAXIMUM_SUPPORTED)
    made.check_hostname = verify is TlsVerification.NAME
    made.hostname_checks_common_name = True  # as libpq, for certificates without any alternative name
    made.verify_mode = ssl.CERT_NONE if verify is TlsVerification.NONE else ssl.CERT_REQUIRED
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT  # Python 3.13's default; neither libpq nor redis-py is that strict
    if verify is not TlsVerification.NONE:
        if authority is None:
            made.load_default_certs()
        else:
            made.load_verify_locations(authority)
    return made


def connect(address: ServerAddress, parameters: Mapping[str, str], seconds: float) -> ssl.SSLSocket:
    """Open an encrypted connection to a PostgreSQL, verified as the parameters ask.

    Raises:
        FileNotFoundError: the authority's file is missing.
        ssl.SSLError: the handshake failed; ``SSLCertVerificationError`` says why a certificate was refused.
        OSError: the connection did not come about.
    """
    verify = verification(parameters)
    authority = None if parameters.get("sslrootcert") == "system" else _root(parameters)
    made = client_context(verify, authority, parameters)
    if parameters.get("sslcert"):
        made.load_cert_chain(parameters["sslcert"], parameters.get("sslkey"), parameters.get("sslpassword"))
    plain = connect_plainly(address, seconds)
    try:
        wire.ask_for_tls(plain)
        return made.wrap_socket(plain, server_hostname=address.host or address.number)
    except BaseException:
        plain.close()
        raise


def days_left(connection: ssl.SSLSocket) -> int:
    """Whole days until the verified certificate of the other side ends."""
    certificate = connection.getpeercert() or {}
    return int((ssl.cert_time_to_seconds(str(certificate["notAfter"])) - time.time()) // _DAY)


def _root(parameters: Mapping[str, str]) -> Path:
    given = parameters.get("sslrootcert")
    return Path(given) if given else Path.home() / ".postgresql" / "root.crt"
