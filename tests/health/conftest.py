"""The application without a socket, whose every answer is held against its own OpenAPI document; and real processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import jsonschema
import psycopg
import pytest
import support
from support import HANG_SECONDS, clean_environment

from aragora_db.cli import main
from aragora_db.config import Settings
from aragora_db.database import Database
from aragora_db.operate.health import app
from aragora_db.operate.health.checks import HealthCheck, all_checks
from aragora_db.operate.health.context import Drain
from aragora_db.testing.binaries import find_postgres, find_redis
from aragora_db.testing.plugin import missing
from aragora_db.testing.process import ServerProcess, launch, log_path, server_account
from aragora_db.testing.servers import start_postgresql, start_redis
from aragora_db.testing.workspace import make_workspace, remove_workspace


class Client:
    """Speaks to an application in this process. Each answer's status and body must be what the document says."""

    def __init__(self, application: Any, prefix: str = "") -> None:
        self.application = application
        self._prefix = prefix
        self._document: dict[str, Any] | None = None

    @property
    def document(self) -> dict[str, Any]:
        """The application's OpenAPI document."""
        if self._document is None:
            self._document = self.ask_all([("GET", "/openapi.json", {})])[0].json()
        return self._document

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request."""
        answer = self.ask_all([(method, path, options)])[0]
        self.hold(method, path, answer)
        return answer

    def hold(self, method: str, path: str, answer: httpx.Response) -> None:
        """Fail unless the answer is one that the OpenAPI document announces."""
        hold_against(self.document, method, path, answer)

    def ask_all(self, requests: list[tuple[str, str, dict[str, Any]]]) -> list[httpx.Response]:
        """Several requests at once."""

        async def speak() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self.application, client=("198.51.100.7", 4711))
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                return await asyncio.gather(
                    *(client.request(method, self._prefix + path, **options) for method, path, options in requests)
                )

        return asyncio.run(speak())

    def get(self, path: str, **options: Any) -> httpx.Response:
        """A GET."""
        return self.ask("GET", path, **options)

    def post(self, body: Any, **options: Any) -> httpx.Response:
        """A debate."""
        headers = {"Content-Type": "application/json", **options.pop("headers", {})}  # httpx sends no body for None
        return self.ask("POST", "/api/v1/debates", content=json.dumps(body), headers=headers, **options)


def hold_against(document: dict[str, Any], method: str, path: str, answer: httpx.Response) -> None:
    """Whether an answer is one that the OpenAPI document announces."""
    path = path.partition("?")[0]
    known = document["paths"].get(path)
    if known is None and path.startswith("/api/v1/debates/"):
        known = document["paths"]["/api/v1/debates/{id}"]
    operation = (known or {}).get(method.lower())
    if operation is None:
        assert answer.status_code in {404, 405}
        schema = {"$ref": "#/components/schemas/Error"}
    else:
        announced = operation["responses"][str(answer.status_code)]
        content = announced["content"][answer.headers["content-type"].partition(";")[0]]
        for name in announced.get("headers", {}):
            assert name in answer.headers
        schema = content["schema"]
    if answer.headers["content-type"] == "application/json":
        jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(answer.json())


@pytest.fixture(scope="session")
def checks() -> list[type[HealthCheck]]:
    """The class of every check."""
    database = Database("sqlite://")
    kinds = [type(check) for check in all_checks(database)]
    database.close()
    return kinds


@pytest.fixture(autouse=True)
def patient_checks(checks: list[type[HealthCheck]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait long for every check: two seconds prove nothing on a busy machine. A test of hangs sets its own time."""
    for check in checks:
        monkeypatch.setattr(check, "timeout", HANG_SECONDS)


@dataclass(frozen=True)
class Served:
    """An application over a database."""

    db: Database
    drain: Drain
    client: Client


