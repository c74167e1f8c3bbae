"""A real Secrets Manager (moto, over HTTP) behind a proxy that tells regions apart, and roles with other passwords."""

from __future__ import annotations

import http.client
import json
import re
import socket
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, urlsplit

import boto3
import psycopg
import pytest
from psycopg import sql
from support import HANG_SECONDS

from aragora_db.config import Dsn, Settings, parse_dsn
from aragora_db.config.secrets.aws import SecretsManager
from aragora_db.testing.process import ServerProcess, free_port, launch, log_path

WEST, EAST = "us-west-2", "us-east-1"

_REGION = re.compile(r"Credential=[^/]+/\d+/([a-z0-9-]+)/")


@dataclass
class Moto:
    """A process that answers like AWS, with helpers that store secrets in it."""

    port: int
    process: ServerProcess
    clients: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Its endpoint."""
        return f"http://127.0.0.1:{self.port}"

    def put(self, name: str, content: Any, region: str = WEST) -> None:
        """Make a secret, or give it a new value; what is no text or bytes becomes JSON."""
        client = self.client(region)
        kind = "SecretBinary" if isinstance(content, bytes) else "SecretString"
        value = {kind: content if isinstance(content, str | bytes) else json.dumps(content)}
        try:
            client.put_secret_value(SecretId=name, **value)
        except client.exceptions.ResourceNotFoundException:
            client.create_secret(Name=name, **value)

    def client(self, region: str) -> Any:
        """A client of its Secrets Manager, one for each region: making one takes 0.1 s."""
        if region not in self.clients:
            self.clients[region] = boto3.session.Session("testing", "testing").client(
                "secretsmanager", region_name=region, endpoint_url=self.url
            )
        return self.clients[region]

    def stop(self) -> None:
        """End the process and close the clients' connections."""
        self.process.stop()
        for client in self.clients.values():
            client.close()


@dataclass
class AwsProxy:
    """Stands in front of moto, counts who asked for what, and makes single regions fail.

    Attributes:
        asked: (region, secret) of every question, in order.
        faults: what a region, or ``"*"``, does instead of answering: ``hang up``, ``deny``, ``login page``.
        gate: while it is clear, answers wait.
    """

    upstream: Callable[[], int]
    asked: list[tuple[str, str]] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    gate: threading.Event = field(default_factory=threading.Event)
    server: Any = None
    connections: set[socket.socket] = field(default_factory=set)

    @property
    def url(self) -> str:
        """What AWS_ENDPOINT_URL has to be."""
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def start(self, port: int = 0) -> None:
        """Listen, on a port of its own choice or on one that it had before."""
        proxy = self
        self.gate.set()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                proxy.connections.add(self.request)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                found = _REGION.search(self.headers.get("Authorization", ""))
                region = found[1] if found else ""
                proxy.asked.append((region, json.loads(body)["SecretId"]))
                proxy.gate.wait(HANG_SECONDS)
                fault = proxy.faults.get(region) or proxy.faults.get("*")
                if fault == "deny":
                    self._answer(400, b'{"__type":"AccessDeniedException","Message":"not you"}')
                elif fault == "login page":
                    self._answer(200, b"<html>Who are you?</html>")
                elif fault is None:
                    self._forward(body)
                else:
                    self.close_connection = True

            def _forward(self, body: bytes) -> None:
                connection = http.client.HTTPConnection("127.0.0.1", proxy.upstream(), timeout=HANG_SECONDS)
                try:
                    connection.request("POST", self.path, body, dict(self.headers))
                    answer = connection.getresponse()
                    self._answer(answer.status, answer.read())
                except OSError:
                    self.close_connection = True
                finally:
                    connection.close()

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Let everybody go, hang up, and refuse new connections."""
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()
        while self.connections:
            with suppress(OSError):  # it may be closed already
                self.connections.pop().shutdown(socket.SHUT_RDWR)


def start_moto(folder, port: int) -> Moto:
    """Start moto's server and wait until it answers."""
    process = ServerProcess(
        "moto",
        launch([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], folder, None),
        log_path(folder),
    )

    def answers() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        try:
            connection.request("GET", "/moto-api/data.json")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    process.wait_until(answers)
    return Moto(port, process)


@pytest.fixture(scope="session")
def shared_moto(tmp_path_factory) -> Iterator[Moto]:
    """A moto for every test: one process, which takes seconds to start."""
    moto = start_moto(tmp_path_factory.mktemp("moto"), free_port())
    yield moto
    moto.stop()


@pytest.fixture(autouse=True)
def _aws_of_nobody(monkeypatch, tmp_path):
    """Credentials that are valid nowhere, and none of this machine's own configuration."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "DATABASE_URL", "ARAGORA_POSTGRES_DSN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


@pytest.fixture
def aws(monkeypatch, shared_moto) -> Iterator[AwsProxy]:
    """AWS as this process sees it."""
    proxy = AwsProxy(lambda: shared_moto.port)
    proxy.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    yield proxy
    proxy.stop()


@pytest.fixture
def secret_name() -> str:
    """The name of a secret that no other test has."""
    return f"aragora/{uuid.uuid4().hex}"


@pytest.fixture
def put(shared_moto) -> Callable[..., None]:
    """Stores a secret: ``put(name, content, region)``."""
    return shared_moto.put


@pytest.fixture
def source(aws, secret_name) -> SecretsManager:  # noqa: ARG001 -- it asks there
    """A source that asks two regions, the west first."""
    return SecretsManager(secret_name, [WEST, EAST], 300)


@dataclass
class Role:
    """A role of the server whose password can be changed."""

    name: str
    url: str
    _admin: psycopg.Connection[Any]

    def dsn(self, password: str) -> str:
        """The DSN with this password."""
        parts = urlsplit(self.url)
        return f"postgresql://{self.name}:{quote(password, safe='')}@{parts.hostname}:{parts.port}{parts.path}"

    def change_password(self, password: str) -> None:
        """Change it on the server; sessions that are logged in stay."""
        self._admin.execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(self.name), sql.Literal(password))
        )


@pytest.fixture
def role(fresh_databases, postgres_server) -> Iterator[Role]:
    """A role that may log in, with the password ``first``, and a database of its own."""
    url = fresh_databases.url("postgresql")
    name = f"r_{uuid.uuid4().hex[:12]}"
    identifier = sql.Identifier(name)
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD 'first'").format(identifier))
        yield Role(name, url, admin)
    with psycopg.connect(postgres_server.admin_url, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [name])
        admin.execute(sql.SQL("DROP ROLE {}").format(identifier))


@pytest.fixture
def settings(secret_name, aws) -> Settings:  # noqa: ARG001 -- they lead there
    """Settings that know nothing but the secret's name."""
    return Settings.explicit(
        use_secrets_manager=True, secret_name=secret_name, aws_region=WEST, secret_regions=EAST, backend="postgresql"
    )


@pytest.fixture
def dsn_of() -> Callable[[str], Dsn]:
    """Reads a DSN."""
    return parse_dsn
