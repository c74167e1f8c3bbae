"""Running instances, real processes of `aragora-db serve`: alive, ready, connected, and one database behind both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psycopg
import pytest
from psycopg import sql

from aragora_db.testing.process import free_port


@pytest.fixture
def serve(tmp_path, eventually) -> Iterator[Callable[[str], str]]:
    """Starts an instance on a database; returns where it listens."""
    with ExitStack() as stack:

        def start(database_url: str) -> str:
            port = free_port()
            environment = os.environ | {"DATABASE_URL": database_url}
            command = [sys.executable, "-m", "aragora_db", "serve", "--host", "127.0.0.1", "--port", str(port)]
            with (tmp_path / f"serve{port}.log").open("wb") as log:
                process = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=log, stderr=log)
            stack.callback(process.wait, 30)
            stack.callback(process.kill)
            url = f"http://127.0.0.1:{port}"

            def answers() -> bool:
                assert process.poll() is None, (tmp_path / f"serve{port}.log").read_text()
                try:
                    with urllib.request.urlopen(f"{url}/healthz", timeout=5):  # noqa: S310 -- ours
                        return True
                except OSError:
                    return False

            eventually(answers, "the instance answers")
            return url

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
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 -- ours
            return str(json.load(response)["id"])

    return create


@pytest.mark.slow
def test_two_instances_on_one_database(serve, debate, healthy_url, examine):
    """The last ticks of the checklist, without a debate that doctor made itself."""
    urls = [serve(healthy_url), serve(healthy_url)]
    empty = examine(urls=urls, database_url=healthy_url)
    assert empty.errors == []
    assert empty["visibility"].level == "skipped"
    assert "curl -X POST" in empty["visibility"].mend
    made = debate(urls[0], "test shared state")
    report = examine(urls=urls, database_url=healthy_url, instances=2)
    assert report.errors == []
    assert [finding.level for finding in report.of("ready")] == ["ok", "ok"]
    assert report["instances"].level == "ok", "both are on one machine, and both answer"
    assert all("postgresql" in finding.says for finding in report.of("dependencies"))
    assert report["visibility"].says == f"every instance names {made} as the newest debate"


@pytest.mark.slow
def test_two_instances_on_two_databases(serve, debate, fresh_databases, examine):
    """Each answers 200 and is ready, and half of the users do not see what the others do."""
    urls = [serve(fresh_databases.url("sqlite")), serve(fresh_databases.url("sqlite"))]
    debate(urls[0], "one")
    debate(urls[1], "other")
    report = examine(urls=urls)
    assert report.errors == ["instances-differ"]
    assert "fingerprints" in report["instances-differ"].mend


@pytest.mark.slow
def test_an_instance_without_its_database(serve, postgres_server, fresh_databases, admin, examine, eventually):
    """It lives and answers; the load balancer is happy, and nobody else is."""
    url = fresh_databases.url("postgresql")
    instance = serve(url)
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    administrator = admin()
    administrator.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name)))
    administrator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))

    def noticed():
        report = examine(urls=[instance])
        return report if {"instance-not-ready", "dependency-down"} <= set(report.errors) else None

    report = eventually(noticed, "the instance has noticed")
    assert "postgresql" in report["dependency-down"].says
    assert postgres_server.worker


def test_an_instance_that_is_down(examine):
    """The load balancer has taken it out of service already."""
    url = f"http://127.0.0.1:{free_port()}"
    report = examine(urls=[url])
    assert report.errors == ["instance-unreachable"]
    assert report["instance-unreachable"].says == f"{url}/healthz: ConnectionRefusedError"
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
        assert report["instance-url-refused"].mend.startswith("aragora-db doctor --url http://10.0.0.7:8080")
        assert report["ready"].says == "not tried, because alive has to be in order first"
