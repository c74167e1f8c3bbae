"""Running instances, asked over their sockets: alive, ready, connected, and one database behind both."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import psycopg
import pytest
import uvicorn
from psycopg import sql
from support import HANG_SECONDS

from aragora_db.config import Settings
from aragora_db.database import Database
from aragora_db.operate.health import app
from aragora_db.operate.health.serve import listen
from aragora_db.testing.process import free_port


@pytest.fixture
def serve() -> Iterator[Callable[[str], str]]:
    """Serves an instance on a database, as `aragora-db serve` does; returns where it listens."""
    with ExitStack() as stack:

        def start(database_url: str) -> str:
            database = stack.enter_context(closing(Database(Settings.explicit(database_url=database_url))))
            listener = stack.enter_context(closing(listen("127.0.0.1", 0)))
            config = uvicorn.Config(app(database), log_config=None, access_log=False, lifespan="off")
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, args=([listener],), daemon=True)

            def end() -> None:
                server.should_exit = True
                thread.join(HANG_SECONDS)
                assert not thread.is_alive()

            thread.start()
            stack.callback(end)
            return f"http://127.0.0.1:{listener.getsockname()[1]}"  # it accepts connections already

        yield start


@pytest.fixture
def debate() -> Callable[[str, str], str]:
    """Makes a debate on an instance; returns its id."""

    def create(url: str, task: str) -> str:
        request = urllib.request.Request(  # noqa: S310 -- ours
            f"{url}/api/v1/debates",
            data=json.dumps({"task": task}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=HANG_SECONDS) as response:  # noqa: S310 -- ours
            return str(json.load(response)["id"])

    return create


def test_two_instances_on_one_database(serve, debate, own_healthy_url, examine):
    """The last ticks of the checklist, without a debate that doctor made itself."""
    urls = [serve(own_healthy_url), serve(own_healthy_url)]
    empty = examine(urls=urls, database_url=own_healthy_url)
    assert empty.errors == []
    assert empty["visibility"].level == "skipped"
    assert "curl -X POST" in empty["visibility"].fix
    made = debate(urls[0], "test shared state")
    report = examine(urls=urls, database_url=own_healthy_url, instances=2)
    assert report.errors == []
    assert [finding.level for finding in report.of("ready")] == ["ok", "ok"]
    assert report["instances"].level == "ok", "both are on one machine, and both answer"
    assert all("postgresql" in finding.message for finding in report.of("dependencies"))
    assert report["visibility"].message == f"every instance names {made} as the newest debate"


def test_two_instances_on_two_databases(serve, debate, fresh_databases, examine):
    """Each answers 200 and is ready, and half of the users do not see what the others do."""
    urls = [serve(fresh_databases.url("sqlite")), serve(fresh_databases.url("sqlite"))]
    debate(urls[0], "one")
    debate(urls[1], "other")
    report = examine(urls=urls)
    assert report.errors == ["instances-differ"]
    assert "fingerprints" in report["instances-differ"].fix


def test_an_instance_without_its_database(serve, fresh_databases, admin, examine, eventually, request):
    """It lives and answers; the load balancer is happy, and nobody else is."""
    url = fresh_databases.url("postgresql")
    instance = serve(url)
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    administrator = admin()
    connections = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    request.addfinalizer(lambda: administrator.execute(connections.format(sql.Identifier(name), sql.SQL("true"))))
    administrator.execute(connections.format(sql.Identifier(name), sql.SQL("false")))
    administrator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))

    def noticed():
        report = examine(urls=[instance])
        return report if {"instance-not-ready", "dependency-down"} <= set(report.errors) else None

    report = eventually(noticed, "the instance has noticed")
    assert "postgresql" in report["dependency-down"].message


def test_an_instance_that_is_down(examine):
    """The load balancer has taken it out of service already."""
    url = f"http://127.0.0.1:{free_port()}"
    report = examine(urls=[url])
    assert report.errors == ["instance-unreachable"]
    assert report["instance-unreachable"].message == f"{url}/healthz: ConnectionRefusedError"
    assert report["ready"].level == "skipped"


def test_an_address_that_is_no_url(examine):
    """A host without a scheme must not be read as a file's name, nor a typing error as an instance that is down."""
    for text in (
        "notaurl",
        "127.0.0.1:8080",
        "file:///etc/passwd",
        "http://",
        "http://host:port",
        "http://[",
        "http://a b",
    ):
        report = examine(urls=[text])
        assert report.errors == ["instance-url-refused"], text
        assert report["instance-url-refused"].fix.startswith("aragora-db doctor --url http://10.0.0.7:8080")
        assert report["ready"].message == "not tried, because alive has to be in order first"
