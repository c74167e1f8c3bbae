"""The server's clock, beside ours."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from aragora_db.operate.doctor.check import DoctorCheck, Fault, Finding, for_server, ok
from aragora_db.operate.doctor.context import DoctorContext

__all__ = ["CHECKS", "judge_clock"]

_SKEW_WARNS: Final = 2.0
_SKEW_BREAKS: Final = 30.0

CLOCK_OFF = Fault(
    "clock-skew",
    "warn",
    "The server's clock and this machine's differ. Orders by time, leases and times to live go by the wrong one.",
    "chronyc tracking  # on both machines; then: systemctl restart chrony",
)
CLOCK_WRONG = Fault(
    "clock-far-off",
    "error",
    f"The clocks differ by more than {_SKEW_BREAKS:g} seconds: tokens and certificates expire early, leases overlap.",
    "chronyc makestep  # on the machine that is wrong: compare with date -u on both",
)


def judge_clock(server: float, ours: float, uncertainty: float) -> Finding:
    """Judge two clocks, in seconds since the epoch.

    Args:
        server: the server's.
        ours: ours, at the middle of the question's way there and back.
        uncertainty: half of that way; the difference may be that much smaller.
    """
    skew = server - ours
    certain = max(0.0, abs(skew) - uncertainty)
    direction = "ahead of" if skew > 0 else "behind"
    message = f"the server's clock is {abs(skew):.1f} s {direction} this machine's"
    if certain > _SKEW_BREAKS:
        return CLOCK_WRONG.found(message)
    if certain > _SKEW_WARNS:
        return CLOCK_OFF.found(message)
    return ok("the server's clock and this machine's agree" if certain == 0 else message)


def _clock(context: DoctorContext) -> Iterator[Finding]:
    context.value("SELECT 1")  # opens the connection, if it is not open yet
    with context.connection.transaction():
        before = time.time()
        row = context.connection.execute("SELECT extract(epoch FROM pg_catalog.clock_timestamp())::float8").fetchone()
        after = time.time()
    yield judge_clock(float(row[0]) if row else 0.0, (before + after) / 2, (after - before) / 2)


CHECKS = (
    DoctorCheck(
        "clock", "Do the server's clock and ours agree?", _clock, (CLOCK_OFF, CLOCK_WRONG), for_server, ("login",)
    ),
)
