"""A whole deployment in processes: PostgreSQL, Redis, Secrets Manager (moto) and instances of `aragora-db serve`."""

from __future__ import annotations

import json
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import httpx
import psycopg
import pytest
from psycopg import sql
from support import clean_environment, end_process, eventually

from aragora_db.testing.binaries import PostgresBinaries, find_postgres, find_redis
from aragora_db.testing.plugin import missing
from aragora_db.testing.process import Account, ServerProcess, free_port, launch, log_path, run, server_account
from aragora_db.testing.workspace import (
    give,
    make_workspace,
    readable_postgres,
    readable_program,
    remove_workspace,
    server_folder,
)

SECRET = "aragora/production"  # noqa: S105 -- its name

# Commits survive a killed server; the machine does not crash during a test, so fsync may be off.
POSTGRESQL_CONF = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{folder}'
max_connections = 60
fsync = off
synchronous_commit = on
password_encryption = 'scram-sha-256'
"""


def _wait_for(what: str, condition: Callable[[], bool]) -> float:
    """Poll until it holds; the seconds that it took."""
    started = time.monotonic()
    eventually(condition, what)
    return time.monotonic() - started


@dataclass
class Server:
    """A server that can be killed, and started again with the same data at the same address."""

    name: str
    command: list[str | Path]
    folder: Path
    account: Account | None
    ready: Callable[[], bool]
    process: ServerProcess | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.process = ServerProcess(
            self.name, launch(self.command, self.folder, self.account), log_path(self.folder), signal.SIGQUIT
        )
        self.process.wait_until(self.ready)

    def kill(self) -> None:
        """No goodbye: PostgreSQL's immediate shutdown takes its children along, as a machine's end does."""
        assert self.process is not None
        self.process.stop()


@dataclass
class Instance:
    """One `aragora-db serve`."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self.process.poll() is None

    def status(self, path: str) -> int:
        """The status of an answer; 0 without one."""
        try:
            return httpx.get(f"{self.url}{path}", timeout=10).status_code
        except httpx.TransportError:
            return 0


