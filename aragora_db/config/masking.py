"""What may be shown of a value in a message, a repr or a log."""

from __future__ import annotations

from typing import Final

__all__ = ["MASK", "scheme_only", "shown"]

MASK: Final = "***"

_LONGEST: Final = 80

# A text before "://" is shown only when it is one of these: a password may contain "://" itself.
_SCHEMES: Final = frozenset(
    {
        "cockroachdb",
        "file",
        "http",
        "https",
        "jdbc:postgresql",
        "mariadb",
        "mssql",
        "mysql",
        "oracle",
        "postgres",
        "postgresql",
        "redis",
        "rediss",
        "sqlite",
    }
)
_DRIVERS: Final = frozenset(
    {"aiosqlite", "asyncpg", "pg8000", "psycopg", "psycopg2", "psycopg_async", "pymysql", "pysqlite"}
)


def scheme_only(text: str) -> str:
    """Mask everything of a URL but a scheme that is known to be one: ``postgresql://***``, else ``***``."""
    scheme, separator, _ = text.strip().partition("://")
    dialect, plus, driver = scheme.lower().partition("+")
    if not separator or dialect not in _SCHEMES or (plus and driver not in _DRIVERS):
        return MASK
    return f"{scheme}://{MASK}"


def shown(value: object) -> str:
    """Render a value that is no secret by its name for a message.

    Something that looks like a URL, or like ``user:password@host``, is masked all the same: a DSN may have been put
    into the wrong variable.
    """
    text = value if isinstance(value, str) else repr(value)
    if "://" in text:
        return scheme_only(text)
    if "@" in text:
        return MASK
    text = ascii(text) if isinstance(value, str) else text
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
