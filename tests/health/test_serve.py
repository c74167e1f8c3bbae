"""`aragora-db serve` as it is run: starts without a database, heals by itself, leaves without losing a request."""

from __future__ import annotations

import signal
import socket
import threading

import httpx
import psycopg
import pytest
from support import HANG_SECONDS

from aragora_db.database import Database

pytestmark = pytest.mark.slow

IMPATIENT = "from aragora_db.operate.health.checks import HealthCheck\nHealthCheck.timeout = 0.5"
"""For a test of a database that hangs: how long a check waits for it."""


@pytest.mark.slow
def test_ready_and_json_on_stderr(fresh_databases, start_serve, eventually):
    """The first start of a new deployment: an empty database, and a log that a collector can parse."""
    serve = start_serve(DATABASE_URL=fresh_databases.url("postgresql", migrated=False))
    eventually(lambda: serve.status() == 200, "it is ready")
    made = serve.client.post("/api/v1/debates", json={"task": "over a socket"})
    assert made.status_code == 201
    assert serve.client.get(made.headers["Location"]).json() == made.json()
    head = serve.client.head("/readyz")
    assert (head.status_code, head.content) == (200, b"")
    assert "server" not in head.headers, "what runs here is nobody's business"
    eventually(
        lambda: any(line.get("route") == "/api/v1/debates" for line in serve.lines()),
        "the request is in the access log",
    )


def test_settings_of_a_file(main_in_process, tmp_path, monkeypatch):
    """An EnvironmentFile of systemd, without systemd."""
    file = tmp_path / "env"
    file.write_text(f"DATABASE_URL=sqlite:///{tmp_path}/of-the-file.db\nARAGORA_HEALTH_TOKEN=of-the-file\n")
    asked = []

    def serve(db, listener, drain_seconds):
        with listener:
            asked.append((db.settings, drain_seconds))
        db.close()
        return True

    monkeypatch.setattr("aragora_db.operate.health.serve.serve", serve)
    monkeypatch.setattr(
        "aragora_db.operate.health.serve.log_as_json", lambda: None
    )  # it would replace pytest's own handlers
    code, _ = main_in_process("--env-file", str(file), "serve", "--port", "0", "--drain-seconds", "0.5")
    assert code == 0
    [(settings, drain_seconds)] = asked
    assert settings.database_url.get_secret_value().endswith("of-the-file.db")
    assert settings.health_token.get_secret_value() == "of-the-file"
    assert drain_seconds == 0.5


@pytest.mark.slow
def test_a_database_that_is_killed_comes_back(own_postgres, start_serve, eventually):
    """At three in the morning nobody should have to restart anything; after a power cut all starts in any order."""
    own_postgres.kill()
    serve = start_serve(DATABASE_URL=own_postgres.url)
    assert serve.status("/healthz") == 200
    assert serve.status() == 503
    own_postgres.start()
    eventually(lambda: serve.status() == 200, "it is ready")
    own_postgres.kill()

    def noticed():  # each check remembers its answer for a second, so they do not all notice at once
        body = serve.client.get("/readyz").json()
        return body if body.get("reason") == "database" else None

    body = eventually(noticed, "the check of the database has noticed")
    assert body["checks"]["db_pool"] is False
    assert serve.status() == 503
    assert serve.status("/healthz") == 200
    own_postgres.start()
    eventually(lambda: serve.status() == 200, "it is ready")
    assert serve.client.post("/api/v1/debates", json={"task": "afterwards"}).status_code == 201


@pytest.mark.slow
def test_a_database_that_hangs(own_postgres, start_serve, eventually):
    """The worst kind of outage: connections stand and nobody answers. Probes must say so while liveness answers.

    A deployment must not wait for a minute of TCP because the database hangs: told to stop then, it stops.
    """
    serve = start_serve("--drain-seconds", "0", prelude=IMPATIENT, DATABASE_URL=own_postgres.url)
    eventually(lambda: serve.status() == 200, "it is ready")
    own_postgres.freeze()
    eventually(lambda: serve.status() == 503, "it is not ready")
    # With the checks' threads all hanging, the answer still comes, and liveness too.
    for _ in range(3):
        assert serve.status() == 503
        assert serve.status("/healthz") == 200
    assert serve.client.get("/").status_code == 200
    checks = serve.client.get("/readyz/dependencies").json()["checks"]
    assert checks["postgresql"]["connected"] is False
    own_postgres.thaw()
    eventually(lambda: serve.status() == 200, "it is ready")
    own_postgres.freeze()
    eventually(lambda: serve.status() == 503, "it is not ready")
    serve.process.send_signal(signal.SIGTERM)
    assert serve.process.wait(HANG_SECONDS) == 0