@dataclass
class Deployment:
    """All of it, and what an operator does to it."""

    folder: Path
    account: Account | None
    postgres: Server = field(init=False)
    redis: Server = field(init=False)
    moto: Server = field(init=False)
    superuser: str = field(init=False, repr=False)
    pg_port: int = field(default_factory=free_port)
    redis_port: int = field(default_factory=free_port)
    moto_port: int = field(default_factory=free_port)
    redis_password: str = field(default_factory=lambda: secrets.token_urlsafe(12), repr=False)
    instances: dict[str, Instance] = field(default_factory=dict)
    wait_for: Callable[..., float] = _wait_for

    def start(self, postgres: PostgresBinaries, redis: Path) -> None:
        """Start the servers."""
        self._start_postgres(postgres)
        self._start_redis(redis)
        folder = server_folder(self.folder, "moto", None)
        command: list[str | Path] = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.moto_port)]
        self.moto = Server("moto", command, folder, None, lambda: _answers(f"http://127.0.0.1:{self.moto_port}/"))
        self.moto.start()

    def _start_postgres(self, binaries: PostgresBinaries) -> None:
        binaries = readable_postgres(binaries, self.folder, self.account)
        folder = server_folder(self.folder, "pg", self.account)
        data = folder / "data"
        made = run(
            [
                *(binaries.bindir / "initdb", f"--pgdata={data}", "--username=postgres", "--auth-local=trust"),
                *("--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"),
            ],
            folder,
            self.account,
        )
        assert made.returncode == 0, made.stderr
        with (data / "postgresql.conf").open("a") as conf:
            conf.write(POSTGRESQL_CONF.format(port=self.pg_port, folder=folder))
        self.superuser = f"host={folder} port={self.pg_port} user=postgres dbname=postgres"
        command: list[str | Path] = [binaries.bindir / "postgres", "-D", data]
        self.postgres = Server("PostgreSQL", command, folder, self.account, self._postgres_answers)
        self.postgres.start()
        self.sql("CREATE ROLE aragora LOGIN")
        self.sql("CREATE DATABASE aragora OWNER aragora")

    def _postgres_answers(self) -> bool:
        try:
            psycopg.connect(self.superuser, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _start_redis(self, program: Path) -> None:
        program = readable_program(program, self.folder, self.account)
        folder = server_folder(self.folder, "redis", self.account)
        conf = folder / "redis.conf"
        conf.write_text(
            f'bind 127.0.0.1\nport {self.redis_port}\ndir "{folder}"\nsave ""\nmaxmemory-policy allkeys-lru\n'
            f"requirepass {self.redis_password}\n"
        )
        give(conf, self.account)
        self.redis = Server("Redis", [program, conf], folder, self.account, lambda: _listens(self.redis_port))
        self.redis.start()

    def sql(self, statement: str | sql.Composed, *values: Any, dbname: str = "postgres") -> list[tuple[Any, ...]]:
        """What a superuser does, or sees."""
        with psycopg.connect(self.superuser, dbname=dbname, autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def rotate(self, password: str) -> None:
        """As a rotation does: the role first, then the secret."""
        self.sql(sql.SQL("ALTER ROLE aragora PASSWORD {}").format(sql.Literal(password)))
        content = {
            "DATABASE_URL": f"postgresql://aragora:{password}@127.0.0.1:{self.pg_port}/aragora?sslmode=disable",
            "ARAGORA_REDIS_URL": f"redis://:{self.redis_password}@127.0.0.1:{self.redis_port}/0",
        }
        client = boto3.session.Session("testing", "testing", region_name="us-east-1").client(
            "secretsmanager", endpoint_url=f"http://127.0.0.1:{self.moto_port}"
        )
        try:
            client.put_secret_value(SecretId=SECRET, SecretString=json.dumps(content))
        except client.exceptions.ResourceNotFoundException:
            client.create_secret(Name=SECRET, SecretString=json.dumps(content))
        client.close()

    def environment(self) -> dict[str, str]:
        """What stands in /etc/aragora/env: no password at all."""
        variables = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.moto_port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_REGION": "us-east-1",
            "ARAGORA_USE_SECRETS_MANAGER": "true",
            "ARAGORA_DB_BACKEND": "postgresql",
            "ARAGORA_DB_POOL_SIZE": "8",
            "ARAGORA_DB_POOL_OVERFLOW": "4",
            "ARAGORA_DB_CONNECT_TIMEOUT": "2",
            "ARAGORA_REQUIRE_DISTRIBUTED": "true",
            "ARAGORA_MULTI_INSTANCE": "true",
            "ARAGORA_SINGLE_INSTANCE": "false",
            "ARAGORA_ENV": "production",
            "ARAGORA_HEALTH_TOKEN": "operators-only",
        }
        return clean_environment(**variables)

    def serve(self, *names: str) -> list[Instance]:
        """Start the instances that do not run, and wait until all are ready."""
        for name in names:
            if name not in self.instances or not self.instances[name].running:
                self.instances[name] = self._start_instance(name)
        wanted = [self.instances[name] for name in names]
        for each in wanted:
            _wait_for(f"instance {each.name} is ready; see {each.log}", lambda each=each: each.status("/readyz") == 200)
        return wanted

    def _start_instance(self, name: str) -> Instance:
        port, log = free_port(), self.folder / f"{name}.log"
        command = [sys.executable, "-P", "-m", "aragora_db", "serve", "--port", str(port), "--drain-seconds", "1"]
        with log.open("ab") as output:
            process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment(), stdout=output, stderr=output, start_new_session=True
            )
        return Instance(name, port, process, log)

    def repair(self) -> None:
        """Start the servers that a failed test left dead."""
        for server in (self.postgres, self.redis):
            if server.process is None or server.process.process.poll() is not None:
                server.start()

    def stop(self) -> None:
        """Stop everything at once."""
        with ExitStack() as stack:
            for name in ("postgres", "redis", "moto"):
                server: Server | None = getattr(self, name, None)
                if server is not None and server.process is not None:
                    stack.callback(server.process.stop)
            for instance in self.instances.values():
                stack.callback(end_process, instance.process)


def _answers(url: str) -> bool:
    try:
        httpx.get(url, timeout=5)
    except httpx.TransportError:
        return False
    return True


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def _deployment() -> Iterator[Deployment]:
    postgres, redis = find_postgres(), find_redis()
    if postgres is None:
        missing(
            "no PostgreSQL to start here: neither this machine's nor an embedded one. Install the package postgresql"
        )
    if redis is None:
        missing("no Redis to start here: neither on this machine nor embedded. Install the package redis-server")
    account = server_account()
    folder = make_workspace(account)
    made = Deployment(folder, account)
    try:
        made.start(postgres, redis.path)
        made.rotate("first-password")
        yield made
    finally:
        made.stop()
        remove_workspace(folder)


@pytest.fixture
def deployment(_deployment: Deployment) -> Deployment:
    """Servers that run. All tests share them, the database, and the instances that were not stopped."""
    _deployment.repair()
    return _deployment


@pytest.fixture
def instances(deployment: Deployment) -> list[Instance]:
    """Two instances that are ready."""
    return deployment.serve("a", "b")
