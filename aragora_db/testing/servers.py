"""How each kind of server is started: settings for speed and privacy, none of them for keeping data.

Every function takes the run's workspace and the account that servers run as, and returns the process with the address
to reach it at. Addresses are plain values that survive JSON: they travel from the keeper to the tests.
"""

from __future__ import annotations

import secrets
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qs, quote, unquote, urlsplit

from aragora_db.testing.binaries import PgBouncerBinary, PostgresBinaries, RedisBinary
from aragora_db.testing.process import Account, ServerProcess, free_port, launch, log_path, log_tail, run, start_error
from aragora_db.testing.workspace import give, readable_postgres, readable_program, server_folder

__all__ = [
    "PgBouncerAddress",
    "PostgresAddress",
    "RedisAddress",
    "postmaster_is_ready",
    "start_pgbouncer",
    "start_postgresql",
    "start_redis",
]

_HOST = "127.0.0.1"
_PORT_TRIES = 5
_SUPERUSER = "postgres"

# Autovacuum would change statistics, and with them query plans, at times that no test chose.
# The time zone is not UTC on purpose: code that forgets to ask for UTC shows it here, not in production.
_POSTGRESQL_CONF = """
listen_addresses = '{host}'
port = {port}
unix_socket_directories = '{folder}'
unix_socket_permissions = 0700
max_connections = 200
shared_buffers = 128MB
fsync = off
synchronous_commit = off
full_page_writes = off
max_wal_size = 512MB
autovacuum = off
timezone = 'Asia/Kolkata'
log_timezone = 'UTC'
"""

_REDIS_CONF = """
bind {host}
port {port}
unixsocket "{folder}/redis.sock"
unixsocketperm 700
dir "{folder}"
save ""
appendonly no
daemonize no
"""

# `trust` lets in the users of the user list without asking; the list's password opens the server behind.
_PGBOUNCER_INI = """
[databases]
* = host={upstream_host} port={upstream_port}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users.txt
admin_users = {user}
pool_mode = transaction
default_pool_size = 5
max_client_conn = 200
server_tls_sslmode = prefer
"""


@dataclass(frozen=True)
class PostgresAddress:
    """Where a PostgreSQL listens.

    Attributes:
        admin_url: superuser over TCP, with its password.
        socket_url: superuser over the unix socket, without a password.
        bindir: the folder with ``psql`` and ``pg_dump`` of the same version.
        pid: the server's process id.
    """

    admin_url: str = field(repr=False)
    socket_url: str
    bindir: str
    pid: int


@dataclass(frozen=True)
class RedisAddress:
    """Where a Redis listens: ``url`` over TCP, ``socket_url`` over the unix socket."""

    url: str
    socket_url: str
    pid: int


@dataclass(frozen=True)
class PgBouncerAddress:
    """Where a PgBouncer listens, and the user it lets in without a password."""

    host: str
    port: int
    user: str
    pid: int


AddressT = TypeVar("AddressT")


def start_postgresql(
    binaries: PostgresBinaries, workspace: Path, account: Account | None
) -> tuple[ServerProcess, PostgresAddress]:
    """Create a cluster and start it: trust on the unix socket, a random password over TCP.

    Raises:
        AragoraDBError: it did not start; with what ``initdb`` or the server said.
    """
    binaries = readable_postgres(binaries, workspace, account)
    folder = server_folder(workspace, "postgresql", account)
    data = folder / "data"
    password = secrets.token_urlsafe(16)
    password_file = folder / "password"
    _write(password_file, password, account)
    made = run(
        [
            binaries.bindir / "initdb",
            f"--pgdata={data}",
            f"--username={_SUPERUSER}",
            f"--pwfile={password_file}",
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ],
        folder,
        account,
    )
    password_file.unlink()
    if made.returncode != 0:
        raise start_error(
            f"initdb of {binaries.bindir} failed with code {made.returncode}:\n{made.stdout}{made.stderr}"
        )
    defaults = (data / "postgresql.conf").read_text()

    def start(port: int) -> tuple[ServerProcess, PostgresAddress]:
        ours = _POSTGRESQL_CONF.format(host=_HOST, port=port, folder=folder)
        (data / "postgresql.conf").write_text(defaults + ours)
        process = launch([binaries.bindir / "postgres", "-D", data], folder, account)
        # SIGQUIT is PostgreSQL's immediate shutdown; unlike SIGKILL it gives shared memory back.
        server = ServerProcess("PostgreSQL", process, log_path(folder), signal.SIGQUIT)
        server.wait_until(lambda: postmaster_is_ready(data))
        return server, PostgresAddress(
            admin_url=f"postgresql://{_SUPERUSER}:{quote(password, safe='')}@{_HOST}:{port}/postgres",
            socket_url=f"postgresql://{_SUPERUSER}@/postgres?host={quote(str(folder))}&port={port}",
            bindir=str(binaries.bindir),
            pid=process.pid,
        )

    return _on_a_free_port(start, log_path(folder))


