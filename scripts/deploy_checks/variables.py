"""Environment variables in the files, checked by the settings themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from dotenv import dotenv_values
from redis.connection import parse_url

from aragora_db.config import Settings
from aragora_db.config.resolve import resolve
from aragora_db.config.variables import variable_of
from aragora_db.errors import ConfigurationError
from deploy_checks.kubernetes import documents, mappings
from deploy_checks.verdict import Refused

__all__ = ["accepted", "known", "names"]

_NAME = re.compile(r"\b(?:ARAGORA_[A-Z0-9_]+|DATABASE_URL|REDIS_URL)\b")
_ENVIRONMENT = re.compile(r'^Environment=(["\']?)(\w+)=(.*)\1$', re.MULTILINE)


def known() -> set[str]:
    """Every name that the settings read."""
    variables = [variable_of(field) for field in Settings.model_fields.values()]
    return {name for variable in variables for name in (variable.name, *variable.aliases)}


def names(file: Path) -> None:
    """Check that every variable a file mentions, comments included, is one that the settings read.

    Raises:
        Refused: naming those that are not.
    """
    if unknown := set(_NAME.findall(file.read_text())) - known():
        raise Refused(f"no setting is called {', '.join(sorted(unknown))}; see docs/reference/environment.md")


def accepted(file: Path) -> None:
    """Check that the settings accept the values a file gives.

    Raises:
        Refused: with what the settings say.
    """
    readable = known()
    values = {name: value for name, value in _values(file) if name in readable}
    try:
        settings = Settings.explicit(**values)
        if settings.database_url or settings.postgres_dsn:
            resolve(settings)
    except ConfigurationError as error:
        raise Refused(str(error)) from None
    if settings.redis_url:
        try:
            parse_url(settings.redis_url.get_secret_value())
        except ValueError as error:
            raise Refused(f"ARAGORA_REDIS_URL: {error}") from None


def _values(file: Path) -> Iterator[tuple[str, str | None]]:
    if file.suffix == ".yaml":
        for mapping in mappings(documents(file)):
            if mapping.get("kind") == "ConfigMap":
                yield from mapping["data"].items()
            elif isinstance(mapping.get("value"), str):
                yield mapping["name"], mapping["value"]
    elif file.suffix == ".example":
        yield from dotenv_values(file, interpolate=False).items()
    else:
        for _quote, name, value in _ENVIRONMENT.findall(file.read_text()):
            yield name, value.replace("%%", "%")
