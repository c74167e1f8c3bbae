"""PostgreSQL connection URIs as libpq reads them: take one apart, put one together.

Only the text is handled here; what the parameters mean is libpq's business.
https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import quote

__all__ = ["UriParts", "build", "split"]

_PLAIN_HOST: Final = re.compile(r"[A-Za-z0-9._-]+")
_IPV6_HOST: Final = re.compile(r"[0-9A-Fa-f]*:[0-9A-Fa-f:.]*")
_PORT: Final = re.compile(r"[0-9]*")


class UriParts(NamedTuple):
    """The text after ``scheme://``, cut where libpq cuts it.

    Attributes:
        front: userinfo with its ``@``, or nothing.
        location: hosts, ports and the database's name.
        query: what follows the ``?``, without it.
    """

    front: str
    location: str
    query: str


def split(rest: str) -> UriParts:
    """Cut the text after ``scheme://`` as libpq does: userinfo ends at the first ``@``, unless a ``/`` comes first."""
    end = next((index for index, character in enumerate(rest) if character in "@/"), len(rest))
    front = rest[: end + 1] if rest[end : end + 1] == "@" else ""
    location, _, query = rest[len(front) :].partition("?")
    return UriParts(front, location, query)


def build(parameters: Mapping[str, str]) -> str:
    """Write parameters as a URI that libpq reads back to the same ones, everything percent-encoded.

    What cannot stand before the ``?`` without changing its meaning (a socket's folder, one port for several hosts,
    a password without a user) goes into the query, where libpq accepts every parameter.
    """
    left = dict(parameters)
    userinfo = ""
    if left.get("user"):
        userinfo = _encode(left.pop("user"))
        if left.get("password"):
            userinfo += ":" + _encode(left.pop("password"))
        userinfo += "@"
    authority = _authority(left.get("host", ""), left.get("port"))
    if authority:
        left.pop("host")
        left.pop("port", None)
    path = "/" + _encode(left.pop("dbname")) if left.get("dbname") else ""
    query = "&".join(f"{_encode(name)}={quote(value, safe='*/:,')}" for name, value in left.items())
    return f"postgresql://{userinfo}{authority}{path or '/'}{'?' if query else ''}{query}"


def _encode(text: str) -> str:
    return quote(text, safe="*")  # "*" needs no escape in a URI, and the mask stays readable


def _authority(host: str, port: str | None) -> str:
    """Hosts and ports as they stand between ``@`` and ``/``, or nothing when that form cannot say the same."""
    hosts = host.split(",")
    ports = [""] * len(hosts) if port is None and len(hosts) == 1 else (port or "").split(",")
    if len(hosts) != len(ports) or (port == "") or not all(_PORT.fullmatch(each) for each in ports):
        return ""
    pieces: list[str] = []
    for name, number in zip(hosts, ports, strict=True):
        if _PLAIN_HOST.fullmatch(name):
            piece = name
        elif _IPV6_HOST.fullmatch(name):
            piece = f"[{name}]"
        else:
            return ""
        pieces.append(f"{piece}:{number}" if number else piece)
    return ",".join(pieces)
