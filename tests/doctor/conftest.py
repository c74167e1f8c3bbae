"""Diagnoses of real servers, in which no secret may show; and servers of the tests' own, to be put out of order."""

from __future__ import annotations

import json
import secrets
import socket
import ssl
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
import pytest
import trustme
import typer
from postgres_tls import postgres_speaks_tls
from psycopg import sql
from support import HANG_SECONDS, eventually

from aragora_db.cli.doctor import register, show
from aragora_db.config import Settings, parse_dsn
from aragora_db.config.variables import variable_of
from aragora_db.operate.doctor import Finding, diagnose, wire
from aragora_db.operate.doctor.checklist import checks
from aragora_db.testing.binaries import find_postgres, find_redis
from aragora_db.testing.fresh import FreshDatabases
from aragora_db.testing.handles import PostgresServer
from aragora_db.testing.plugin import missing
from aragora_db.testing.process import ServerProcess, free_port, launch, log_path, server_account
from aragora_db.testing.servers import start_postgresql
from aragora_db.testing.workspace import give, make_workspace, remove_workspace, server_folder


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove each variable that the settings read, and work where there is no ``.nomic`` and no root certificate."""
    for field in Settings.model_fields.values():
        variable = variable_of(field)
        for name in (variable.name, *variable.aliases):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.chdir(tmp_path)


@dataclass(frozen=True)
class Report:
    """What doctor found."""

    findings: list[Finding]

    def __getitem__(self, name: str) -> Finding:
        """The first finding of that name; an AssertionError shows all of them."""
        found = [finding for finding in self.findings if finding.name == name]
        assert found, f"no {name} among:\n" + "\n".join(
            f"{each.level} {each.name}: {each.message}" for each in self.findings
        )
        return found[0]

    def __contains__(self, name: str) -> bool:
        return any(finding.name == name for finding in self.findings)

    def of(self, check: str) -> list[Finding]:
        """What one check found."""
        return [finding for finding in self.findings if finding.check == check]

    @property
    def errors(self) -> list[str]:
        """The names of what is wrong."""
        return [finding.name for finding in self.findings if finding.level == "error"]


def _secrets(settings: Settings) -> set[str]:
    """Every secret text of the settings, and its percent-encoded form."""
    found = {each.get_secret_value() for name in ("pg_password", "health_token") if (each := getattr(settings, name))}
    for name in ("postgres_dsn", "database_url"):
        value = getattr(settings, name)
        if value is not None:
            with suppress(ValueError):
                found.add(parse_dsn(value.get_secret_value()).parameters.get("password", ""))
    if settings.redis_url is not None:
        found.add(urlsplit(settings.redis_url.get_secret_value()).password or "")
    return {text for secret in found if secret for text in (secret, quote(secret, safe=""))}


@pytest.fixture
def examine(capsys: pytest.CaptureFixture[str]) -> Callable[..., Report]:
    """Runs doctor with these settings. Whatever the fault, no secret may be in the findings or on the terminal."""

    def run(*, urls: Sequence[str] = (), **values: Any) -> Report:
        settings = Settings.explicit(**values)
        findings = diagnose(lambda: settings, urls=urls)
        capsys.readouterr()
        show(findings)
        shown = json.dumps([finding.as_dict() for finding in findings]) + capsys.readouterr().out
        for secret in _secrets(settings):
            assert secret not in shown
        broken = [finding for finding in findings if finding.name == "could-not-be-checked"]
        assert not broken, broken
        by_name = {check.name: check for check in checks()}
        for finding in findings:
            known = {fault.name for fault in by_name[finding.check].faults} | {finding.check, "could-not-be-checked"}
            assert finding.name in known, f"{finding.check} found {finding.name}, which its table does not name"
            assert finding.level in {"ok", "skipped"} or finding.fix, f"{finding.name} says nothing that mends it"
        return Report(findings)

    return run


@pytest.fixture
def doctor_command(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs ``doctor`` with arguments, on settings that a function loads; returns exit code and output."""

    def run(load: Callable[[], Settings], *arguments: str) -> tuple[int, str]:
        app = typer.Typer()
        app.callback()(lambda: None)
        register(app, load)
        capsys.readouterr()
        code = app(["doctor", *arguments], standalone_mode=False)
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port whose queue is full, so that the kernel drops each new connection as a firewall does."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = listener.getsockname()[1]
        for _ in range(8):
            client = stack.enter_context(socket.socket())
            client.settimeout(0)
            with suppress(BlockingIOError):
                client.connect(("127.0.0.1", port))
        yield port


# -- PostgreSQL -------------------------------------------------------------------------------------------------------


@pytest.fixture
def admin(postgres_server) -> Iterator[Callable[..., psycopg.Connection[Any]]]:
    """Administrators' connections in autocommit mode: ``admin(url)``."""
    with ExitStack() as stack:

        def connect(url: str = postgres_server.admin_url) -> psycopg.Connection[Any]:
            connection = psycopg.connect(url, autocommit=True)
            stack.callback(connection.close)
            return connection

        yield connect


