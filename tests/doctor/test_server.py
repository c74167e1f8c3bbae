"""What kind of server it is: poolers, versions, encodings, rights, replicas, clocks and the room for our pools."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from support import HANG_SECONDS

from aragora_db.operate.doctor.check import Finding
from aragora_db.operate.doctor.clock import judge_clock
from aragora_db.operate.doctor.server import MINIMUM, judge_version
from aragora_db.testing.binaries import find_pgbouncer
from aragora_db.testing.plugin import missing
from aragora_db.testing.process import ServerProcess, free_port, launch, log_path, server_account
from aragora_db.testing.workspace import give, make_workspace, remove_workspace, server_folder

pytestmark = pytest.mark.slow

# -- poolers ----------------------------------------------------------------------------------------------------------

INI = """
[databases]
* = host={host} port={upstream} user=postgres password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = 5
ignore_startup_parameters = options
"""


@pytest.fixture
def pooled(postgres_server) -> Iterator[Callable[[str, str], str]]:
    """Puts a PgBouncer in front of a database: ``pooled(url, "session")``. It passes over our startup options."""
    binary = find_pgbouncer()
    if binary is None:
        missing("no PgBouncer here. Install the package pgbouncer")
    account = server_account()
    workspace = make_workspace(account)
    parts = urlsplit(postgres_server.admin_url)
    with ExitStack() as stack:
        stack.callback(remove_workspace, workspace)

        def start(url: str, mode: str) -> str:
            folder, port = server_folder(workspace, mode, account), free_port()
            path = folder / "pgbouncer.ini"
            path.write_text(
                INI.format(host=parts.hostname, upstream=parts.port, password=parts.password, port=port, mode=mode)
            )
            give(path, account)
            server = ServerProcess("PgBouncer", launch([binary.path, path], folder, account), log_path(folder))
            stack.callback(server.stop)
            server.wait_until(lambda: f"listening on 127.0.0.1:{port}" in server.log.read_text(errors="replace"))
            return f"postgresql://anybody@127.0.0.1:{port}{urlsplit(url).path}"

        yield start


def test_a_transaction_pooler_that_nobody_mentioned(pooled, fresh_databases, examine):
    """Everything works on the laptop of one user; under load statements meet connections that do not know them."""
    url = pooled(fresh_databases.url("postgresql"), "transaction")
    report = examine(database_url=url)
    assert report.errors == ["pooler-not-recognised"]
    assert "different server processes" in report["pooler-not-recognised"].message
    mended = examine(database_url=url, pooler="transaction")
    assert mended.errors == []


def test_a_session_pooler_is_no_fault(pooled, fresh_databases, examine):
    """What is said about it costs prepared statements for nothing."""
    report = examine(database_url=pooled(fresh_databases.url("postgresql"), "session"))
    assert report.errors == []
    assert report["pooler"].message == "a pooler that keeps sessions apart"


# -- version, encoding, rights ----------------------------------------------------------------------------------------


def test_an_old_server(postgres_server):
    """A server that is too old fails somewhere in the middle of a migration.

    No older PostgreSQL than the oldest that will do is at hand here, so that a real server is held against a minimum
    that is one higher than its own version.
    """
    with psycopg.connect(postgres_server.admin_url) as connection:
        number = connection.info.server_version
    major = number // 10_000
    assert judge_version(number).level == "ok"
    old = judge_version(number, minimum=major + 1)
    assert (old.level, old.name) == ("error", "old-server")
    assert f"PostgreSQL {major}." in old.message
    new = judge_version(number, newest=major - 1, minimum=1)
    assert (new.level, new.name) == ("warn", "untested-server")
    assert major >= MINIMUM


def test_another_encoding(postgres_server, make_role, admin, examine):
    """A database in LATIN1 refuses the first emoji that an agent writes."""
    name = postgres_server.unique_name()
    admin().execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    try:
        url = postgres_server.url_for(name)
        report = examine(database_url=make_role(url).url(url))
        assert report["wrong-encoding"].level == "error"
        assert "LATIN1" in report["wrong-encoding"].message
    finally:
        admin().execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def test_a_role_that_may_not_write(fresh_databases, make_role, admin, examine):
    """The migration ran as the owner and nobody granted anything: every page works until the first write."""
    url = fresh_databases.url("postgresql")
    role = make_role(url)
    admin(url).execute(sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}").format(sql.Identifier(role.name)))
    report = examine(database_url=role.url(url))
    assert report.errors == ["no-write-right"]
    assert f"-v app={role.name} -f deploy/postgres/roles.sql" in report["no-write-right"].fix


def test_a_superuser(fresh_databases, examine):
    """The application needs none of it, and an injection would have all of it."""
    report = examine(database_url=fresh_databases.url("postgresql"))
    assert report["superuser"].level == "warn"
    assert report.errors == []


def test_a_server_that_takes_no_writes(own_healthy_url, admin, examine):
    """The DSN names the reader endpoint: everything works, until somebody writes."""
    user = sql.Identifier(urlsplit(own_healthy_url).username)
    admin().execute(sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(user))
    report = examine(database_url=own_healthy_url)
    assert report.errors == ["read-only-server"]


# -- clocks -----------------------------------------------------------------------------------------------------------

CLOCK = """
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, id, now);
    if (!failed && id == CLOCK_REALTIME) now->tv_sec += (SKEW);
    return failed;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    int failed = clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return failed;
}
time_t time(time_t *now) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (now) *now = exact.tv_sec;
    return exact.tv_sec;
}
"""


@pytest.fixture
def set_clock(own_postgres) -> Iterator[Callable[[int], None]]:
    """Restarts the server with a clock that is so many seconds off: a library between it and the C library's clock."""
    compiler = shutil.which("cc")
    if compiler is None:
        missing("no C compiler here, for a server with another clock. Install the package gcc")

    def start(seconds: int) -> None:
        library = own_postgres.folder / f"clock{seconds}.so"
        source = library.with_suffix(".c")
        source.write_text(CLOCK)
        built = [compiler, "-shared", "-fPIC", f"-DSKEW={seconds}", "-o", library, source]
        subprocess.run(built, check=True, capture_output=True, timeout=HANG_SECONDS)
        library.chmod(0o755)
        give(library, own_postgres.account)
        env = shutil.which("env")
        own_postgres.restart(Path(env), f"LD_PRELOAD={library}")

    yield start
    own_postgres.restart()


