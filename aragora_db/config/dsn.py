"""A resolved database target, and how a DSN's text becomes one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal
from urllib.parse import quote, unquote

from aragora_db.config import uri
from aragora_db.config.masking import MASK, scheme_only
from aragora_db.errors import ConfigurationError

__all__ = ["FALSE_WORDS", "TRUE_WORDS", "Dsn", "parse_dsn"]

TRUE_WORDS: Final = frozenset({"1", "on", "true", "yes"})
FALSE_WORDS: Final = frozenset({"0", "false", "no", "off"})

_POSTGRESQL_SCHEMES: Final = frozenset({"postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg_async"})
_SQLITE_SCHEMES: Final = frozenset({"sqlite", "sqlite+aiosqlite", "sqlite+pysqlite"})
_SECRET_PARAMETERS: Final = frozenset(
    {"oauth_client_secret", "password", "scram_client_key", "scram_server_key", "sslpassword"}
)
# https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-SSLMODE
_SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_OURS: Final = frozenset({"pgbouncer", "supa"})  # hints for clients; libpq refuses them
_PORT: Final = re.compile("[1-9][0-9]{0,4}")
_HIGHEST_PORT: Final = 65535


@dataclass(frozen=True, repr=False)
class Dsn:
    """Where the database is. Its text forms are masked, save ``url()`` and ``conninfo()``, which are for drivers.

    Attributes:
        backend: ``sqlite`` or ``postgresql``.
        parameters: libpq's keywords, exactly as libpq's own parser returns them. Empty for SQLite.
        ours: parameters that stood in the DSN for us and that libpq must not see (``pgbouncer``, ``supa``).
        path: the SQLite file, relative to the working directory or absolute; None is a database in memory.
    """

    backend: Literal["sqlite", "postgresql"]
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    ours: Mapping[str, str] = field(default_factory=dict[str, str])
    path: str | None = None

    def __post_init__(self) -> None:
        """Keep copies that nobody can change."""
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))
        object.__setattr__(self, "ours", MappingProxyType(dict(self.ours)))

    def __hash__(self) -> int:
        return hash((self.backend, frozenset(self.parameters.items()), frozenset(self.ours.items()), self.path))

    def __reduce__(self) -> tuple[type[Dsn], tuple[str, dict[str, str], dict[str, str], str | None]]:
        """Pickle and copy through plain dicts: a mapping proxy can do neither."""
        return type(self), (self.backend, dict(self.parameters), dict(self.ours), self.path)

    def __repr__(self) -> str:
        return f"Dsn({self.masked!r})"

    def __str__(self) -> str:
        return self.masked

    @property
    def masked(self) -> str:
        """The URL for people: passwords and keys are ``***``."""
        return self._render({name: MASK if name in _SECRET_PARAMETERS else v for name, v in self.parameters.items()})

    def url(self) -> str:
        """The URL with its password, everything percent-encoded; ``parse_dsn`` turns it into an equal ``Dsn``.

        It carries ``ours`` too. Programs that use libpq want ``conninfo()``.
        """
        return self._render(self.parameters)

    def conninfo(self) -> str:
        """The ``keyword=value`` form of libpq, password included, for psycopg and for PostgreSQL's own programs.

        Raises:
            ConfigurationError: this is SQLite.
        """
        if self.backend != "postgresql":
            raise ConfigurationError(f"{self.masked} is SQLite and has no libpq connection string")
        from psycopg.conninfo import make_conninfo  # noqa: PLC0415 -- SQLite needs no libpq; saves 140 ms

        return make_conninfo(**self.parameters)

    def _render(self, parameters: Mapping[str, str]) -> str:
        if self.backend == "postgresql":
            return uri.build({**parameters, **self.ours})
        return "sqlite://" if self.path is None else f"sqlite:///{quote(self.path, safe='/:')}"


def parse_dsn(text: str, *, variable: str = "The DSN") -> Dsn:
    """Read a DSN.

    ``postgres://``, ``postgresql://``, ``postgresql+psycopg://`` and ``postgresql+psycopg_async://`` are one and are
    read by libpq. ``sqlite:///relative``, ``sqlite:////absolute`` and ``sqlite://`` (in memory) may name the drivers
    ``pysqlite`` or ``aiosqlite``; their path is percent-decoded, as SQLAlchemy does.

    Args:
        text: the DSN. White space around it is ignored (a mounted secret often ends in a newline).
        variable: where it comes from, for the error's message.

    Returns:
        The target.

    Raises:
        ConfigurationError: another scheme, a malformed DSN, or a parameter that libpq does not know. The message
            shows nothing of the DSN but its scheme.
    """
    text = text.strip()
    scheme, separator, rest = text.partition("://")
    try:
        if separator and scheme.lower() in _POSTGRESQL_SCHEMES:
            return _postgresql(rest)
        if separator and scheme.lower() in _SQLITE_SCHEMES:
            return _sqlite(rest)
        reason = "it has no scheme that is accepted"
    except _Unusable as error:
        reason = str(error)
    # Raised here and not above: an exception in __context__ may quote the password.
    raise ConfigurationError(
        f"{variable} ({scheme_only(text)}) cannot be used: {reason}. Accepted are "
        "postgresql://user:password@host:5432/database?sslmode=require (postgres:// and postgresql+psycopg:// "
        "mean the same) and sqlite:///path/to/file.db. In a user name or password percent-encode what is not a letter "
        "or a digit (@ is %40, : %3A, / %2F, % %25, ? %3F, # %23, a space %20), or use ARAGORA_PG_HOST, "
        "ARAGORA_PG_USER and ARAGORA_PG_PASSWORD instead of a DSN: that password is taken as it is"
    )


class _Unusable(Exception):
    """What is wrong with a DSN, without a word of the DSN in it but the name of an unknown parameter."""


def _sqlite(rest: str) -> Dsn:
    if "?" in rest:
        raise _Unusable("an SQLite URL takes no parameters; every setting has a variable of its own")
    if rest and not rest.startswith("/"):
        raise _Unusable("an SQLite URL has three slashes before a relative path and four before an absolute one")
    try:
        path = unquote(rest[1:], errors="strict")
        path.encode()
    except UnicodeError as error:
        raise _Unusable("its path is not valid UTF-8") from error
    if not rest or path == ":memory:":
        return Dsn("sqlite")
    if not path or "\0" in path:
        raise _Unusable("it names no file (sqlite:// alone is a database in memory)")
    if path.startswith("file:"):
        raise _Unusable("file: URIs are not supported")
    return Dsn("sqlite", path=path)


def _postgresql(rest: str) -> Dsn:
    from psycopg import Error  # noqa: PLC0415 -- SQLite needs no libpq; saves 140 ms
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 -- as above

    front, location, query = uri.split(rest)
    # libpq ends the password at the first @ and takes what follows for a host, which would be shown to everybody.
    if "@" in location:
        raise _Unusable(
            "an @ stands where a host or the database's name is expected, as when the password is not encoded"
        )
    try:
        theirs, ours = _divide(query)
        text = f"postgresql://{front}{location}{'?' if theirs else ''}{theirs}"
        parameters = {name: str(value) for name, value in conninfo_to_dict(text).items()}
    except (Error, UnicodeError) as error:  # their texts quote the password
        raise _Unusable("libpq cannot read it") from error
    for port in filter(None, parameters.get("port", "").split(",")):
        # libpq takes the start of a password with a raw "/" for a port, and reports it with its text.
        if not _PORT.fullmatch(port) or int(port) > _HIGHEST_PORT:
            raise _Unusable("a port is not a number from 1 to 65535, as when a / in the password is not encoded")
    if parameters.get("sslmode", "prefer") not in _SSL_MODES:
        raise _Unusable(f"its sslmode is none of {', '.join(_SSL_MODES)}")
    if ours.get("pgbouncer", "true").lower() not in TRUE_WORDS | FALSE_WORDS:
        raise _Unusable("its parameter pgbouncer is neither true nor false")
    return Dsn("postgresql", parameters, ours)


def _divide(query: str) -> tuple[str, dict[str, str]]:
    """Separate libpq's parameters, left as they are, from ours, decoded."""
    from psycopg.pq import Conninfo  # noqa: PLC0415 -- as above

    keywords = {option.keyword.decode() for option in Conninfo.get_defaults()}
    theirs: list[str] = []
    ours: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        name = unquote(name, errors="strict")
        if name in _OURS:
            ours[name] = unquote(value, errors="strict")
        elif name in keywords or pair == "ssl=true":  # libpq reads JDBC's ssl=true as sslmode=require
            theirs.append(pair)
        elif name.isidentifier() and "@" not in query and "password" not in query[: query.index(pair)].lower():
            raise _Unusable(f"libpq knows no parameter {name}")
        else:  # with an @ behind it, or behind a password, this may be a piece of one, which must not be shown
            raise _Unusable("libpq does not know one of its parameters, as when a ? in the password is not encoded")
    return "&".join(theirs), ours
