"""OpenTelemetry: a span for each statement, and the pool's metrics. Needs the extra ``otel``, of it only the API.

OpenTelemetry's own instrumentation for SQLAlchemy has neither wait time nor time-outs nor hold time. Names are those of
https://opentelemetry.io/docs/specs/semconv/db/ (attributes and duration stable, pool metrics in development).
"""

from __future__ import annotations

import re
import time
import weakref
from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, event

from aragora_db import __version__
from aragora_db.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
    from opentelemetry.metrics import Meter as OtelMeter
    from opentelemetry.trace import Tracer, TracerProvider

    from aragora_db.database import Database

__all__ = ["instrument"]

SYSTEM: Final = "db.system.name"
NAMESPACE: Final = "db.namespace"
OPERATION: Final = "db.operation.name"
QUERY: Final = "db.query.text"
BATCH: Final = "db.operation.batch.size"
STATUS_CODE: Final = "db.response.status_code"
ERROR: Final = "error.type"
POOL: Final = "db.client.connection.pool.name"
STATE: Final = "db.client.connection.state"

DURATION: Final = "db.client.operation.duration"
COUNT: Final = "db.client.connection.count"
MOST: Final = "db.client.connection.max"
TIMEOUTS: Final = "db.client.connection.timeouts"
WAIT: Final = "db.client.connection.wait_time"
USE: Final = "db.client.connection.use_time"

# What the conventions advise for the duration; the SDK's defaults are meant for milliseconds.
_BOUNDS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)

_FIRST_WORD = re.compile(r"\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*(\w+)", re.DOTALL)

_instrumented: weakref.WeakSet[Database] = weakref.WeakSet()


def instrument(
    db: Database, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
) -> None:
    """Trace and measure a database.

    Every engine is followed, those of replicas and of later event loops too. Spans hold statements with their
    placeholders, never parameters; so what is written into SQL text by hand is seen.

    Args:
        db: the database.
        tracer_provider: the global one by default.
        meter_provider: the global one by default.

    Raises:
        ConfigurationError: opentelemetry-api is not installed.
        UsageError: it is instrumented already, and everything would be counted twice.
    """
    try:
        from opentelemetry import metrics, trace  # noqa: PLC0415 -- the extra `otel` may be missing
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "telemetry needs opentelemetry-api, which is not installed: pip install 'aragora_db[otel]'"
        ) from error
    if db in _instrumented:
        raise UsageError("this database is instrumented already; once is enough for all of its engines")
    _instrumented.add(db)
    namespace = db.dsn.parameters.get("dbname") or (PurePath(db.dsn.path).name if db.dsn.path else "memory")
    common = {SYSTEM: db.dsn.backend, NAMESPACE: namespace}
    tracer = trace.get_tracer(__name__, __version__, tracer_provider)
    meter = metrics.get_meter(__name__, __version__, meter_provider)
    pool = {POOL: f"{db.settings.application_name}/{namespace}"}
    _observe_pool(weakref.ref(db), meter, pool)
    db.observe_pools(_Pool(meter, pool, _Statements(tracer, meter, common)))


