"""The application without a socket, whose every answer is held against its own OpenAPI document; and real processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import jsonschema
import psycopg
import pytest

from aragora_db.config import Settings
from aragora_db.database import Database
from aragora_db.health import app
from aragora_db.health.checks import all_checks
from aragora_db.health.drain import Drain
from aragora_db.testing.binaries import find_postgres, find_redis
from aragora_db.testing.plugin import missing
from aragora_db.testing.process import ServerProcess, launch, log_path, server_account
from aragora_db.testing.servers import PostgresAddress, RedisAddress, start_postgresql, start_redis
from aragora_db.testing.workspace import make_workspace, remove_workspace

HANG_SECONDS = 60.0


class Client:
    """Speaks to an application in this process. Each answer's status and body must be what the document says."""

    def __init__(self, application: Any, prefix: str = "") -> None:
        self.application = application
        self._prefix = prefix
        self._document: dict[str, Any] | None = None

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request."""
        answer = self.ask_all([(method, path, options)])[0]
        if self._document is None:
            self._document = self.ask_all([("GET", "/openapi.json", {})])[0].json()
        hold_against(self._document, method, path, answer)
        return answer

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


@pytest.fixture(autouse=True)
def patient_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that is busy with other tests two seconds are no sign of anything. A test of hangs sets its own."""
    for check in all_checks(Database("sqlite://")):
        monkeypatch.setattr(type(check), "timeout", HANG_SECONDS)


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


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Poll until a condition holds, with a bound that only a hang reaches."""

    def wait(what: str, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + HANG_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"gave up waiting for {what}"
            time.sleep(0.02)

    return wait


# -- servers that break on demand -------------------------------------------------------------------------------------


@dataclass
class OwnPostgres:
    """A PostgreSQL that a test may kill, freeze and start again."""

    folder: Path
    server: ServerProcess
    address: PostgresAddress

    @property
    def url(self) -> str:
        """Where it is."""
        return self.address.admin_url

    def kill(self) -> None:
        """End it, with its children, without a goodbye."""
        self.server.stop()

    def start(self) -> None:
        """Start it again: the same data, the same address."""
        command = [Path(self.address.bindir) / "postgres", "-D", self.folder / "postgresql" / "data"]
        home = self.folder / "postgresql"
        process = launch(command, home, server_account())
        self.server = ServerProcess("PostgreSQL", process, log_path(home), signal.SIGQUIT)
        self.server.wait_until(self._answers)

    def freeze(self) -> None:
        """Stop every process of it where it stands: connections stay open, nobody answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        leader = self.server.process.pid
        os.kill(leader, number)  # first, so that no child is born meanwhile
        for entry in Path("/proc").iterdir():
            with suppress(OSError, ValueError, IndexError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == leader:
                    os.kill(int(entry.name), number)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


@pytest.fixture
def workspace() -> Iterator[Path]:
    """A folder for servers of a test's own."""
    folder = make_workspace(server_account())
    yield folder
    remove_workspace(folder)


@pytest.fixture
def own_postgres(workspace: Path) -> Iterator[OwnPostgres]:
    """A PostgreSQL of this test alone."""
    binaries = find_postgres()
    if binaries is None:
        missing("no PostgreSQL to start; see docs/guide/testing.md")
    server, address = start_postgresql(binaries, workspace, server_account())
    own = OwnPostgres(workspace, server, address)
    yield own
    with suppress(ProcessLookupError):
        own.thaw()
    own.kill()


@dataclass
class OwnRedis:
    """A Redis that a test may freeze and kill."""

    server: ServerProcess
    address: RedisAddress

    @property
    def url(self) -> str:
        """Where it is."""
        return self.address.url

    def freeze(self) -> None:
        """Connections stay open, nobody answers."""
        self.server.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        self.server.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it."""
        self.server.stop()


@pytest.fixture
def own_redis(workspace: Path) -> Iterator[OwnRedis]:
    """A Redis of this test alone."""
    binary = find_redis()
    if binary is None:
        missing("no Redis to start; see docs/guide/testing.md")
    server, address = start_redis(binary, workspace, server_account())
    own = OwnRedis(server, address)
    yield own
    with suppress(ProcessLookupError):
        own.thaw()
    own.kill()


# -- `aragora-db serve` -----------------------------------------------------------------------------------------------


@dataclass
class Process:
    """A running `aragora-db serve`."""

    process: subprocess.Popen[bytes]
    log: Path
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        """Find where it listens."""
        deadline = time.monotonic() + HANG_SECONDS
        while not (found := [line for line in self.lines() if "listening on" in line.get("message", "")]):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)
        self.client = httpx.Client(base_url=found[0]["message"].split()[-1], timeout=HANG_SECONDS)

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

    def end(self) -> None:
        """Whatever happened."""
        self.client.close()
        self.process.kill()
        self.process.wait()


def _command(*options: str, env_file: str | None = None) -> list[str]:
    before = ["--env-file", env_file] if env_file else []
    return [sys.executable, "-P", "-m", "aragora_db", *before, "serve", *options]


def _environment(variables: dict[str, str]) -> dict[str, str]:
    """Nothing of this process's settings, and these."""
    return {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}} | variables


@pytest.fixture
def run_serve(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `aragora-db serve` to its end, which has to come by itself: for wrong use."""

    def run(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            _command(*options),
            cwd=tmp_path,
            env=_environment(variables | {"COLUMNS": "300"}),
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=False,
        )

    return run


@pytest.fixture
def start_serve(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts `aragora-db serve` on a free port: ``start_serve("--drain-seconds", "1", DATABASE_URL=url)``."""
    with ExitStack() as stack:

        def start(*options: str, env_file: str | None = None, **variables: str) -> Process:
            log = tmp_path / f"serve{len(list(tmp_path.iterdir()))}.log"
            with log.open("wb") as output:
                process = subprocess.Popen(
                    _command("--port", "0", *options, env_file=env_file),
                    cwd=tmp_path,
                    env=_environment(variables),
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            stack.callback(process.wait)
            stack.callback(process.kill)
            running = Process(process, log)
            stack.callback(running.client.close)
            return running

        yield start


@pytest.fixture
def secrets_of() -> Callable[[str], set[str]]:
    """What of a URL no anonymous caller may learn: host, port, user, password, database, file."""

    def parts(url: str) -> set[str]:
        split = urlsplit(url)
        words = {split.hostname, str(split.port or ""), split.username, split.password, split.path.strip("/")}
        return {word for word in words if word and word not in {"0", "postgres"}} | {url}

    return parts
