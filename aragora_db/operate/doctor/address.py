"""Where a server is said to be, and the first two steps to it: the name and the port."""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ServerAddress", "connect", "postgresql_addresses", "reason", "resolve_host"]

_SOCKET_FOLDERS = ("/var/run/postgresql", "/tmp")  # noqa: S108 -- Debian's libpq, and everybody else's


@dataclass(frozen=True)
class ServerAddress:
    """A host and a port, or a unix socket.

    Attributes:
        host: the name, as certificates know it; empty for a socket.
        port: the port.
        number: the IP address to connect to when it is given beside the name (libpq's ``hostaddr``).
        path: the unix socket's file.
    """

    host: str
    port: int
    number: str = ""
    path: str = ""

    def __str__(self) -> str:
        return self.path or f"{self.host or self.number}:{self.port}"

    @property
    def local(self) -> bool:
        """Whether nothing leaves this machine on the way there."""
        return bool(self.path) or (self.number or self.host) in {"localhost", "127.0.0.1", "::1"}


def postgresql_addresses(parameters: Mapping[str, str]) -> tuple[ServerAddress, ...]:
    """The hosts of a connection string, in libpq's order."""
    hosts = parameters.get("host", "").split(",")
    numbers = parameters.get("hostaddr", "").split(",")
    ports = (parameters.get("port") or "5432").split(",")
    count = max(len(hosts), len(numbers))
    hosts += [""] * (count - len(hosts))
    numbers += [""] * (count - len(numbers))
    ports = ports * count if len(ports) == 1 else ports + ["5432"] * (count - len(ports))
    return tuple(_address(*each) for each in zip(hosts, numbers, ports, strict=False))


def _address(host: str, number: str, port: str) -> ServerAddress:
    chosen = int(port or 5432)
    if not number and (not host or host.startswith(("/", "@"))):
        folders = (host,) if host else _SOCKET_FOLDERS
        paths = [f"{folder}/.s.PGSQL.{chosen}" for folder in folders]
        return ServerAddress("", chosen, path=next((path for path in paths if Path(path).exists()), paths[-1]))
    return ServerAddress(host, chosen, number)


def resolve_host(address: ServerAddress) -> str:
    """Look the name up.

    Returns:
        Nothing, or why the name leads nowhere.
    """
    if address.path:
        return "" if Path(address.path).exists() else f"there is no socket {address.path}"
    try:
        socket.getaddrinfo(address.number or address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        again = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
        why = "no name server answers for it" if again else "it is not known to DNS or /etc/hosts"
        return f"the host {address.host} cannot be found: {why}"
    return ""


def connect(address: ServerAddress, seconds: float) -> socket.socket:
    """Open a connection.

    Raises:
        ConnectionRefusedError: nothing listens there.
        TimeoutError: nobody answers.
        OSError: another reason, such as no route.
    """
    if address.path:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(seconds)
        try:
            connection.connect(address.path.replace("@", "\0", 1) if address.path.startswith("@") else address.path)
        except OSError:
            connection.close()
            raise
        return connection
    return socket.create_connection((address.number or address.host, address.port), seconds)


def reason(error: OSError) -> str:
    """Why a connection did not come about, in words that do not depend on the machine's language."""
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, TimeoutError):
        return "nobody answers"
    if error.errno in {errno.EHOSTUNREACH, errno.ENETUNREACH}:
        return "there is no way to that network"
    return errno.errorcode.get(error.errno or 0, type(error).__name__)
