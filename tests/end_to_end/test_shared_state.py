"""The guide "Shared State Setup", with real processes, while everything it stands on is killed under load."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import uuid
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
import pytest
from concurrent_work import Job
from support import HANG_SECONDS, clean_environment

from aragora_db.testing.plugin import missing

pytestmark = pytest.mark.slow

WRITERS, READERS = 2, 2  # of each instance


@dataclass
class Load:
    """Clients that write and read without pause, and note what they were told."""

    deployment: Any
    instances: list[Any]
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    acknowledged: set[str] = field(default_factory=set)
    failed: Counter[str] = field(default_factory=Counter)
    served: Counter[str] = field(default_factory=Counter)
    asked_again: Counter[str] = field(default_factory=Counter)
    phase: str = "quiet"
    clients: list[Job[None]] = field(default_factory=list)

    def start(self) -> None:
        """Start every client."""
        for instance in self.instances:
            works = [self._write] * WRITERS + [self._read] * READERS
            self.clients += [Job(partial(self._run, instance, work)) for work in works]

    def end(self) -> None:
        """Stop every client and wait for it."""
        self.stop.set()
        for client in self.clients:
            client.result()

    def enter(self, phase: str, minimum: int = 50) -> None:
        """From here on requests count for this phase; let some pass first."""
        with self.lock:
            self.phase = phase
        self.deployment.wait_for(f"{minimum} requests in the phase {phase}", lambda: self.total(phase) >= minimum)

    def total(self, phase: str) -> int:
        """Requests of a phase, whatever became of them."""
        return self.served[phase] + sum(n for kind, n in self.failed.items() if kind.startswith(f"{phase}: "))

    def _run(self, instance: Any, work: Any) -> None:
        with httpx.Client(base_url=instance.url, timeout=30) as client:
            while not self.stop.is_set():
                phase = self.phase
                try:
                    problem = work(client)
                except httpx.TransportError as error:
                    problem = type(error).__name__
                with self.lock:
                    if problem is None:
                        self.served[phase] += 1
                    else:
                        self.failed[f"{phase}: {problem}"] += 1
                if problem is not None:
                    self.stop.wait(0.02)

    def _write(self, client: httpx.Client) -> str | None:
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        answer = client.post("/api/v1/debates", json={"task": "under load"}, headers=headers)
        made = {201}
        if _unknown(answer):
            # A backend that was ended during COMMIT: nobody knows, and the guide says to send it again.
            with self.lock:
                self.asked_again[self.phase] += 1
            made = {200, 201}
            answer = client.post("/api/v1/debates", json={"task": "under load"}, headers=headers)
        if answer.status_code in made:
            with self.lock:
                self.acknowledged.add(answer.json()["id"])
            return None
        return f"POST {answer.status_code} {answer.text[:80]}"

    def _read(self, client: httpx.Client) -> str | None:
        answer = client.get("/api/v1/debates", params={"limit": 5})
        return None if answer.status_code == 200 else f"GET {answer.status_code}"


def _unknown(answer: httpx.Response) -> bool:
    return answer.status_code == 503 and answer.json()["error"]["code"] == "unknown"


def curl(*arguments: str) -> Any:
    """A command of the guide; its answer as JSON."""
    if shutil.which("curl") is None:
        missing("no curl here: the guide's commands need it. Install the package curl")
    done = subprocess.run(
        ["curl", "-s", "--max-time", "30", *arguments],
        env=clean_environment(),
        timeout=HANG_SECONDS,
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)


@pytest.mark.slow
def test_the_commands_of_the_guide(instances) -> None:
    """An operator who follows section 4 of the guide would see something else than it says."""
    a, b = instances
    for instance in instances:
        ready = curl(f"{instance.url}/readyz")
        assert ready["status"] == "ready"
        expected = ("degraded_mode", "storage_initialized", "elo_initialized", "redis_pool", "db_pool")
        assert {name: ready["checks"][name] for name in expected} == dict.fromkeys(expected, True)
        dependencies = curl(f"{instance.url}/readyz/dependencies")
        assert dependencies["status"] == "ready"
        assert dependencies["checks"]["redis"]["connected"] is True
        assert dependencies["checks"]["postgresql"]["connected"] is True
        assert curl(f"{instance.url}/healthz") == {"status": "ok"}
    made = curl(
        *("-X", "POST", f"{a.url}/api/v1/debates", "-d", '{"task":"test shared state"}'),
        *("-H", "Content-Type: application/json"),
    )
    listed = curl(f"{b.url}/api/v1/debates?limit=1")
    assert [debate["id"] for debate in listed["debates"]] == [made["id"]]
    assert listed["debates"][0]["task"] == "test shared state"
    open_checks = curl(f"{a.url}/api/health")["checks"]
    assert all(value in {True, False, "not_configured"} for value in open_checks.values())
    checks = curl("-H", "Authorization: Bearer operators-only", f"{a.url}/api/health")["checks"]
    assert checks["database_pool"]["size"] >= 8


@pytest.mark.slow
def test_nothing_acknowledged_is_lost(deployment, instances, capsys) -> None:
    """A restart of PostgreSQL or Redis, or a new password, would lose or double a debate, or need a restart of ours."""
    load = Load(deployment, instances)
    back: dict[str, float] = {}

    def ready() -> bool:
        return all(instance.status("/readyz") == 200 for instance in instances)

    load.start()
    try:
        load.enter("quiet")
        with load.lock:
            load.phase = "PostgreSQL killed"
        deployment.postgres.kill()
        deployment.wait_for(
            "an instance that says so", lambda: any(each.status("/readyz") == 503 for each in instances)
        )
        assert all(instance.status("/healthz") == 200 for instance in instances)
        deployment.postgres.start()
        back["PostgreSQL"] = deployment.wait_for("readiness after PostgreSQL", ready)
        load.enter("between")
        with load.lock:
            load.phase = "Redis killed"
        deployment.redis.kill()
        load.enter("Redis away")
        deployment.redis.start()
        back["Redis"] = deployment.wait_for("Redis in use again", lambda: all(_redis(each) for each in instances))
        load.enter("between again")
        with load.lock:
            load.phase = "password rotated"
        deployment.rotate("second-password")
        # As if they had all been recycled at once: every request that follows needs a new login.
        deployment.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'aragora'")
        back["rotation"] = deployment.wait_for("readiness after the rotation", ready)
        load.enter("after the rotation", 200)
    finally:
        load.end()

    stored = Counter(row[0] for row in deployment.sql("SELECT id FROM debates", dbname="aragora"))
    assert load.acknowledged <= stored.keys(), "acknowledged debates are gone"
    assert max(stored.values()) == 1
    failed = {kind: count for kind, count in load.failed.items() if not kind.startswith("PostgreSQL killed")}
    assert failed == {}, "requests failed although PostgreSQL was there"
    # Only there are backends ended, perhaps in a COMMIT; the answer may come when the next phase has begun.
    ended = {"PostgreSQL killed", "between", "password rotated", "after the rotation"}
    assert load.asked_again.keys() <= ended
    with capsys.disabled():
        print(f"\n{sum(load.served.values())} requests served, {len(load.acknowledged)} writes acknowledged and there")  # noqa: T201 -- the figures that the issue asks for
        print(f"unknown, and asked again: {dict(load.asked_again) or 'none'}; failed: {dict(load.failed) or 'none'}")  # noqa: T201 -- the figures that the issue asks for
        print("ready again after: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in back.items()))  # noqa: T201 -- the figures that the issue asks for


def _redis(instance: Any) -> bool:
    answer = httpx.get(f"{instance.url}/readyz/dependencies", timeout=10).json()
    return answer["checks"]["redis"].get("connected") is True


@pytest.mark.slow
def test_a_stopped_instance_finishes_what_it_has(deployment, instances) -> None:
    """Each deployment would fail some requests."""
    a, b = instances
    load = Load(deployment, [a])
    load.start()
    load.enter("quiet")
    seen: list[int] = []

    def watch() -> None:
        while a.running:
            seen.append(a.status("/readyz"))

    watcher = Job(watch)
    a.process.terminate()
    # A load balancer that asks /readyz stops sending as soon as it hears 503.
    deployment.wait_for("not ready", lambda: 503 in seen or not a.running)
    load.end()
    watcher.result()
    assert a.process.wait(HANG_SECONDS) == 0
    assert 503 in seen
    assert dict(load.failed) == {}
    assert b.status("/readyz") == 200
    held = deployment.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'aragora'")[0][0]
    assert held >= 1
