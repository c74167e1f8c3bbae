"""What Prometheus scrapes: https://prometheus.io/docs/instrumenting/exposition_formats/.

A registry of its own: the process's default one belongs to the application that mounts this one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from aragora_db import __version__
from aragora_db.operate.health.context import Context
from aragora_db.operate.health.result import CheckResult, HealthReport, HealthState

if TYPE_CHECKING:
    from aragora_db.engine.pool_metrics import Durations, PoolMetrics

__all__ = ["HttpMetrics", "Metrics"]

_VERDICTS = ("at head", "behind", "ahead", "diverged", "empty", "unversioned")
_BREAKER = ("closed", "half_open", "open")


class HttpMetrics:
    """Counts requests by route, method and status: never by path, of which there are as many as callers like.

    Args:
        registry: where they are exposed.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "aragora_db_http_requests", "Requests answered.", ["route", "method", "status"], registry=registry
        )
        self._seconds = Histogram(
            "aragora_db_http_request_duration_seconds",
            "Time from the request's head to the last byte of the answer.",
            ["route", "method"],
            registry=registry,
        )

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route, method).observe(seconds)


class Metrics:
    """The handler of `/metrics`.

    Args:
        context: what to report on.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._registry = CollectorRegistry()
        self.http = HttpMetrics(self._registry)

    async def metrics(self, request: Request) -> Response:
        """Everything, in the format that the scraper asks for."""
        report = await self._context.report()
        pool = self._context.db.pool_metrics()
        families = [*_of_instance(report), *_of_checks(report.results), *_of_pool(pool), *self._registry.collect()]
        try:
            encode, media_type = choose_encoder(request.headers.get("accept", ""))
        except (TypeError, ValueError):  # a version that is none
            encode, media_type = choose_encoder("")
        return Response(encode(_Families(families)), headers={"Content-Type": media_type})


class _Families(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _of_instance(report: HealthReport) -> Iterator[Metric]:
    build = GaugeMetricFamily("aragora_db_build_info", "The version that runs.", labels=["version"])
    build.add_metric([__version__], 1)
    yield build
    yield GaugeMetricFamily("aragora_db_ready", "1 when /readyz answers 200.", value=report.ready)
    yield GaugeMetricFamily("aragora_db_degraded", "1 when a check failed or is degraded.", value=report.degraded)
    yield GaugeMetricFamily("aragora_db_draining", "1 when this instance is leaving.", value=report.draining)


def _of_checks(results: Mapping[str, CheckResult]) -> Iterator[Metric]:
    healthy = GaugeMetricFamily(
        "aragora_db_check_ok", "1 when the check found nothing wrong; absent when not configured.", labels=["check"]
    )
    seconds = GaugeMetricFamily("aragora_db_check_duration_seconds", "Time of the last check.", labels=["check"])
    for name, result in results.items():
        if result.state is not HealthState.NOT_CONFIGURED:
            healthy.add_metric([name], result.ok)
            seconds.add_metric([name], result.latency_ms / 1000)
    yield from (healthy, seconds)
    yield _one_of("aragora_db_schema_state", "1 for how the schema is.", _VERDICTS, results["schema"].detail, "verdict")
    if results["redis"].state is not HealthState.NOT_CONFIGURED:
        detail = results["redis"].detail
        yield _one_of("aragora_db_redis_breaker_state", "1 for how the breaker is.", _BREAKER, detail, "breaker")
    yield from _of_replicas(results["replicas"].detail.get("replicas", ()))
    age = results["secrets"].detail.get("age_seconds")
    if age is not None:
        yield GaugeMetricFamily("aragora_db_secrets_age_seconds", "Since the secrets were read.", value=age)


def _of_replicas(replicas: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
    healthy = GaugeMetricFamily("aragora_db_replica_healthy", "1 when the replica takes part.", labels=["replica"])
    lag = GaugeMetricFamily("aragora_db_replica_lag_seconds", "How far it is behind.", labels=["replica"])
    for each in replicas:
        label = [str(each["replica"])]
        healthy.add_metric(label, bool(each["healthy"]))
        if each["lag_seconds"] is not None:
            lag.add_metric(label, each["lag_seconds"])
    yield from (family for family in (healthy, lag) if family.samples)


def _of_pool(pool: PoolMetrics) -> Iterator[Metric]:
    prefix = "aragora_db_pool"
    yield GaugeMetricFamily(f"{prefix}_size", "Connections that are kept open.", value=pool.size)
    yield GaugeMetricFamily(f"{prefix}_max_overflow", "Connections beyond them.", value=pool.max_overflow)
    connections = GaugeMetricFamily(f"{prefix}_connections", "Open connections.", labels=["state"])
    connections.add_metric(["in_use"], pool.in_use)
    connections.add_metric(["idle"], pool.idle)
    yield connections
    overflow = max(pool.in_use + pool.idle - pool.size, 0)
    yield GaugeMetricFamily(f"{prefix}_overflow", "Open connections beyond the size.", value=overflow)
    yield CounterMetricFamily(f"{prefix}_checkouts", "Connections handed out.", value=pool.checkouts)
    yield CounterMetricFamily(f"{prefix}_timeouts", "Times that none became free in time.", value=pool.timeouts)
    yield _histogram(f"{prefix}_wait_seconds", "From asking for a connection to having one.", pool.wait)
    yield _histogram(f"{prefix}_hold_seconds", "From having a connection to giving it back.", pool.hold)


def _histogram(name: str, text: str, durations: Durations) -> Metric:
    bounds = [(str(bound), float(count)) for bound, count in durations.buckets]
    return HistogramMetricFamily(name, text, [*bounds, ("+Inf", float(durations.count))], sum_value=durations.total)


def _one_of(name: str, text: str, states: tuple[str, ...], detail: Mapping[str, Any], member: str) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["state"])
    for state in states:
        family.add_metric([state.replace(" ", "_")], detail.get(member) == state)
    return family