ROLES_SQL = Path(__file__).parents[2] / "deploy/postgres/roles.sql"


@dataclass(frozen=True)
class Role:
    """A role without any right but to log in."""

    name: str
    password: str

    def url(self, url: str, **query: str) -> str:
        """The URL of a database for this role instead."""
        parts = urlsplit(url)
        more = "&".join(f"{name}={quote(value, safe='/')}" for name, value in query.items())
        return (
            f"postgresql://{self.name}:{quote(self.password, safe='')}@{parts.hostname}:{parts.port}{parts.path}"
            f"{'?' if more else ''}{more}"
        )


def create_role(server: PostgresServer, options: str = "") -> Role:
    """Create a role that may log in, and nothing else."""
    role = Role(f"doctor_{secrets.token_hex(4)}", f"Zk9/{secrets.token_urlsafe(12)}@")
    statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} ").format(sql.Identifier(role.name), role.password)
    with psycopg.connect(server.admin_url, autocommit=True) as connection:
        connection.execute(statement + sql.SQL(options))
    return role


def drop_role(role: Role, server: PostgresServer, url: str) -> None:
    """Drop a role with what it was granted in a database."""
    database = server.url_for(urlsplit(url).path[1:])
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(role.name)))


def grant_rights(role: Role, url: str) -> None:
    """Give a role the rights of deploy/postgres/roles.sql on a database at head."""
    script = "\n".join(line for line in ROLES_SQL.read_text().splitlines() if not line.startswith("--"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(script.replace(':"app"', f'"{role.name}"'))


@pytest.fixture
def make_role(postgres_server, fresh_databases) -> Iterator[Callable[..., Role]]:  # noqa: ARG001 -- dropped after roles
    """Makes roles, and drops them with what they were granted."""
    with ExitStack() as stack:

        def make(url: str, options: str = "") -> Role:
            role = create_role(postgres_server, options)
            stack.callback(drop_role, role, postgres_server, url)
            return role

        yield make


@pytest.fixture
def app_role(make_role) -> Callable[[str], Role]:
    """A role with the rights of deploy/postgres/roles.sql on a database at head."""

    def make(url: str) -> Role:
        role = make_role(url)
        grant_rights(role, url)
        return role

    return make


@pytest.fixture
def as_application(app_role) -> Callable[[str], str]:
    """The URL of a database for the application: with a role of its own where there are roles."""
    return lambda url: app_role(url).url(url) if parse_dsn(url).parameters else url


@pytest.fixture
def own_healthy_url(fresh_databases, app_role) -> str:
    """A PostgreSQL database at head for a role of the application's; both may be changed."""
    url = fresh_databases.url("postgresql")
    return app_role(url).url(url)


@pytest.fixture(scope="session")
def healthy_url(database_maker, postgres_server) -> Iterator[str]:
    """A PostgreSQL database at head for a role of the application's, for tests that change neither: doctor does not."""
    databases = FreshDatabases(database_maker)
    url = databases.url("postgresql")
    role = create_role(postgres_server)
    grant_rights(role, url)
    yield role.url(url)
    drop_role(role, postgres_server, url)
    databases.drop_all()


class OwnPostgres:
    """A PostgreSQL of these tests' own, whose settings, certificates and clock can be changed.

    It listens on 127.0.0.2 as well, which stands for another machine, and has loaded pg_stat_statements if it has it.
    """

    def __init__(self) -> None:
        binaries = find_postgres()
        if binaries is None:
            missing("no PostgreSQL here. Install the package postgresql")
        self.account = server_account()
        self.workspace = make_workspace(self.account)
        try:
            self._server, self.address = start_postgresql(binaries, self.workspace, self.account)
        except BaseException:
            remove_workspace(self.workspace)
            raise
        self.folder = self.workspace / "postgresql"
        self.data = self.folder / "data"
        self.bindir = Path(self.address.bindir)
        self.port = urlsplit(self.address.admin_url).port
        self.password = urlsplit(self.address.admin_url).password
        self._logged = 0
        self.set(listen_addresses="127.0.0.1,127.0.0.2")
        if self.has("pg_stat_statements"):
            self.set(shared_preload_libraries="pg_stat_statements")
        self.restart()

    def has(self, extension: str) -> bool:
        """Whether ``CREATE EXTENSION`` can find it."""
        with psycopg.connect(self.address.socket_url) as connection:
            query = "SELECT 1 FROM pg_available_extensions WHERE name = %s"
            return connection.execute(query, (extension,)).fetchone() is not None

    def url(self, host: str = "127.0.0.1", dbname: str = "postgres", **query: object) -> str:
        """The superuser's URL."""
        more = "&".join(f"{name}={quote(str(value), safe='/')}" for name, value in query.items())
        return f"postgresql://postgres:{self.password}@{host}:{self.port}/{dbname}{'?' if more else ''}{more}"

    def sql(self, *statements: str) -> None:
        """Run statements as the superuser, over the socket, each for itself."""
        with psycopg.connect(self.address.socket_url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def set(self, **values: str) -> None:
        """``ALTER SYSTEM SET``, and a reload."""
        with psycopg.connect(self.address.socket_url, autocommit=True) as connection:
            for name, value in values.items():
                connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), value))
            connection.execute("SELECT pg_reload_conf()")

    def certify(self, certificate: trustme.LeafCert) -> None:
        """Show this certificate from the next connection on."""
        name = secrets.token_hex(4)
        chain = b"".join(each.bytes() for each in certificate.cert_chain_pems)
        for suffix, content in (("crt", chain), ("key", certificate.private_key_pem.bytes())):
            path = self.data / f"{name}.{suffix}"
            path.write_bytes(content)
            path.chmod(0o600)
            give(path, self.account)
        self.set(ssl="on", ssl_cert_file=f"{name}.crt", ssl_key_file=f"{name}.key")
        eventually(lambda: self._shows(certificate), "the server shows its new certificate")

    def without_tls(self) -> None:
        """Speak no TLS from the next connection on."""
        self.set(ssl="off")
        eventually(lambda: not self._speaks_tls(), "the server speaks no TLS")

    def _speaks_tls(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=HANG_SECONDS) as plain:
            return wire.ask_for_tls(plain) == b"S"

    def _shows(self, certificate: trustme.LeafCert) -> bool:
        wanted = ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", self.port), timeout=HANG_SECONDS) as plain:
            if wire.ask_for_tls(plain) != b"S":
                return False
            with context.wrap_socket(plain) as connection:
                return connection.getpeercert(binary_form=True) == wanted

    def asks_for(self) -> int:
        """The number of the authentication method that a client over TCP is asked for."""
        body = b"user\0postgres\0database\0postgres\0\0"
        with socket.create_connection(("127.0.0.1", self.port), timeout=HANG_SECONDS) as connection:
            connection.sendall(struct.pack("!ii", len(body) + 8, 196608) + body)
            return connection.recv(9)[8]

    @property
    def log(self) -> str:
        """What it has logged since it was started."""
        return log_path(self.folder).read_text(errors="replace")[self._logged :]

    def restart(self, *before: str | Path, ready: Callable[[], bool] | None = None) -> None:
        """Stop it and start it again, perhaps through another program."""
        self._server.stop()
        self._logged = len(log_path(self.folder).read_text(errors="replace"))
        process = launch([*before, self.bindir / "postgres", "-D", self.data], self.folder, self.account)
        self._server = ServerProcess("PostgreSQL", process, log_path(self.folder), self._server.stop_signal)

        def answers() -> bool:
            with suppress(psycopg.OperationalError), psycopg.connect(self.address.socket_url):
                return True
            return False

        self._server.wait_until(ready or answers)

    def close(self) -> None:
        """Stop it and remove it."""
        self._server.stop()
        remove_workspace(self.workspace)