class _Statements:
    """Spans and durations of statements."""

    def __init__(self, tracer: Tracer, meter: OtelMeter, common: dict[str, str]) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode  # noqa: PLC0415 -- the extra `otel` may be missing

        self._tracer, self._common = tracer, common
        self._kind, self._failed = SpanKind.CLIENT, Status(StatusCode.ERROR)
        self._duration = meter.create_histogram(
            DURATION, "s", "Duration of database client operations.", explicit_bucket_boundaries_advisory=_BOUNDS
        )

    def listen(self, engine: Engine) -> None:
        event.listen(engine, "before_cursor_execute", self._begin)
        event.listen(engine, "after_cursor_execute", self._end)
        event.listen(engine, "handle_error", self._fail)

    def _begin(
        self, _connection: Connection, _cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        operation = _operation(context, statement)
        attributes: dict[str, Any] = {**self._common, OPERATION: operation, QUERY: statement}
        if many and len(parameters) > 1:
            attributes[BATCH] = len(parameters)
        span = self._tracer.start_span(f"{operation} {self._common[NAMESPACE]}", kind=self._kind, attributes=attributes)
        context.aragora_span = span, operation, time.perf_counter()

    def _end(
        self, _connection: Connection, _cursor: Any, _statement: str, _parameters: Any, context: Any, _m: bool
    ) -> None:
        self._finish(context, {})

    def _fail(self, problem: Any) -> None:
        original = problem.original_exception
        state = getattr(original, "sqlstate", None)
        # Not its text: the server quotes values of rows there.
        found = {ERROR: state or type(original).__name__} | ({STATUS_CODE: state} if state else {})
        if problem.execution_context is not None:
            self._finish(problem.execution_context, found)

    def _finish(self, context: Any, error: dict[str, str]) -> None:
        begun = context.__dict__.pop("aragora_span", None)
        if begun is None:
            return
        span, operation, since = begun
        if error:
            span.set_attributes(error)
            span.set_status(self._failed)
        span.end()
        self._duration.record(time.perf_counter() - since, {**self._common, OPERATION: operation, **error})


def _operation(context: Any, statement: str) -> str:
    """The verb; of a WITH the one it leads to, where SQLAlchemy knows it."""
    for name in ("insert", "update", "delete"):
        if getattr(context, f"is{name}", False):
            return name.upper()
    word = _FIRST_WORD.match(statement)
    # Nothing but a comment is what `aragora_db.engine.batch` sends in one call: several statements, one round trip.
    return word.group(1).upper() if word else "BATCH"


def _observe_pool(database: weakref.ref[Database], meter: OtelMeter, pool: dict[str, str]) -> None:
    """What the pool's meter knows at any time."""
    from opentelemetry.metrics import Observation  # noqa: PLC0415 -- the extra `otel` may be missing

    def observed(read: Callable[[Any], Iterable[Observation]]) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def callback(_options: CallbackOptions) -> Iterable[Observation]:
            db = database()
            return read(db.pool_metrics()) if db is not None else ()

        return callback

    meter.create_observable_up_down_counter(
        COUNT,
        [
            observed(
                lambda found: (
                    Observation(found.in_use, {**pool, STATE: "used"}),
                    Observation(found.idle, {**pool, STATE: "idle"}),
                )
            )
        ],
        "{connection}",
        "The number of connections that are currently in the state.",
    )
    meter.create_observable_up_down_counter(
        MOST,
        [observed(lambda found: (Observation(found.size + found.max_overflow, pool),))],
        "{connection}",
        "The maximum number of open connections allowed.",
    )
    meter.create_observable_counter(
        TIMEOUTS,
        [observed(lambda found: (Observation(found.timeouts, pool),))],
        "{timeout}",
        "The number of connection timeouts that have occurred trying to obtain a connection from the pool.",
    )


class _Pool:
    """Wait and use of connections, and the engines whose statements are traced."""

    def __init__(self, meter: OtelMeter, pool: dict[str, str], statements: _Statements) -> None:
        self._pool, self._statements = pool, statements
        self._wait = meter.create_histogram(
            WAIT,
            "s",
            "The time it took to obtain an open connection from the pool.",
            explicit_bucket_boundaries_advisory=_BOUNDS,
        )
        self._use = meter.create_histogram(
            USE,
            "s",
            "The time between borrowing a connection and returning it to the pool.",
            explicit_bucket_boundaries_advisory=_BOUNDS,
        )

    def attached(self, engine: Engine) -> None:
        self._statements.listen(engine)

    def waited(self, seconds: float) -> None:
        self._wait.record(seconds, self._pool)

    def held(self, seconds: float) -> None:
        self._use.record(seconds, self._pool)