@pytest.mark.slow
def test_a_request_under_way_is_finished(fresh_databases, start_serve, eventually):
    """What was accepted is answered, also when it takes longer than the drain."""
    url = fresh_databases.url("postgresql")
    serve = start_serve("--drain-seconds", "0.2", DATABASE_URL=url)
    eventually(lambda: serve.status() == 200, "it is ready")
    answers = []
    blocker = Database(url)
    waiting = threading.Thread(
        target=lambda: answers.append(
            httpx.post(f"{serve.url}/api/v1/debates", json={"task": "slow"}, timeout=HANG_SECONDS)
        )
    )
    with blocker.engine.connect() as connection:
        connection.exec_driver_sql("LOCK TABLE debates IN ACCESS EXCLUSIVE MODE")
        waiting.start()
        with psycopg.connect(url, autocommit=True) as observer:
            waits = (
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
                "AND query LIKE '%INSERT INTO debates%'"
            )
            eventually(lambda: observer.execute(waits).fetchone(), "the request waits")
        serve.process.send_signal(signal.SIGTERM)
        eventually(lambda: not _connects(serve), "no new connection is accepted")
        assert serve.process.poll() is None
    waiting.join(HANG_SECONDS)
    assert not waiting.is_alive()
    blocker.close()
    assert [answer.status_code for answer in answers] == [201]
    assert serve.process.wait(HANG_SECONDS) == 0
    assert serve.lines()[-1]["message"] == "stopped"


@pytest.mark.slow
def test_told_to_stop_it_is_not_ready_first(fresh_databases, start_serve, eventually):
    """Balancers go on sending until they have heard 503 a few times; each of those requests must be answered.

    An operator who presses Ctrl-C twice means it: the second time ends it at once, with a code that says that
    something was cut off.
    """
    serve = start_serve("--drain-seconds", "300", DATABASE_URL=fresh_databases.url("sqlite"))
    eventually(lambda: serve.status() == 200, "it is ready")
    serve.process.send_signal(signal.SIGINT)
    eventually(lambda: serve.status() == 503, "it is not ready")
    assert serve.client.get("/readyz").json()["reason"] == "draining"
    with httpx.Client(base_url=serve.url, timeout=HANG_SECONDS) as newcomer:  # a new connection is accepted still
        assert newcomer.post("/api/v1/debates", json={"task": "on the way"}).status_code == 201
    serve.process.send_signal(signal.SIGINT)
    assert serve.process.wait(HANG_SECONDS) == 1


@pytest.mark.slow
def test_a_signal_in_the_first_moment(fresh_databases, start_serve):
    """A rollout that is taken back at once must not leave a process behind, nor report a crash."""
    serve = start_serve("--drain-seconds", "0", DATABASE_URL=fresh_databases.url("sqlite"))
    serve.process.send_signal(signal.SIGTERM)
    assert serve.process.wait(HANG_SECONDS) == 0


def test_a_port_in_use(main_in_process, tmp_path):
    """The most frequent mistake at the first try; it needs a sentence, not a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, said = main_in_process("serve", "--port", port, DATABASE_URL=f"sqlite:///{tmp_path}/x.db")
    assert code == 2
    assert f"port {port} of 127.0.0.1 cannot be listened on: Address already in use" in said
    assert "--port" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "x" * 70, ""])
def test_an_address_of_nobody(main_in_process, tmp_path, host):
    """An address of another machine, or a name that does not exist."""
    code, said = main_in_process("serve", "--host", host, "--port", "0", DATABASE_URL=f"sqlite:///{tmp_path}/x.db")
    assert code == 2, said
    assert "--host" in said


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
def test_settings_that_cannot_work(main_in_process, variables):
    """Listening with settings that never can work would look like a database that is down."""
    with socket.create_server(("127.0.0.1", 0)) as taken:  # so that listening would be another error
        code, said = main_in_process("serve", "--port", str(taken.getsockname()[1]), **variables)
    assert code == 2
    assert next(iter(variables)) in said
    assert "listened" not in said


def _connects(serve):
    try:
        socket.create_connection((serve.client.base_url.host, serve.client.base_url.port), timeout=HANG_SECONDS).close()
    except OSError:
        return False
    return True
