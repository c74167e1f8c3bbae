"""The words that settings with a fixed vocabulary accept, and what each of them means."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

__all__ = ["Backend", "Environment", "PoolerChoice", "SslMode"]

# The five of the Database Setup Guide. libpq also knows `allow`; the guide leaves it out, and so do we: it tries
# an unencrypted connection first, which no deployment wants.
SslMode = Literal["disable", "prefer", "require", "verify-ca", "verify-full"]

PoolerChoice = Literal["auto", "none", "session", "transaction"]


class Backend(StrEnum):
    """Which database is meant. Spelled in any case; ``postgres`` and ``supabase`` are ``postgresql``."""

    AUTO = "auto"
    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"

    @classmethod
    def _missing_(cls, value: object) -> Backend | None:
        return _BACKENDS.get(value.strip().lower()) if isinstance(value, str) else None


class Environment(StrEnum):
    """What kind of deployment this is. Spelled in any case, with the usual short forms.

    A word that is not listed is an error: taking it for ``development`` would switch the production guards off.
    """

    DEVELOPMENT = "development"
    TEST = "test"
    STAGING = "staging"
    PRODUCTION = "production"

    @classmethod
    def _missing_(cls, value: object) -> Environment | None:
        return _ENVIRONMENTS.get(value.strip().lower()) if isinstance(value, str) else None


_BACKENDS: Final = {
    "auto": Backend.AUTO,
    "sqlite": Backend.SQLITE,
    "postgres": Backend.POSTGRESQL,
    "postgresql": Backend.POSTGRESQL,
    "supabase": Backend.POSTGRESQL,
}

_ENVIRONMENTS: Final = {
    "dev": Environment.DEVELOPMENT,
    "development": Environment.DEVELOPMENT,
    "test": Environment.TEST,
    "testing": Environment.TEST,
    "stage": Environment.STAGING,
    "staging": Environment.STAGING,
    "live": Environment.PRODUCTION,
    "prod": Environment.PRODUCTION,
    "production": Environment.PRODUCTION,
}