def start_redis(binary: RedisBinary, workspace: Path, account: Account | None) -> tuple[ServerProcess, RedisAddress]:
    """Start a Redis that writes nothing to disk.

    Raises:
        AragoraDBError: it did not start; with the end of its log.
    """
    program = readable_program(binary.path, workspace, account)
    folder = server_folder(workspace, "redis", account)

    def start(port: int) -> tuple[ServerProcess, RedisAddress]:
        _write(folder / "redis.conf", _REDIS_CONF.format(host=_HOST, port=port, folder=folder), account)
        process = launch([program, folder / "redis.conf"], folder, account)
        server = ServerProcess("Redis", process, log_path(folder))
        server.wait_until(lambda: _says(server.log, "Ready to accept connections"))
        return server, RedisAddress(
            url=f"redis://{_HOST}:{port}/0", socket_url=f"unix://{folder}/redis.sock?db=0", pid=process.pid
        )

    return _on_a_free_port(start, log_path(folder))


def start_pgbouncer(
    binary: PgBouncerBinary, upstream_url: str, workspace: Path, account: Account | None
) -> tuple[ServerProcess, PgBouncerAddress]:
    """Start a PgBouncer in transaction mode in front of the server at ``upstream_url``.

    It serves every database of that server under its own name, to the URL's user, without asking for a password.

    Raises:
        AragoraDBError: it did not start; with the end of its log.
    """
    folder = server_folder(workspace, "pgbouncer", account)
    upstream = urlsplit(upstream_url)
    query = parse_qs(upstream.query)
    user = unquote(upstream.username or _SUPERUSER)
    _write(folder / "users.txt", f"{_quoted(user)} {_quoted(unquote(upstream.password or ''))}\n", account)

    def start(port: int) -> tuple[ServerProcess, PgBouncerAddress]:
        ini = _PGBOUNCER_INI.format(
            upstream_host=query.get("host", [upstream.hostname or _HOST])[0],
            upstream_port=query.get("port", [upstream.port or 5432])[0],
            host=_HOST,
            port=port,
            folder=folder,
            user=user,
        )
        _write(folder / "pgbouncer.ini", ini, account)
        process = launch([binary.path, folder / "pgbouncer.ini"], folder, account)
        server = ServerProcess("PgBouncer", process, log_path(folder))
        server.wait_until(lambda: _says(server.log, f"listening on {_HOST}:{port}"))
        return server, PgBouncerAddress(host=_HOST, port=port, user=user, pid=process.pid)

    return _on_a_free_port(start, log_path(folder))


def _on_a_free_port(
    start: Callable[[int], tuple[ServerProcess, AddressT]], log: Path
) -> tuple[ServerProcess, AddressT]:
    """Start on a free port; another process may take it between our look and the server's bind, so try again then."""
    for _ in range(_PORT_TRIES - 1):
        try:
            return start(free_port())
        except Exception:
            if "already in use" not in log_tail(log):
                raise
            log.unlink()
    return start(free_port())


def postmaster_is_ready(data: Path) -> bool:
    """What ``pg_ctl`` looks at: the eighth line of ``postmaster.pid`` says when connections are accepted."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[7].strip() == "ready"  # noqa: PLR2004 -- fixed by PostgreSQL's pidfile.h


def _says(log: Path, text: str) -> bool:
    """Whether the log has the line. A connection would not do: it may reach a stranger who took the port first."""
    return text in log.read_text(errors="replace")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _write(path: Path, text: str, account: Account | None) -> None:
    path.write_text(text)
    path.chmod(0o600)
    give(path, account)