@pytest.fixture
def serve_app() -> Iterator[Callable[..., Served]]:
    """Makes the application over a database of its own: ``serve_app(url, health_token="x")``."""
    with ExitStack() as stack:

        def make(url: str | None, secrets: Any = None, **settings: Any) -> Served:
            where = {} if url is None else {"database_url": url}
            db = Database(Settings.explicit(**where, **settings), secrets=secrets)
            stack.callback(db.close)
            drain = Drain()
            return Served(db, drain, Client(app(db, drain=drain)))

        yield make


@pytest.fixture
def served(dialect: str, fresh_databases: Any, serve_app: Callable[..., Served]) -> Served:
    """The application over a new database of either kind; operators' token ``operators only``."""
    return serve_app(fresh_databases.url(dialect), health_token="operators only")  # noqa: S106 -- of this test


# -- servers that break on demand -------------------------------------------------------------------------------------


@dataclass
class OwnServer:
    """A server that a test may kill, freeze and start again.

    Attributes:
        url: where it listens, after a restart too.
        server: its process.
        folder: its working folder.
        accepts: whether it accepts connections.
    """

    url: str
    server: ServerProcess
    folder: Path
    accepts: Callable[[], bool]

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self.server.process.poll() is None

    def kill(self) -> None:
        """End it at once, with its children."""
        self.thaw()  # a process that is stopped would not hear of it
        self.server.stop()

    def start(self) -> None:
        """Start it again: the same data, the same address."""
        old = self.server
        process = launch(old.process.args, self.folder, server_account())
        self.server = ServerProcess(old.name, process, log_path(self.folder), old.stop_signal)
        self.server.wait_until(self.accepts)

    def freeze(self) -> None:
        """Stop every process of it where it stands: connections stay open, nobody answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal(signal.SIGCONT)

    def restore(self) -> None:
        """Undo what a test did: it runs, and answers."""
        self.thaw()
        if not self.running:
            self.start()

    def _signal(self, number: signal.Signals) -> None:
        if not self.running:
            return
        leader = self.server.process.pid
        os.kill(leader, number)  # first, so that no child is born meanwhile
        for entry in Path("/proc").iterdir():
            with suppress(OSError, ValueError, IndexError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == leader:
                    os.kill(int(entry.name), number)


@pytest.fixture(scope="session")
def workspace() -> Iterator[Path]:
    """A folder for servers of this folder's own."""
    folder = make_workspace(server_account())
    yield folder
    remove_workspace(folder)


@pytest.fixture(scope="session")
def one_postgres(workspace: Path) -> Iterator[OwnServer]:
    """A PostgreSQL that tests may break, made once."""
    binaries = find_postgres()
    if binaries is None:
        missing("no PostgreSQL to start; see docs/guide/testing.md")
    server, address = start_postgresql(binaries, workspace, server_account())

    def accepts() -> bool:
        with suppress(psycopg.OperationalError):
            psycopg.connect(address.admin_url, connect_timeout=2).close()
            return True
        return False

    own = OwnServer(address.admin_url, server, workspace / "postgresql", accepts)
    try:
        with psycopg.connect(address.admin_url, autocommit=True) as connection:
            # The harness's `off` loses what was committed shortly before a test kills the server, migrations too.
            connection.execute("ALTER SYSTEM SET synchronous_commit = on")
            connection.execute("SELECT pg_reload_conf()")
        yield own
    finally:
        own.kill()


@pytest.fixture
def own_postgres(one_postgres: OwnServer) -> Iterator[OwnServer]:
    """A PostgreSQL that this test alone uses; whatever it does to it is undone."""
    one_postgres.restore()
    yield one_postgres
    one_postgres.thaw()


