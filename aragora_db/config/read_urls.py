"""ARAGORA_DB_READ_URLS: which replicas there are, each completed from the primary's DSN."""

from __future__ import annotations

from typing import Final

from pydantic import SecretStr

from aragora_db.config.dsn import Dsn, parse_dsn
from aragora_db.config.fields import DatabaseFields
from aragora_db.config.masking import scheme_only
from aragora_db.errors import ConfigurationError

__all__ = ["completed", "parse_read_urls", "read_urls"]

_VARIABLE: Final = "ARAGORA_DB_READ_URLS"
# Where a server is, as opposed to how to talk to it and who we are.
_PLACE: Final = frozenset({"host", "hostaddr", "load_balance_hosts", "port", "target_session_attrs"})


def read_urls(settings: DatabaseFields, primary: Dsn) -> tuple[Dsn, ...]:
    """The replicas' DSNs as they were written, in order; none when the variable is not set.

    Args:
        settings: the settings.
        primary: the primary's DSN.

    Raises:
        ConfigurationError: the primary is not PostgreSQL, or a URL is not one of a single PostgreSQL server. Nothing of
            a URL but its scheme is shown.
    """
    found = parse_read_urls(settings.read_urls)
    if found and primary.backend != "postgresql":
        raise ConfigurationError(
            f"{_VARIABLE} names {len(found)} replicas, but the database is {primary.masked}, which has none; unset "
            f"{_VARIABLE}, or name the PostgreSQL primary with ARAGORA_POSTGRES_DSN or DATABASE_URL"
        )
    return found


def parse_read_urls(text: SecretStr | None) -> tuple[Dsn, ...]:
    """Parse ARAGORA_DB_READ_URLS, as far as that is possible without the primary's DSN.

    Args:
        text: the variable's value.

    Raises:
        ConfigurationError: a URL is not one of a single PostgreSQL server.
    """
    if text is None:
        return ()
    texts = [part for each in text.get_secret_value().split(",") if (part := each.strip())]
    for number, each in enumerate(texts, start=1):
        if "://" not in each:
            raise ConfigurationError(
                f"part {number} of {_VARIABLE}, which is cut at its commas, has no postgresql:// in front. List "
                "replicas one by one, postgresql://first:5432,postgresql://second:5432, and not several hosts in one "
                "URL; a comma inside a password is written %2C"
            )
    return tuple(_one(each, number) for number, each in enumerate(texts, start=1))


def completed(replica: Dsn, primary: Dsn) -> Dsn:
    """The replica's DSN with what it leaves out taken from the primary's: all but host and port.

    Another user's password is not taken.
    """
    taken = {name: value for name, value in primary.parameters.items() if name not in _PLACE}
    if replica.parameters.get("user") not in {None, primary.parameters.get("user")}:
        taken.pop("password", None)
    return Dsn("postgresql", {**taken, **replica.parameters}, replica.ours)


def _one(text: str, number: int) -> Dsn:
    name = f"URL {number} of {_VARIABLE}"
    dsn = parse_dsn(text, variable=name)
    if dsn.backend != "postgresql":
        raise ConfigurationError(f"{name} ({scheme_only(text)}) is no PostgreSQL URL, and only PostgreSQL has replicas")
    host = dsn.parameters.get("host") or dsn.parameters.get("hostaddr") or ""
    if not host or "," in host:
        raise ConfigurationError(
            f"{name} must name one host and names {'several' if host else 'none'}: list replicas one by one, separated "
            "by commas, each with postgresql:// in front"
        )
    return dsn
