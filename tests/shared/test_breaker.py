"""The breaker: opens after three failures, lets one probe through, closes when it finds Redis again."""

from __future__ import annotations

import threading

import pytest
from concurrent_work import Job
from support import HANG_SECONDS

from aragora_db.shared.breaker import CircuitBreaker, CircuitOpen


class Clock:
    """Seconds that pass when the test says so."""

    now = 1000.0

    def __call__(self):
        """The time."""
        return self.now


class Away(Exception):
    """What a call raises when the other side is away."""


def failed(error):
    """What the errors of these tests mean."""
    return True if isinstance(error, Away) else (False if isinstance(error, KeyError) else None)


def fail(error=Away):
    """A call that fails."""

    def work():
        raise error

    return work


@pytest.fixture
def clock():
    """The breaker's clock."""
    return Clock()


@pytest.fixture
def breaker(clock):
    """A breaker over it."""
    return CircuitBreaker(clock)


def fails(breaker, times, error=Away):
    """Let calls fail."""
    for _ in range(times):
        with pytest.raises(error):
            breaker.call(fail(error), failed)


def test_three_failures_in_a_row_open_it(breaker):
    """With Redis away every request would wait for a timeout, for ever."""
    fails(breaker, 2)
    assert breaker.call(lambda: "answer", failed) == "answer"
    fails(breaker, 2)
    assert breaker.state == "closed"
    fails(breaker, 1)
    assert breaker.state == "open"
    with pytest.raises(CircuitOpen):
        breaker.call(lambda: pytest.fail("it was called"), failed)


def test_an_answer_that_is_an_error_is_an_answer(breaker):
    """A refused command would make every other instance do without a Redis that is well."""
    for _ in range(5):
        fails(breaker, 2)
        fails(breaker, 1, KeyError)
    assert breaker.state == "closed"


def test_an_error_of_the_callers_own_says_nothing(breaker):
    """A bug in a caller would open the breaker for everybody, or hide that Redis is away."""
    fails(breaker, 5, ValueError)
    assert breaker.state == "closed"
    fails(breaker, 2)
    fails(breaker, 1, ValueError)
    fails(breaker, 1)
    assert breaker.state == "open"


def test_a_probe_that_finds_redis_closes_it(breaker, clock):
    """Redis would be back, and this process would do without it until it is restarted."""
    fails(breaker, 3)
    clock.now += 1.01
    assert breaker.state == "half_open"
    assert breaker.call(lambda: "back", failed) == "back"
    assert breaker.state == "closed"
    fails(breaker, 2)
    assert breaker.state == "closed"


def test_each_failed_probe_doubles_the_time_up_to_thirty_seconds(breaker, clock):
    """Instances would hammer a Redis that is starting, or find it again only after an hour."""
    fails(breaker, 3)
    for longest in (1, 2, 4, 8, 16, 30, 30, 30):
        clock.now += longest * 0.499
        assert breaker.state == "open"
        clock.now += longest * 0.502
        assert breaker.state == "half_open"
        fails(breaker, 1)
    clock.now += 30.1
    breaker.call(lambda: None, failed)
    fails(breaker, 3)
    clock.now += 1.01
    assert breaker.state == "half_open"


def test_one_probe_at_a_time(breaker, clock):
    """Fifty threads would all wait for the timeout of a Redis that hangs, each time the breaker tries again."""
    fails(breaker, 3)
    clock.now += 1.01
    entered, leave = threading.Event(), threading.Event()

    def probe():
        entered.set()
        assert leave.wait(HANG_SECONDS)

    job = Job(lambda: breaker.call(probe, failed))
    assert entered.wait(HANG_SECONDS)
    with pytest.raises(CircuitOpen):
        breaker.call(lambda: None, failed)
    leave.set()
    job.result()
    assert breaker.state == "closed"


def test_a_probe_that_says_nothing_lets_the_next_one_try(breaker, clock):
    """One bug in the probe, or Ctrl-C during it, would keep the breaker half open for ever."""
    fails(breaker, 3)
    clock.now += 1.01
    fails(breaker, 1, ValueError)
    with pytest.raises(KeyboardInterrupt):
        breaker.call(fail(KeyboardInterrupt), failed)
    assert breaker.call(lambda: "back", failed) == "back"


def test_those_who_find_out_late_count_once(breaker, clock):
    """Fifty threads that lose Redis together would open the breaker for 30 seconds instead of one."""
    entered, release = threading.Semaphore(0), threading.Event()

    def hang():
        entered.release()
        assert release.wait(HANG_SECONDS)
        raise Away

    def call():
        with pytest.raises(Away):
            breaker.call(hang, failed)

    jobs = [Job(call) for _ in range(20)]
    for _ in jobs:
        assert entered.acquire(timeout=HANG_SECONDS), "all of them call before one of them has found out"
    release.set()
    for job in jobs:
        job.result()
    clock.now += 1.01
    assert breaker.state == "half_open"
    breaker.call(lambda: None, failed)
    assert breaker.state == "closed"


def test_a_late_failure_does_not_open_it_again(breaker, clock):
    """A call from before the outage, failing after it, would take Redis away from everybody once more."""
    entered, release = threading.Semaphore(0), threading.Event()

    def hang():
        entered.release()
        assert release.wait(HANG_SECONDS)
        raise Away

    def call():
        with pytest.raises(Away):
            breaker.call(hang, failed)

    jobs = [Job(call) for _ in range(5)]
    for _ in jobs:
        assert entered.acquire(timeout=HANG_SECONDS)
    fails(breaker, 3)
    clock.now += 1.01
    breaker.call(lambda: None, failed)
    release.set()
    for job in jobs:
        job.result()
    assert breaker.state == "closed"
