"""Redis servers of a test's own, to be killed, frozen, encrypted or run as a cluster; and `SharedState` over them."""

from __future__ import annotations

import itertools
import secrets
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis

from aragora_db import Database, Settings
from aragora_db.shared import SharedState
from aragora_db.testing.binaries import find_redis
from aragora_db.testing.plugin import missing
from aragora_db.testing.process import Account, ServerProcess, free_port, launch, log_path, server_account
from aragora_db.testing.workspace import give, make_workspace, readable_program, remove_workspace, server_folder


@dataclass
class Server:
    """A Redis of a test's own, on one port for good."""

    program: Path
    folder: Path
    account: Account | None
    options: tuple[str, ...] = ()
    port: int = field(default_factory=lambda: free_port(55_535))  # as a member of a Cluster needs it
    running: ServerProcess | None = None

    @property
    def url(self) -> str:
        """Where it listens, without TLS."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self.running is not None
        return self.running.process.pid

    def start(self) -> Server:
        """Start it, or start it again on the same port."""
        plain = [] if "--tls-port" in self.options else ["--port", str(self.port)]
        command = [self.program, *self.kind(), *plain, "--bind", "127.0.0.1", "--dir", str(self.folder)]
        process = launch([*command, "--save", "", "--appendonly", "no", *self.options], self.folder, self.account)
        self.running = ServerProcess("Redis", process, log_path(self.folder))
        self.running.wait_until(self._listens)
        return self

    def kind(self) -> list[str]:
        """What comes first on the command line."""
        return []

    def stop(self) -> None:
        """Kill it."""
        if self.running is not None:
            with suppress(ProcessLookupError):
                self.running.process.send_signal(signal.SIGCONT)
            self.running.stop()
            self.running = None

    def freeze(self) -> None:
        """Let it hang: it accepts connections, as the kernel does that, and answers nothing."""
        assert self.running is not None
        self.running.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.running is not None
        self.running.process.send_signal(signal.SIGCONT)

    def client(self, **options: Any) -> redis.Redis:
        """A plain client, to look at what is there."""
        return redis.Redis(host="127.0.0.1", port=self.port, protocol=2, **options)

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False


class Sentinel(Server):
    """A Sentinel, which wants its configuration in a file that it may change."""

    def kind(self) -> list[str]:
        """See `Server.kind`."""
        return [str(self.folder / "sentinel.conf"), "--sentinel"]


@dataclass(frozen=True)
class Programs:
    """What all servers of this process share: the redis-server, who runs it, and a folder for their folders."""

    redis_server: Path
    account: Account | None
    workspace: Path
    numbers: Iterator[int] = field(default_factory=itertools.count)


@pytest.fixture(scope="session")
def programs() -> Iterator[Programs]:
    """The redis-server of this machine, where the servers' account can run it."""
    found = find_redis()
    if found is None:
        missing("no Redis here: neither redis-server on PATH nor an embedded one. Install the package redis-server")
    account = server_account()
    workspace = make_workspace(account)
    try:
        yield Programs(readable_program(found.path, workspace, account), account, workspace)
    finally:
        remove_workspace(workspace)


class Servers:
    """Starts Redis servers, and stops them at the end of the test.

    Args:
        programs: asked when the first server is wanted: a test that starts none runs without a redis-server.
    """

    def __init__(self, programs: Callable[[], Programs]) -> None:
        self._programs = programs
        self._all: list[Server] = []

    def new(self, *options: str, kind: type[Server] = Server, files: dict[str, str | bytes] | None = None) -> Server:
        """A server that is not started; ``{folder}`` and ``{port}`` in options and files are its own."""
        programs = self._programs()
        account = programs.account
        folder = server_folder(programs.workspace, f"redis{next(programs.numbers)}", account)
        server = kind(programs.redis_server, folder, account)
        server.options = tuple(each.format(folder=folder, port=server.port) for each in options)
        for name, text in (files or {}).items():
            content = text if isinstance(text, bytes) else text.format(folder=folder, port=server.port).encode()
            (folder / name).write_bytes(content)
            give(folder / name, account)
        self._all.append(server)
        return server

    def start(self, *options: str, **more: Any) -> Server:
        """A server that runs."""
        return self.new(*options, **more).start()

    def sentinel(self, configuration: str, *options: str) -> Server:
        """A Sentinel that runs."""
        return self.start(*options, kind=Sentinel, files={"sentinel.conf": configuration})

    def close(self) -> None:
        """Stop them all."""
        with ExitStack() as stack:
            for server in self._all:
                stack.callback(server.stop)


@pytest.fixture
def servers(request: pytest.FixtureRequest) -> Iterator[Servers]:
    """Redis servers of this test's own."""
    servers = Servers(lambda: request.getfixturevalue("programs"))
    yield servers
    servers.close()


@pytest.fixture
def make(
    fresh_databases,
    servers,  # noqa: ARG001 -- for the order, see below
    monkeypatch,
) -> Iterator[Callable[..., SharedState]]:
    """Makes a `SharedState`, as one instance has it: ``make(url)``, or with a `Database` and with settings.

    They are closed before ``servers`` are killed. A listener would connect again to a Redis that is just dying, and a
    connection reset before its TLS handshake is a socket that CPython's ``SSLSocket._create`` forgets to close.

    Listeners and the breaker are ten times as fast as in production, so that what heals does so in tenths of seconds.
    """
    monkeypatch.setattr("aragora_db.shared.pubsub._POLL_SECONDS", 0.05)
    monkeypatch.setattr("aragora_db.shared.pubsub._RETRY_SECONDS", 0.05)
    with ExitStack() as stack:
        given: list[Database] = []

        def make(
            url: str | None = None, database: Database | None = None, refresh: Any = None, **more: Any
        ) -> SharedState:
            if database is None:
                if not given:
                    given.append(Database(fresh_databases.url("sqlite")))
                    stack.callback(given[0].close)
                database = given[0]
            address = more.pop("redis_url", None) or (lambda: url)
            settings = Settings.explicit(**{"redis_timeout": 0.5, "redis_connect_timeout": 0.5} | more)
            state = SharedState(settings, address, database.transact, refresh)
            state._gateway.breaker._clock = lambda: 10 * time.monotonic()
            stack.callback(state.close)
            return state

        yield make


@pytest.fixture
def instances(make, redis_server) -> Callable[[int], list[SharedState]]:
    """Several instances on the run's Redis, under a namespace that no other test has."""
    namespace = f"test-{secrets.token_hex(6)}"

    def instances(count: int, **more: Any) -> list[SharedState]:
        return [make(redis_server.url, redis_namespace=namespace, **more) for _ in range(count)]

    return instances
