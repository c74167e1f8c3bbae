"""Databases with settings of a test's own, a proxy that breaks connections on demand, and plain observers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from sqlalchemy import text
from support import HANG_SECONDS

from aragora_db.config import Settings
from aragora_db.engine import watchdog
from aragora_db.testing.engines import EngineCase, EngineDatabase


class Proxy:
    """A TCP proxy in front of a server that can fall silent, hang up, or do so around a COMMIT.

    Attributes:
        url: the server's URL, through the proxy.
        at_commit: what to do when a client sends COMMIT. ``cut`` hangs up before the server has seen it; ``lose`` hangs
            up after the server has answered and before the client hears it; ``freeze`` passes it on and falls silent.
        sent: every chunk that clients sent, in order.
        commits: how many COMMITs clients sent.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._upstream = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = url.replace(f"{parts.hostname}:{parts.port}", f"127.0.0.1:{port}")
        self.at_commit: str | None = None
        self.sent: list[bytes] = []
        self.commits = 0
        self._flowing = threading.Event()
        self._flowing.set()
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def freeze(self) -> None:
        """Keep every connection open and pass nothing on."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Pass everything on again, also what piled up."""
        self._flowing.set()

    def cut(self) -> None:
        """Hang up on everybody, now."""
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End every thread."""
        self.at_commit = None
        self.thaw()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(HANG_SECONDS)
        for each in self._sockets:
            each.close()
        assert not any(thread.is_alive() for thread in self._threads), "a thread of the proxy hangs"

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._upstream, HANG_SECONDS)
            server.settimeout(None)  # `_backward` waits for as long as the connection is open
            self._sockets += [client, server]
            pair = _Pair(client, server)
            for pump in (self._forward, self._backward):
                thread = threading.Thread(target=pump, args=(pair,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _forward(self, pair: _Pair) -> None:
        for data in pair.chunks(pair.client):
            self._flowing.wait(HANG_SECONDS)
            self.sent.append(data)
            # Whole, as psycopg sends it: a simple query whose text is COMMIT.
            if b"COMMIT\x00" in data:
                self.commits += 1
                if self.at_commit == "cut":
                    break
                if self.at_commit is not None:
                    pair.silent = True
                    pair.hang_up_on_answer = self.at_commit == "lose"
            if not pair.send(pair.server, data):
                break
        pair.hang_up()

    def _backward(self, pair: _Pair) -> None:
        for data in pair.chunks(pair.server):
            self._flowing.wait(HANG_SECONDS)
            if pair.silent:
                if pair.hang_up_on_answer:
                    break
                continue
            if not pair.send(pair.client, data):
                break
        pair.hang_up()


class _Pair:
    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.silent = self.hang_up_on_answer = False

    @staticmethod
    def chunks(source: socket.socket) -> Iterator[bytes]:
        with suppress(OSError):
            while data := source.recv(65536):
                yield data

    @staticmethod
    def send(destination: socket.socket, data: bytes) -> bool:
        try:
            destination.sendall(data)
        except OSError:
            return False
        return True

    def hang_up(self) -> None:
        for each in (self.client, self.server):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy_to() -> Iterator[Callable[[str], Proxy]]:
    """Puts a `Proxy` in front of the server of a URL."""
    with ExitStack() as stack:

        def make(url: str) -> Proxy:
            proxy = Proxy(url)
            stack.callback(proxy.close)
            return proxy

        yield make


@pytest.fixture
def open_database() -> Iterator[Callable[..., EngineDatabase]]:
    """Opens a database through an engine with settings of the test's own: ``open_database(case, url, pool_size=1)``.

    ``fractions`` are timeouts below a second. The settings do not accept them; a test should not wait longer.
    """
    with ExitStack() as stack:

        def make(
            case: EngineCase, url: str, *, fractions: dict[str, float] | None = None, **settings: Any
        ) -> EngineDatabase:
            known = Settings.explicit(database_url=url, **settings)
            database = EngineDatabase(known.model_copy(update=fractions) if fractions else known, case)
            stack.callback(database.end)
            return database

        yield make


@pytest.fixture
def observe() -> Iterator[Callable[..., psycopg.Connection[Any]]]:
    """Plain psycopg connections in autocommit mode, to look at a server from outside."""
    with ExitStack() as stack:

        def connect(url: str, **options: Any) -> psycopg.Connection[Any]:
            connection = psycopg.connect(url, autocommit=True, **options)
            stack.callback(connection.close)
            return connection

        yield connect


@pytest.fixture
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the client's timer wait for its limit only, not for a second more."""
    monkeypatch.setattr(watchdog, "GRACE", 0.0)


@pytest.fixture
def show() -> Callable[..., str]:
    """The value of a server setting, as ``SHOW`` inside a unit of work sees it."""

    def read(database: EngineDatabase, name: str, **options: Any) -> str:
        return database.run(lambda session: session.scalar(text(f"SHOW {name}")), **options)

    return read


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each engine of a kind: ``server_case`` (PostgreSQL) or ``file_case`` (SQLite)."""
    from aragora_db.testing.engines import ENGINES  # noqa: PLC0415 -- as the plugin does

    if "server_case" in metafunc.fixturenames:
        metafunc.parametrize("server_case", [case for case in ENGINES if case.server], ids=str)
    if "file_case" in metafunc.fixturenames:
        metafunc.parametrize("file_case", [case for case in ENGINES if not case.server], ids=str)