def test_a_server_with_another_clock(set_clock, own_postgres, examine):
    """Leases overlap and tokens expire early, and nobody looks at a clock for that."""
    for seconds, name, level in ((8, "clock-skew", "warn"), (-90, "clock-far-off", "error")):
        set_clock(seconds)
        found = examine(database_url=own_postgres.url())[name]
        assert found.level == level
        assert ("behind" in found.message) == (seconds < 0)


def test_a_slow_network_is_no_clock_skew():
    """A question that took long proves nothing: the answer may be as old as the way is long."""
    assert judge_clock(103.0, 100.0, uncertainty=2.5).level == "ok"
    assert judge_clock(103.0, 100.0, uncertainty=0.5).name == "clock-skew"
    assert isinstance(judge_clock(0.0, 100.0, uncertainty=0.5), Finding)


# -- capacity ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_server(own_postgres):
    """A server that takes 20 connections."""
    own_postgres.set(max_connections="20")
    own_postgres.restart()
    yield own_postgres
    own_postgres.set(max_connections="200")
    own_postgres.restart()


def test_a_pool_larger_than_the_server_allows(small_server, examine):
    """The guide's arithmetic was wrong once; under load every third request fails.

    In the end even an administrator does not get in: the server refuses before it asks for a password.
    """
    report = examine(database_url=small_server.url(), pool_size=20, pool_max_overflow=15, instances=2)
    assert report.errors == ["pool-too-large"]
    found = report["pool-too-large"]
    assert found.message == "2 x (20 + 15) and a migration need 72 connections, and the server has 17 for them"
    assert "ARAGORA_DB_POOL_SIZE=" in found.fix
    size, overflow = (
        int(part.partition("=")[2].rstrip(",")) for part in found.fix.split() if part[:10] == "ARAGORA_DB"
    )
    mended = examine(database_url=small_server.url(), pool_size=size, pool_max_overflow=overflow, instances=2)
    assert mended.errors == []
    with ExitStack() as stack:
        with suppress(psycopg.OperationalError):
            while True:
                stack.enter_context(psycopg.connect(small_server.address.socket_url))
        assert examine(database_url=small_server.url()).errors == ["too-many-connections"]


def test_limits_of_role_and_database(own_healthy_url, admin, examine):
    """A provider limits the role, and max_connections says nothing about it."""
    user = sql.Identifier(urlsplit(own_healthy_url).username)
    admin().execute(sql.SQL("ALTER ROLE {} CONNECTION LIMIT 12").format(user))
    report = examine(database_url=own_healthy_url, pool_size=20, pool_max_overflow=15)
    assert report.errors == ["pool-too-large"]
    assert "the role may have 12 connections" in report["pool-too-large"].message
