"""The database that the variables themselves name, before any secrets source is asked."""

from __future__ import annotations

from typing import Final

from aragora_db.config.dsn import Dsn, parse_dsn
from aragora_db.config.enums import Backend
from aragora_db.config.fields import DatabaseFields
from aragora_db.errors import ConfigurationError

__all__ = ["DSN_FIELDS", "named_dsn", "names_a_database", "read_named_dsn"]

DSN_FIELDS: Final = {"ARAGORA_POSTGRES_DSN": "postgres_dsn", "DATABASE_URL": "database_url"}
"""The field of each variable that holds a DSN, in order: the first that is set decides, the others are not read."""

_PG_FIELDS: Final = ("pg_host", "pg_port", "pg_database", "pg_user", "pg_password", "pg_ssl_mode")


def names_a_database(settings: DatabaseFields) -> bool:
    """Tell whether the settings themselves say which database, so that no secrets source is asked."""
    return bool(_given_dsn(settings) or _given_pg(settings)) or settings.backend is Backend.SQLITE


def named_dsn(settings: DatabaseFields) -> Dsn | None:
    """Build the DSN from the variables: a DSN's, else ARAGORA_PG_*.

    Returns:
        The database, or None if no variable names one.

    Raises:
        ConfigurationError: a DSN cannot be used, or ARAGORA_DB_BACKEND contradicts what names the database.
    """
    given = _given_dsn(settings)
    if given is not None:
        return read_named_dsn(settings, *given)
    variables = _given_pg(settings)
    if not variables:
        return None
    _agree(settings, "postgresql", variables)
    parameters = {
        "host": settings.pg_host,
        "port": str(settings.pg_port),
        "dbname": settings.pg_database,
        "user": settings.pg_user,
        "sslmode": settings.pg_ssl_mode,
    }
    if settings.pg_password is not None:
        parameters["password"] = settings.pg_password.get_secret_value()
    return Dsn("postgresql", parameters)


def read_named_dsn(settings: DatabaseFields, variable: str, text: str) -> Dsn:
    """Read the DSN that a variable, or a secret of its name, holds.

    Args:
        settings: the settings, for ARAGORA_DB_BACKEND.
        variable: the variable's name, for messages too. ARAGORA_POSTGRES_DSN accepts PostgreSQL only.
        text: the DSN.

    Raises:
        ConfigurationError: it cannot be used, or ARAGORA_DB_BACKEND names the other database.
    """
    dsn = parse_dsn(text, variable=variable)
    if variable.startswith("ARAGORA_POSTGRES_DSN") and dsn.backend != "postgresql":
        raise ConfigurationError(
            f"{variable} ({dsn.masked}) is no PostgreSQL DSN; accepted is "
            "postgresql://user:password@host:5432/database. For SQLite set DATABASE_URL or ARAGORA_DATA_DIR instead"
        )
    _agree(settings, dsn.backend, variable)
    return dsn


def _given_dsn(settings: DatabaseFields) -> tuple[str, str] | None:
    """The variable that holds a DSN, and its text; None if neither is set."""
    for variable, field in DSN_FIELDS.items():
        secret = getattr(settings, field)
        if secret is not None:
            return variable, secret.get_secret_value()
    return None


def _given_pg(settings: DatabaseFields) -> str:
    """The ARAGORA_PG_* that were given, even with their default's value, joined for a message."""
    given = [name for name in _PG_FIELDS if name in settings.model_fields_set and getattr(settings, name) is not None]
    return ", ".join(f"ARAGORA_{name.upper()}" for name in given)


def _agree(settings: DatabaseFields, backend: str, variable: str) -> None:
    """Refuse to choose when ARAGORA_DB_BACKEND says one database and the variable that names it says the other."""
    if settings.backend not in (Backend.AUTO, backend):
        raise ConfigurationError(
            f"ARAGORA_DB_BACKEND is {settings.backend}, but {variable} names a {backend} database; unset one of them, "
            "or set ARAGORA_DB_BACKEND=auto to go by the DSN"
        )
