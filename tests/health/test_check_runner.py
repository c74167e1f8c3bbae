"""Checks hold up neither each other nor the process, and any number of probes costs one of each a second."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from contextlib import suppress

import pytest
from support import HANG_SECONDS, clean_environment

from aragora_db.database import Database
from aragora_db.errors import PoolExhausted
from aragora_db.operate.health.check_runner import FRESH, CheckRunner
from aragora_db.operate.health.checks import DatabaseCheck, HealthCheck
from aragora_db.operate.health.result import CheckResult, HealthReport, HealthState

pytestmark = pytest.mark.slow


class _Asked(HealthCheck):
    """Counts how often it is asked, and hangs while it is told to."""

    name = "asked"

    def __init__(self) -> None:
        self.runs = 0
        self.go_on = threading.Event()
        self.go_on.set()

    def run(self) -> CheckResult:
        self.runs += 1
        self.go_on.wait(HANG_SECONDS)
        return CheckResult(HealthState.OK)


class _Brisk(_Asked):
    """Does not wait long."""

    name = "brisk"
    timeout = 0.05


class _Optional(_Brisk):
    """Nobody needs it."""

    name = "optional"
    needed = False


def _results(runner):
    return asyncio.run(runner.results())


def test_many_probes_cost_one_check():
    """Every balancer node, Kubernetes, Prometheus and every open status page asks; the database must not notice."""
    check = _Asked()
    check.go_on.clear()

    async def many():
        runner = CheckRunner([check])
        asked = [asyncio.create_task(runner.results()) for _ in range(100)]
        await asyncio.sleep(0)
        check.go_on.set()
        await asyncio.gather(*asked)
        return await runner.results()

    assert asyncio.run(many())["asked"].ok
    assert check.runs == 1


def test_a_result_is_asked_again_when_it_is_old(eventually):
    """Remembered for ever, a result would be what was true at the start."""
    check = _Asked()
    runner = CheckRunner([check])

    def asked_again():
        _results(runner)
        return check.runs > 1

    eventually(asked_again, f"a second run after {FRESH} s")


def test_a_check_that_hangs_fails_alone():
    """A hung Redis must not make the database look hung, nor keep the answer back."""
    hung, fine = _Brisk(), _Asked()
    hung.go_on.clear()
    found = _results(CheckRunner([hung, fine]))
    assert found["brisk"].state is HealthState.FAILED
    assert found["brisk"].detail == {"error": "timeout"}
    assert found["asked"].ok
    hung.go_on.set()


def test_a_check_that_hangs_is_not_piled_up(eventually):
    """One thread and one connection more with every probe would take the pool with it."""
    hung = _Brisk()
    hung.go_on.clear()
    runner = CheckRunner([hung])
    for _ in range(4):
        assert _results(runner)["brisk"].state is HealthState.FAILED
        runner._cached["brisk"]._last = None  # a second later
    assert hung.runs == 2
    hung.go_on.set()
    eventually(lambda: _results(runner)["brisk"].ok, "the check that hung answers")


def test_what_is_not_needed_only_degrades():
    """Ready is what can serve."""
    hung = _Optional()
    hung.go_on.clear()
    report = HealthReport(_results(CheckRunner([hung, _Asked()])))
    hung.go_on.set()
    assert report.ready
    assert report.degraded
    assert report.status == "degraded"


def test_an_exception_is_a_failure_named_by_its_class():
    """Its text may name a host; it goes to the log, where operators look."""

    class Broken(HealthCheck):
        name = "broken"

        def __init__(self) -> None:
            pass

        def run(self):
            raise ConnectionError("10.0.0.1 said no")

    result = _results(CheckRunner([Broken()]))["broken"]
    assert result.state is HealthState.FAILED
    assert result.detail == {"error": "ConnectionError"}


def test_the_log_says_it_once(caplog):
    """A line a second for as long as an outage lasts buries what happened before it."""
    caplog.set_level("INFO", "aragora_db.operate.health")
    db = Database("postgresql://nobody@127.0.0.1:9/none?connect_timeout=2")
    runner = CheckRunner([DatabaseCheck(db)])
    for _ in range(3):
        assert not _results(runner)["database"].ok
        runner._cached["database"]._last_at = 0.0
    [record] = [each for each in caplog.records if each.name == "aragora_db.operate.health"]
    assert record.getMessage().startswith("check database: failed (DatabaseUnavailable: ")
    db.close()


@pytest.mark.parametrize("moving", [True, False])
def test_busy_is_not_dead(dialect, fresh_databases, serve_app, checks, monkeypatch, eventually, moving):
    """Taken out for being busy, an instance gives its load to the others, which follow; dead is another matter."""
    served = serve_app(fresh_databases.url(dialect), pool_size=1, pool_max_overflow=0, pool_timeout=60)
    assert served.client.get("/readyz").status_code == 200
    for check in checks:
        monkeypatch.setattr(check, "timeout", 0.3)
    stop, busy = threading.Event(), threading.Event()

    def load():
        while not stop.is_set():
            with served.db.engine.connect():
                busy.set()
                stop.wait(0.05 if moving else HANG_SECONDS)

    # More than one, so that the connection never is free: QueuePool wakes whoever has waited longest.
    threads = [threading.Thread(target=load) for _ in range(40 if moving else 1)]
    for thread in threads:
        thread.start()
    assert busy.wait(HANG_SECONDS)
    try:
        seen = []
        for _ in range(3):
            before = served.db.pool_metrics().hold.count
            if moving:  # as it would in the second for which a result counts
                eventually(lambda b=before: served.db.pool_metrics().hold.count > b + 2, "a connection has come back")
            for cached in _context(served).checks._cached.values():
                cached._last = None
            seen.append(served.client.get("/readyz"))
    finally:
        stop.set()
        for thread in threads:
            thread.join(HANG_SECONDS)
        cached = _context(served).checks._cached.values()
        eventually(lambda: not any(each._runs for each in cached), "the checks that waited have ended")
    assert not any(thread.is_alive() for thread in threads)
    assert {answer.status_code for answer in seen} == ({200} if moving else {503})
    assert seen[-1].json()["checks"]["db_pool"] is False
    assert seen[-1].json()["checks"]["degraded_mode"] is False


def test_busy_with_an_impatient_pool_is_not_dead_either(dialect, fresh_databases, serve_app, eventually):
    """With a pool that gives up before the check does, an overload took the instance out, and then the next one."""
    served = serve_app(fresh_databases.url(dialect), pool_size=1, pool_max_overflow=0, pool_timeout=1)
    assert served.client.get("/readyz").status_code == 200
    stop, busy = threading.Event(), threading.Event()

    def load():
        while not stop.is_set():
            with suppress(PoolExhausted), served.db.engine.connect():
                busy.set()
                stop.wait(0.1)

    threads = [threading.Thread(target=load) for _ in range(40)]  # four seconds of waiting
    for thread in threads:
        thread.start()
    assert busy.wait(HANG_SECONDS)
    try:
        for cached in _context(served).checks._cached.values():
            cached._last = None
        answer = served.client.get("/readyz")
    finally:
        stop.set()
        for thread in threads:
            thread.join(HANG_SECONDS)
        cached = _context(served).checks._cached.values()
        eventually(lambda: not any(each._runs for each in cached), "the checks that waited have ended")
    assert not any(thread.is_alive() for thread in threads)
    assert (answer.status_code, answer.json()["checks"]["db_pool"]) == (200, False)


def test_a_check_that_cannot_begin_is_tried_again():
    """A process that had no thread left for a moment must not be not ready for ever."""

    class Starved(_Asked):
        tries = 0

        def begin(self) -> None:
            self.tries += 1
            if self.tries < 4:
                raise RuntimeError("can't start new thread")

    runner = CheckRunner([Starved()])
    for _ in range(3):
        with pytest.raises(RuntimeError, match="thread"):
            _results(runner)
    assert _results(runner)["asked"].ok


def _context(served):
    return next(
        route.endpoint.__self__._context for route in served.client.application.routes if route.path == "/readyz"
    )


def test_a_hung_check_does_not_keep_the_process(tmp_path):
    """Told to stop, a process whose database hangs must end, not wait for TCP to give up."""
    script = tmp_path / "hung.py"
    script.write_text(
        "import asyncio, threading\n"
        "from aragora_db.operate.health.checks import HealthCheck\n"
        "from aragora_db.operate.health.check_runner import CheckRunner\n"
        "class Hung(HealthCheck):\n"
        "    name, timeout = 'hung', 0.05\n"
        "    def __init__(self): pass\n"
        "    def run(self): threading.Event().wait()\n"
        "print(asyncio.run(CheckRunner([Hung()]).results())['hung'].state)\n"
    )
    done = subprocess.run(
        [sys.executable, script],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "failed\n")