@pytest.fixture(scope="session")
def own_postgres() -> Iterator[OwnPostgres]:
    """A PostgreSQL whose settings tests change; each test undoes what it did."""
    server = OwnPostgres()
    yield server
    server.close()


@pytest.fixture
def certify(own_postgres) -> Iterator[Callable[[trustme.LeafCert], None]]:
    """`OwnPostgres.certify`, for one test."""
    if not postgres_speaks_tls(own_postgres.bindir):
        missing(
            "no PostgreSQL with TLS here: the one that was found was built without it. Install the package postgresql"
        )
    yield own_postgres.certify
    own_postgres.without_tls()


# -- Redis ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def start_redis() -> Iterator[Callable[..., int]]:
    """Starts Redis servers with settings of a test's own; returns the port."""
    binary = find_redis()
    if binary is None:
        missing("no Redis here. Install the package redis-server")
    account = server_account()
    workspace = make_workspace(account)
    with ExitStack() as stack:
        stack.callback(remove_workspace, workspace)

        def start(files: dict[str, bytes] | None = None, *lines: str, tls: bool = False, sentinel: bool = False) -> int:
            folder = server_folder(workspace, f"redis{secrets.token_hex(3)}", account)
            port = free_port(55_535)  # as a member of a Cluster needs it
            for name, content in (files or {}).items():
                (folder / name).write_bytes(content)
                (folder / name).chmod(0o600)
                give(folder / name, account)
            ports = f"port 0\ntls-port {port}" if tls else f"port {port}"
            own = [] if sentinel else ['save ""']
            config = "\n".join([ports, "bind 127.0.0.1", f'dir "{folder}"', "daemonize no", *own, *lines])
            (folder / "redis.conf").write_text(config + "\n")
            (folder / "redis.conf").chmod(0o600)
            give(folder / "redis.conf", account)
            process = launch(
                [binary.path, folder / "redis.conf", *(["--sentinel"] if sentinel else [])], folder, account
            )
            server = ServerProcess("Redis", process, log_path(folder))
            stack.callback(server.stop)
            server.wait_until(
                lambda: (
                    ("Sentinel ID is" if sentinel else "Ready to accept connections")
                    in server.log.read_text(errors="replace")
                )
            )
            return port

        yield start
