"""`aragora-db serve` as it is run: starts without a database, heals by itself, leaves without losing a request."""

from __future__ import annotations

import signal
import socket
import threading

import httpx
import psycopg
import pytest

from aragora_db.database import Database

pytestmark = pytest.mark.slow


def test_ready_and_json_on_stderr(dialect, fresh_databases, start_serve, eventually):
    """The first start of a new deployment: an empty database, and a log that a collector can parse."""
    serve = start_serve(DATABASE_URL=fresh_databases.url(dialect, migrated=False))
    eventually("readiness", lambda: serve.status() == 200)
    made = serve.client.post("/api/v1/debates", json={"task": "over a socket"})
    assert made.status_code == 201
    assert serve.client.get(made.headers["Location"]).json() == made.json()
    head = serve.client.head("/readyz")
    assert (head.status_code, head.content) == (200, b"")
    assert "server" not in head.headers, "what runs here is nobody's business"
    eventually("the access log", lambda: any(line.get("route") == "/api/v1/debates" for line in serve.lines()))


def test_settings_of_a_file(fresh_databases, start_serve, tmp_path, eventually):
    """An EnvironmentFile of systemd, without systemd."""
    file = tmp_path / "env"
    file.write_text(f"DATABASE_URL={fresh_databases.url('sqlite')}\nARAGORA_HEALTH_TOKEN=of-the-file\n")
    serve = start_serve(env_file=str(file))
    eventually("readiness", lambda: serve.status() == 200)
    answer = serve.client.get("/api/health", headers={"Authorization": "Bearer of-the-file"})
    assert "version" in answer.json()


def test_a_database_that_is_killed_comes_back(own_postgres, start_serve, eventually):
    """At three in the morning nobody should have to restart anything."""
    serve = start_serve(DATABASE_URL=own_postgres.url)
    eventually("readiness", lambda: serve.status() == 200)
    own_postgres.kill()
    eventually("not ready", lambda: serve.status() == 503)
    assert serve.status("/healthz") == 200
    body = serve.client.get("/readyz").json()
    assert body["reason"] == "database"
    assert body["checks"]["db_pool"] is False
    own_postgres.start()
    eventually("readiness", lambda: serve.status() == 200)
    assert serve.client.post("/api/v1/debates", json={"task": "afterwards"}).status_code == 201


def test_a_database_that_is_down_at_start(own_postgres, start_serve, eventually):
    """After a power cut everything starts at once, in any order."""
    own_postgres.kill()
    serve = start_serve(DATABASE_URL=own_postgres.url)
    assert serve.status("/healthz") == 200
    assert serve.status() == 503
    own_postgres.start()
    eventually("readiness", lambda: serve.status() == 200)


def test_a_database_that_hangs(own_postgres, start_serve, eventually):
    """The worst kind of outage: connections stand and nobody answers. Probes must say so while liveness answers."""
    serve = start_serve(DATABASE_URL=own_postgres.url)
    eventually("readiness", lambda: serve.status() == 200)
    own_postgres.freeze()
    try:
        eventually("not ready", lambda: serve.status() == 503)
        # With the checks' threads all hanging, the answer still comes, and liveness too.
        for _ in range(3):
            assert serve.status() == 503
            assert serve.status("/healthz") == 200
        assert serve.client.get("/").status_code == 200
        checks = serve.client.get("/readyz/dependencies").json()["checks"]
        assert checks["postgresql"]["connected"] is False
    finally:
        own_postgres.thaw()
    eventually("readiness", lambda: serve.status() == 200)


def test_told_to_stop_while_the_database_hangs(own_postgres, start_serve, eventually):
    """A deployment must not wait for a minute of TCP because the database hangs."""
    serve = start_serve("--drain-seconds", "0", DATABASE_URL=own_postgres.url)
    eventually("readiness", lambda: serve.status() == 200)
    own_postgres.freeze()
    eventually("not ready", lambda: serve.status() == 503)
    serve.process.send_signal(signal.SIGTERM)
    assert serve.process.wait(60) == 0