@pytest.fixture(scope="session")
def one_redis(workspace: Path) -> Iterator[OwnServer]:
    """A Redis that tests may break, made once."""
    binary = find_redis()
    if binary is None:
        missing("no Redis to start; see docs/guide/testing.md")
    server, address = start_redis(binary, workspace, server_account())
    at = urlsplit(address.url)

    def accepts() -> bool:
        with suppress(OSError), socket.create_connection((at.hostname, at.port), timeout=HANG_SECONDS) as connection:
            connection.settimeout(HANG_SECONDS)
            connection.sendall(b"PING\r\n")
            return connection.recv(7) == b"+PONG\r\n"
        return False

    own = OwnServer(address.url, server, workspace / "redis", accepts)
    yield own
    own.kill()


@pytest.fixture
def own_redis(one_redis: OwnServer) -> Iterator[OwnServer]:
    """A Redis that this test alone uses; whatever it does to it is undone."""
    one_redis.restore()
    yield one_redis
    one_redis.thaw()


# -- `aragora-db serve` -----------------------------------------------------------------------------------------------


@dataclass
class Process:
    """A running `aragora-db serve`."""

    process: subprocess.Popen[bytes]
    log: Path
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        """Find where it listens."""
        found = support.eventually(self._listens, "aragora-db serve says where it listens")
        self.client = httpx.Client(base_url=found, timeout=HANG_SECONDS)

    def _listens(self) -> str | None:
        assert self.process.poll() is None, self.log.read_text()
        said = (line["message"].split()[-1] for line in self.lines() if "listening on" in line.get("message", ""))
        return next(said, None)

    @property
    def url(self) -> str:
        """Where it listens."""
        return str(self.client.base_url)

    def lines(self) -> list[dict[str, Any]]:
        """The log so far; every line must be JSON."""
        text = self.log.read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def status(self, path: str = "/readyz") -> int:
        """The status of an answer; 0 without one."""
        try:
            return self.client.get(path).status_code
        except httpx.TransportError:
            return 0


@contextmanager
def running_serve(folder: Path, *options: str, prelude: str = "", **variables: str) -> Iterator[Process]:
    """Run `aragora-db serve` on a free port, and end it whatever happens.

    Args:
        folder: where it runs, and where its log goes.
        *options: of the command.
        prelude: Python to run before the command in the same process, such as shorter timeouts.
        **variables: its environment.
    """
    program = ["-c", f"{prelude}\nfrom aragora_db.cli import main\nmain()"] if prelude else ["-m", "aragora_db"]
    command = [sys.executable, "-P", *program, "serve", "--port", "0", *options]
    log = folder / f"serve{len(list(folder.iterdir()))}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=clean_environment(**variables),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        running = Process(process, log)
        with running.client:
            yield running
    finally:
        process.kill()
        process.wait(HANG_SECONDS)


@pytest.fixture(scope="session", name="running_serve")
def running_serve_fixture() -> Callable[..., AbstractContextManager[Process]]:
    """`running_serve`, for fixtures of modules."""
    return running_serve


@pytest.fixture
def start_serve(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts `aragora-db serve` on a free port: ``start_serve("--drain-seconds", "1", DATABASE_URL=url)``."""
    with ExitStack() as stack:
        yield lambda *options, **more: stack.enter_context(running_serve(tmp_path, *options, **more))


@pytest.fixture
def main_in_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Runs `aragora-db` in this process with no other settings than these: ``(exit code, stderr)``."""

    def run(*arguments: str, **variables: str) -> tuple[int, str]:
        for name in os.environ.keys() - clean_environment().keys() - {"PYTEST_CURRENT_TEST"}:
            monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("COLUMNS", "300")
        monkeypatch.chdir(tmp_path)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return ended.value.code, capsys.readouterr().err

    return run


@pytest.fixture
def secrets_of() -> Callable[[str], set[str]]:
    """What of a URL no anonymous caller may learn: host, port, user, password, database, file."""

    def parts(url: str) -> set[str]:
        split = urlsplit(url)
        words = {split.hostname, str(split.port or ""), split.username, split.password, split.path.strip("/")}
        return {word for word in words if word and word not in {"0", "postgres"}} | {url}

    return parts
