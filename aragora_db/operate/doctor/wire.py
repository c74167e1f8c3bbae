"""PostgreSQL's start of a connection, spoken far enough to hear whether TLS is offered and why a login is refused.

libpq reports a refusal as text in the server's language. The server also sends a SQLSTATE, which libpq throws away
(https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP), so doctor asks once more by itself.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import socket
import struct
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["Answer", "ask_for_tls", "log_in"]

_SSL_REQUEST: Final = struct.pack("!ii", 8, 80877103)
_PROTOCOL: Final = 196608  # 3.0
_LET_IN, _CLEARTEXT, _MD5, _SASL, _SASL_CONTINUE, _SASL_FINAL = 0, 3, 5, 10, 11, 12
_PASSED_OVER: Final = frozenset({b"S", b"K", b"N", b"v"})  # parameters, key, notice, protocol version
_LONGEST_MESSAGE: Final = 30_000  # libpq's own limit before the login is done


@dataclass(frozen=True)
class Answer:
    """How a server answered a login.

    Attributes:
        sqlstate: why it refused; empty when it let us in; None when it said nothing that we understand.
        authenticated: whether it had accepted the role and its password by then.
        asked_for_password: whether it wanted one.
    """

    sqlstate: str | None
    authenticated: bool = False
    asked_for_password: bool = False


def ask_for_tls(connection: socket.socket) -> bytes:
    """Send an SSLRequest; ``S`` is yes, ``N`` no, nothing a hang-up, anything else no PostgreSQL.

    Raises:
        OSError: the connection broke, or there was no answer in time.
    """
    connection.sendall(_SSL_REQUEST)
    return connection.recv(1)


def log_in(connection: socket.socket, startup: Mapping[str, str], password: str | None) -> Answer:
    """Log in as libpq would, with SCRAM-SHA-256, MD5 or a password in the clear, and hang up.

    Args:
        connection: a connection to the server, inside TLS where the server wants it.
        startup: ``user``, ``database`` and further startup parameters.
        password: the role's password, or None when there is none.

    Raises:
        OSError: the connection broke, or there was no answer in time.
    """
    body = b"".join(part.encode() + b"\0" for pair in startup.items() for part in pair) + b"\0"
    connection.sendall(struct.pack("!ii", len(body) + 8, _PROTOCOL) + body)
    exchange = _Exchange(startup["user"], password)
    while True:
        kind, payload = _message(connection)
        if kind == b"E":
            return exchange.answer(_sqlstate(payload))
        if kind == b"Z":
            connection.sendall(b"X" + struct.pack("!i", 4))
            return exchange.answer("")
        if kind == b"R":
            reply = exchange.reply(int(struct.unpack_from("!i", payload)[0]), payload[4:])
            if reply is None:
                return exchange.answer(None)
            if reply:
                connection.sendall(b"p" + struct.pack("!i", len(reply) + 4) + reply)
        elif kind not in _PASSED_OVER:
            return exchange.answer(None)


def _message(connection: socket.socket) -> tuple[bytes, bytes]:
    head = _exactly(connection, 5)
    length = int(struct.unpack("!i", head[1:])[0]) - 4
    if not 0 <= length <= _LONGEST_MESSAGE:
        return b"", b""
    return head[:1], _exactly(connection, length)


def _exactly(connection: socket.socket, length: int) -> bytes:
    received = b""
    while len(received) < length:
        piece = connection.recv(length - len(received))
        if not piece:
            raise ConnectionResetError("the server hung up")
        received += piece
    return received


def _sqlstate(payload: bytes) -> str | None:
    fields = {field[:1]: field[1:] for field in payload.split(b"\0") if field}
    return fields[b"C"].decode("ascii", "replace") if b"C" in fields else None


def _md5(user: str, password: str, salt: bytes) -> bytes:
    inner = hashlib.md5(password.encode() + user.encode(), usedforsecurity=False).hexdigest()
    return b"md5" + hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest().encode() + b"\0"


class _Exchange:
    """Who we say we are, and what the server has asked for so far."""

    def __init__(self, user: str, password: str | None) -> None:
        self._user, self._password = user, password
        self._authenticated = self._asked = False
        self._scram = _Scram(password or "")

    def answer(self, sqlstate: str | None) -> Answer:
        """How it ended."""
        return Answer(sqlstate, self._authenticated, self._asked)

    def reply(self, method: int, payload: bytes) -> bytes | None:
        """What to send to an authentication request; nothing when the server does not wait, None when we cannot."""
        self._authenticated = method == _LET_IN
        if method in {_LET_IN, _SASL_FINAL}:
            return b""
        self._asked = self._asked or method in {_CLEARTEXT, _MD5, _SASL}
        if self._password is None:
            return None
        if method == _CLEARTEXT:
            return self._password.encode() + b"\0"
        if method == _MD5:
            return _md5(self._user, self._password, payload[:4])
        if method == _SASL and b"SCRAM-SHA-256" in payload.split(b"\0"):
            first = self._scram.first()
            return b"SCRAM-SHA-256\0" + struct.pack("!i", len(first)) + first
        return self._scram.final(payload) if method == _SASL_CONTINUE else None


class _Scram:
    """A client of SCRAM-SHA-256 (RFC 5802 and 7677), without channel binding."""

    def __init__(self, password: str) -> None:
        self._password = unicodedata.normalize("NFKC", password).encode()
        self._bare = f"n=,r={secrets.token_urlsafe(18)}"

    def first(self) -> bytes:
        """The first message."""
        return f"n,,{self._bare}".encode()

    def final(self, challenge: bytes) -> bytes:
        """The answer to the server's challenge: proof that we know the password."""
        fields = dict(part.split("=", 1) for part in challenge.decode().split(","))
        salted = hashlib.pbkdf2_hmac("sha256", self._password, base64.b64decode(fields["s"]), int(fields["i"]))
        key = hmac.digest(salted, b"Client Key", "sha256")
        unproven = f"c=biws,r={fields['r']}"
        signed = f"{self._bare},{challenge.decode()},{unproven}".encode()
        signature = hmac.digest(hashlib.sha256(key).digest(), signed, "sha256")
        proof = bytes(one ^ other for one, other in zip(key, signature, strict=True))
        return f"{unproven},p={base64.b64encode(proof).decode()}".encode()