def test_sigterm_is_not_ready_first(fresh_databases, start_serve, eventually):
    """Balancers go on sending until they have heard 503 a few times; each of those requests must be answered."""
    serve = start_serve("--drain-seconds", "3", DATABASE_URL=fresh_databases.url("sqlite"))
    eventually("readiness", lambda: serve.status() == 200)
    serve.process.send_signal(signal.SIGTERM)
    eventually("not ready", lambda: serve.status() == 503)
    assert serve.client.get("/readyz").json()["reason"] == "draining"
    with httpx.Client(base_url=serve.url) as newcomer:  # a new connection is accepted still
        assert newcomer.post("/api/v1/debates", json={"task": "on the way"}).status_code == 201
    assert serve.process.wait(60) == 0
    assert serve.lines()[-1]["message"] == "stopped"


def test_a_request_under_way_is_finished(fresh_databases, start_serve, eventually):
    """What was accepted is answered, also when it takes longer than the drain."""
    url = fresh_databases.url("postgresql")
    serve = start_serve("--drain-seconds", "0", DATABASE_URL=url)
    eventually("readiness", lambda: serve.status() == 200)
    answers = []
    blocker = Database(url)
    with blocker.engine.connect() as connection:
        connection.exec_driver_sql("LOCK TABLE debates IN ACCESS EXCLUSIVE MODE")
        waiting = threading.Thread(
            target=lambda: answers.append(httpx.post(f"{serve.url}/api/v1/debates", json={"task": "slow"}, timeout=60))
        )
        waiting.start()
        with psycopg.connect(url, autocommit=True) as observer:
            waits = (
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
                "AND query LIKE '%INSERT INTO debates%'"
            )
            eventually("the request to wait", lambda: observer.execute(waits).fetchone())
        serve.process.send_signal(signal.SIGTERM)
        eventually("no new connections", lambda: not _connects(serve))
        assert serve.process.poll() is None
    waiting.join()
    blocker.close()
    assert [answer.status_code for answer in answers] == [201]
    assert serve.process.wait(60) == 0


def test_the_second_signal_ends_at_once(fresh_databases, start_serve, eventually):
    """An operator who presses Ctrl-C twice means it; the code says that something was cut off."""
    serve = start_serve("--drain-seconds", "300", DATABASE_URL=fresh_databases.url("sqlite"))
    eventually("readiness", lambda: serve.status() == 200)
    serve.process.send_signal(signal.SIGINT)
    eventually("not ready", lambda: serve.status() == 503)
    serve.process.send_signal(signal.SIGINT)
    assert serve.process.wait(60) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_first_moment(fresh_databases, start_serve, number):
    """A rollout that is taken back at once must not leave a process behind, nor report a crash."""
    serve = start_serve("--drain-seconds", "0", DATABASE_URL=fresh_databases.url("sqlite"))
    serve.process.send_signal(number)
    assert serve.process.wait(60) == 0


def test_a_port_in_use(run_serve, tmp_path):
    """The most frequent mistake at the first try; it needs a sentence, not a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = run_serve("--port", port, DATABASE_URL=f"sqlite:///{tmp_path}/x.db")
    assert ended.returncode == 2
    assert f"port {port} of 127.0.0.1 cannot be listened on: Address already in use" in ended.stderr
    assert "--port" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_address_of_nobody(run_serve, tmp_path):
    """An address of another machine, or a name that does not exist."""
    for host in ("192.0.2.1", "no.such.host.invalid", "x" * 70, ""):
        ended = run_serve("--host", host, "--port", "0", DATABASE_URL=f"sqlite:///{tmp_path}/x.db")
        assert ended.returncode == 2, ended.stderr
        assert "--host" in ended.stderr


@pytest.mark.parametrize(
    "variables",
    [
        {"ARAGORA_REQUIRE_DISTRIBUTED": "true"},
        {"ARAGORA_DB_BACKEND": "postgresql"},
        {"ARAGORA_DB_POOL_SIZE": "many"},
        {"DATABASE_URL": "mysql://x"},
        {"DATABASE_URL": "postgresql://localhost/x?sslmode=off"},
        {"ARAGORA_REDIS_URL": "redis:localhost"},
    ],
    ids=lambda each: "=".join(*each.items()),
)
def test_settings_that_cannot_work(run_serve, variables):
    """Listening with settings that never can work would look like a database that is down."""
    with socket.create_server(("127.0.0.1", 0)) as taken:  # so that listening would be another error
        ended = run_serve("--port", str(taken.getsockname()[1]), **variables)
    assert ended.returncode == 2
    assert next(iter(variables)) in ended.stderr
    assert "listened" not in ended.stderr


def _connects(serve):
    try:
        socket.create_connection((serve.client.base_url.host, serve.client.base_url.port)).close()
    except OSError:
        return False
    return True
