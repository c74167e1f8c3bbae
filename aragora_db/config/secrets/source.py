"""What a source of secrets offers, and how the text of one secret is read. No error of this module shows any of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Protocol, cast, runtime_checkable

from aragora_db.config import validators
from aragora_db.config.dsn import Dsn
from aragora_db.config.masking import shown
from aragora_db.errors import ConfigurationError

__all__ = ["DATABASE_NAMES", "RotatingSource", "SecretSource", "read_secret"]

DATABASE_NAMES: Final = frozenset({"ARAGORA_POSTGRES_DSN", "DATABASE_URL"})
_ENGINES: Final = frozenset({"aurora-postgresql", "postgres", "postgresql"})
_MEND: Final = 'store a JSON object whose values are strings, such as {"DATABASE_URL": "postgresql://..."}'


@runtime_checkable
class SecretSource(Protocol):
    """Something that keeps secrets under the names of environment variables."""

    def get(self, name: str) -> str | None:
        """Look a secret up.

        Args:
            name: the name of the environment variable the secret stands in for, such as ``DATABASE_URL``.

        Returns:
            The secret, or None when there is none of that name.
        """
        ...


@runtime_checkable
class RotatingSource(SecretSource, Protocol):
    """A source whose secrets change while we run. Its methods are called from any thread."""

    def refresh(self) -> bool:
        """Ask again now, whatever is cached.

        Returns:
            Whether a secret is another one than before.
        """
        ...

    def health(self) -> dict[str, Any]:
        """How the source is, for a health check: JSON, without content and without names of hosts. Never raises.

        Returns:
            ``source`` (its kind), ``age_seconds`` (of what it answers with; None before the first answer), ``stale``
            (whether it could not be asked the last time) and ``error`` (the error's class or code, or None).
        """
        ...


def read_secret(text: str, secret: str) -> dict[str, str]:
    """Read a secret's text: a JSON object with strings, by the names of environment variables.

    Where it has neither ``ARAGORA_POSTGRES_DSN`` nor ``DATABASE_URL``, a property ``url`` is the latter, and so are
    the properties that RDS writes: ``host``, ``port`` (a number, or text), ``username``, ``password``, ``dbname`` (by
    default ``aragora``) and ``engine``; we add ``sslmode`` (by default ``require``, as for ARAGORA_PG_SSL_MODE).
    An empty value counts as none, like an empty variable.

    Args:
        text: the secret.
        secret: its name, for errors.

    Raises:
        ConfigurationError: naming the secret, and the property if one is wrong; never a value.
    """
    found = _parse(text)
    if found is None:
        # Raised here and not where it was noticed: a JSONDecodeError keeps the whole document.
        raise ConfigurationError(f"the secret {secret} is no JSON object; {_MEND}")
    if "host" in found and type(found.get("port")) is int:
        found["port"] = str(found["port"])
    for name, value in found.items():
        if not isinstance(value, str):
            raise ConfigurationError(f"the secret {secret} has no string under {shown(name)}; {_MEND}")
        if not _is_plain(value):
            raise ConfigurationError(
                f"the secret {secret} has under {shown(name)} what is not UTF-8, or a NUL; mend it"
            )
    values = {name: value for name, value in found.items() if value}
    if not values.keys() & DATABASE_NAMES:
        url = values.get("url") or _url_of_parts(values, secret)
        if url:
            values["DATABASE_URL"] = url
    return values


def _parse(text: str) -> dict[str, Any] | None:
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def _is_plain(value: str) -> bool:
    try:
        validators.plain(value)
    except ValueError:
        return False
    return True


def _url_of_parts(values: Mapping[str, str], secret: str) -> str | None:
    """The URL that RDS's properties make, or None when they are not there.

    https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html
    """
    if not {"host", "username"} <= values.keys():
        return None
    if values.get("engine", "postgres").lower() not in _ENGINES:
        raise ConfigurationError(
            f"the secret {secret} names under engine another database than PostgreSQL; accepted are "
            f"{', '.join(sorted(_ENGINES))}"
        )
    parameters = {
        "host": values["host"],
        "port": values.get("port", "5432"),
        "user": values["username"],
        "password": values.get("password", ""),
        "dbname": values.get("dbname", "aragora"),
        "sslmode": values.get("sslmode", "require"),
    }
    return Dsn("postgresql", {name: value for name, value in parameters.items() if value}).url()
