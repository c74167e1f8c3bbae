"""What a check finds, and what all of them together mean for this instance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ["CheckResult", "HealthReport", "HealthState"]


class HealthState(StrEnum):
    """How a dependency is, seen from here."""

    OK = "ok"
    DEGRADED = "degraded"
    """Something is missing that this instance can serve without."""
    FAILED = "failed"
    """This instance cannot serve."""
    NOT_CONFIGURED = "not_configured"


@dataclass(frozen=True)
class CheckResult:
    """What a check found.

    Attributes:
        state: how the dependency is.
        latency_ms: how long the check took, in milliseconds.
        detail: for operators; JSON, without addresses, passwords and texts of exceptions.
    """

    state: HealthState
    latency_ms: float = 0.0
    detail: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong; what is not configured cannot be wrong."""
        return self.state in {HealthState.OK, HealthState.NOT_CONFIGURED}

    @property
    def public(self) -> bool | str:
        """What anybody may see: true, false, or "not_configured"."""
        return HealthState.NOT_CONFIGURED.value if self.state is HealthState.NOT_CONFIGURED else self.ok

    @property
    def full(self) -> dict[str, Any]:
        """What operators see."""
        return {"healthy": self.ok, "state": self.state.value, "latency_ms": self.latency_ms, **self.detail}


@dataclass(frozen=True)
class HealthReport:
    """All results of one moment.

    Attributes:
        results: by the name of the check.
        draining: whether this instance is leaving.
    """

    results: Mapping[str, CheckResult]
    draining: bool = False

    @property
    def failed(self) -> tuple[str, ...]:
        """The checks without which this instance cannot serve."""
        return tuple(name for name, result in self.results.items() if result.state is HealthState.FAILED)

    @property
    def ready(self) -> bool:
        """Whether a load balancer should send requests here (docs/decisions/0025-what-makes-an-instance-unready.md)."""
        return not self.draining and not self.failed

    @property
    def reason(self) -> str | None:
        """Why it is not ready, in one word; None when it is."""
        if self.draining:
            return "draining"
        return self.failed[0] if self.failed else None

    @property
    def degraded(self) -> bool:
        """Whether anything at all is wrong."""
        return not all(result.ok for result in self.results.values())

    @property
    def status(self) -> str:
        """Healthy, degraded (and still serving) or unhealthy."""
        if self.failed:
            return "unhealthy"
        return "degraded" if self.degraded else "healthy"
