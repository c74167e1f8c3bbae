"""The answers to probes and operators: `/healthz`, `/readyz`, `/api/health` and what is below them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from aragora_db import __version__
from aragora_db.config.guard import distributed_required
from aragora_db.operate.health.context import Context
from aragora_db.operate.health.result import HealthReport, HealthState

__all__ = ["Probes"]


class Probes:
    """The handlers.

    Args:
        context: what to answer about.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    async def healthz(self, _request: Request) -> Response:
        """The process lives. Neither database nor Redis is asked: a restart would mend neither."""
        return JSONResponse({"status": "ok"})

    async def readyz(self, _request: Request) -> Response:
        """Whether to send requests here."""
        began = time.perf_counter()
        report = await self._context.report()
        found = report.results
        body: dict[str, Any] = {
            "status": _ready(report),
            "checks": {
                # "The check of degraded mode passed": true means not degraded. The guide's name, kept.
                "degraded_mode": not report.degraded,
                "storage_initialized": found["schema"].state is not HealthState.FAILED and found["storage"].ok,
                "elo_initialized": found["elo"].ok,
                "redis_pool": found["redis"].public,
                "db_pool": found["database"].ok and found["database_pool"].ok,
            },
            "latency_ms": _milliseconds_since(began),
            "fast_probe": True,
            "full_validation": "/readyz/dependencies",
        }
        return _answer(report, body)

    async def dependencies(self, _request: Request) -> Response:
        """Whether each dependency can be reached."""
        began = time.perf_counter()
        report = await self._context.report()
        found = report.results
        redis = found["redis"]
        database = {"configured": True, "connected": found["database"].ok, "required": True}
        absent = {"configured": False, "connected": False, "required": False}
        body: dict[str, Any] = {
            "status": _ready(report),
            "checks": {
                "storage": found["storage"].ok,
                "elo_system": found["elo"].ok,
                "schema": found["schema"].ok,
                "redis": {
                    "configured": redis.state is not HealthState.NOT_CONFIGURED,
                    "connected": redis.state is HealthState.OK,
                    "required": distributed_required(self._context.db.settings),
                },
                "postgresql": absent,
                self._context.db.dsn.backend: database,
                "replicas": found["replicas"].public,
                "secrets": found["secrets"].public,
            },
            "latency_ms": _milliseconds_since(began),
        }
        return _answer(report, body)

    async def health(self, request: Request) -> Response:
        """Every check: true or false for anybody, in full for operators."""
        began = time.perf_counter()
        report = await self._context.report()
        body: dict[str, Any] = {"status": report.status, "timestamp": _now()}
        if self._context.from_operator(request):
            body |= {
                "version": __version__,
                "uptime_seconds": round(time.monotonic() - self._context.started, 3),
                "draining": report.draining,
                "checks": {"degraded_mode": {"healthy": not report.degraded}}
                | {name: result.full for name, result in report.results.items()},
                "response_time_ms": _milliseconds_since(began),
            }
        else:
            body["checks"] = {"degraded_mode": not report.degraded} | {
                name: result.public for name, result in report.results.items()
            }
        return _answer(report, body)

    async def database(self, request: Request) -> Response:
        """The database alone."""
        report = await self._context.report()
        relevant = {name: report.results[name] for name in ("database", "database_pool", "schema")}
        own = HealthReport(relevant)
        pool = relevant["database_pool"]
        body: dict[str, Any] = {
            "status": own.status,
            "backend": self._context.db.dsn.backend,
            "connected": relevant["database"].ok,
            "latency_ms": relevant["database"].latency_ms,
            "schema": relevant["schema"].detail.get("verdict", "unknown"),
            "pool": {name: pool.detail.get(name, 0) for name in ("size", "max_overflow", "in_use", "idle")},
        }
        if self._context.from_operator(request):
            body["checks"] = {name: result.full for name, result in relevant.items()}
        return JSONResponse(body, 503 if own.failed else 200)


def _ready(report: HealthReport) -> str:
    return "ready" if report.ready else "not_ready"


def _answer(report: HealthReport, body: dict[str, Any]) -> Response:
    if report.reason is not None:
        body["reason"] = report.reason
    return JSONResponse(body, 200 if report.ready else 503)


def _milliseconds_since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 3)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
