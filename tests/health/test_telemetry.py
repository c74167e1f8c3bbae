"""OpenTelemetry hears of each statement and of the pool, under the names of its own conventions."""

from __future__ import annotations

import gc
import sys
import weakref
from contextlib import closing

import pytest
import sqlalchemy as sa
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import db_attributes as developing_attributes
from opentelemetry.semconv._incubating.metrics import db_metrics as developing_metrics
from opentelemetry.semconv.attributes import db_attributes, error_attributes
from opentelemetry.semconv.metrics import db_metrics
from opentelemetry.trace import SpanKind, StatusCode

from aragora_db import Database
from aragora_db.config import Settings
from aragora_db.errors import ConfigurationError, PoolExhausted, UsageError
from aragora_db.operate import telemetry
from aragora_db.stores import EloStore
from aragora_db.testing.engines import EngineDatabase


class _Ears:
    """What was exported."""

    def __init__(self):
        self._spans, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meter_provider = MeterProvider([self._reader])

    @property
    def spans(self):
        return self._spans.get_finished_spans()

    def clear(self):
        self._spans.clear()

    def points(self, name):
        """The data points of one metric."""
        data = self._reader.get_metrics_data()
        found = [
            point
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]
        assert found, name
        return found


@pytest.fixture
def ears():
    """Exporters in memory."""
    ears = _Ears()
    yield ears
    ears.tracer_provider.shutdown()
    ears.meter_provider.shutdown()


@pytest.fixture
def heard(database, ears):
    """A database on each engine, instrumented."""
    telemetry.instrument(database, ears.tracer_provider, ears.meter_provider)
    return database


def test_the_names_are_the_conventions():
    """Dashboards find these names or nothing."""
    assert telemetry.SYSTEM == db_attributes.DB_SYSTEM_NAME
    assert telemetry.NAMESPACE == db_attributes.DB_NAMESPACE
    assert telemetry.OPERATION == db_attributes.DB_OPERATION_NAME
    assert telemetry.QUERY == db_attributes.DB_QUERY_TEXT
    assert telemetry.BATCH == db_attributes.DB_OPERATION_BATCH_SIZE
    assert telemetry.STATUS_CODE == db_attributes.DB_RESPONSE_STATUS_CODE
    assert telemetry.ERROR == error_attributes.ERROR_TYPE
    assert telemetry.POOL == developing_attributes.DB_CLIENT_CONNECTION_POOL_NAME
    assert telemetry.STATE == developing_attributes.DB_CLIENT_CONNECTION_STATE
    assert telemetry.DURATION == db_metrics.DB_CLIENT_OPERATION_DURATION
    assert telemetry.COUNT == developing_metrics.DB_CLIENT_CONNECTION_COUNT
    assert telemetry.MOST == developing_metrics.DB_CLIENT_CONNECTION_MAX
    assert telemetry.TIMEOUTS == developing_metrics.DB_CLIENT_CONNECTION_TIMEOUTS
    assert telemetry.WAIT == developing_metrics.DB_CLIENT_CONNECTION_WAIT_TIME
    assert telemetry.USE == developing_metrics.DB_CLIENT_CONNECTION_USE_TIME


def test_a_span_for_each_statement(heard, ears):
    """A slow request's trace must show which statement it was, and under which request."""
    heard.run(lambda session: session.execute(sa.text("SELECT 1")))
    ears.clear()
    tracer = ears.tracer_provider.get_tracer("caller")

    def work(session):
        return session.execute(sa.text("/* why */ SELECT :number"), {"number": 424242}).all()

    async def request_async():
        with tracer.start_as_current_span("request") as request:
            await heard.transact_async(work)
            return request

    def request_sync():
        with tracer.start_as_current_span("request") as request:
            heard.transact(work)
            return request

    request = request_sync() if heard._runner is None else heard._runner.run(request_async())
    [span] = [each for each in ears.spans if "why" in str(each.attributes.get("db.query.text"))]
    assert span.kind is SpanKind.CLIENT
    assert span.parent.span_id == request.get_span_context().span_id
    assert span.attributes["db.system.name"] == heard.dsn.backend
    assert span.attributes["db.operation.name"] == "SELECT"
    assert span.name == f"SELECT {span.attributes['db.namespace']}"
    assert "424242" not in str(span.attributes), "values stay in the database"
    assert span.status.status_code is StatusCode.UNSET
    assert span.end_time >= span.start_time


def test_verbs_and_batches(heard, ears):
    """A store's statements begin with WITH or come several at a time; the verb says what they do."""
    heard.run(lambda session: EloStore(session).record_match("d", ["ada", "bob"], {"ada": 1.0, "bob": 0.0}))
    assert {span.attributes["db.operation.name"] for span in ears.spans} & {"INSERT", "UPDATE", "BATCH"}
    ears.clear()
    now = "2026-01-01 00:00:00.000000+00:00"
    rows = [{"n": str(number), "now": now} for number in range(3)]
    heard.run(
        lambda session: session.execute(
            sa.text("INSERT INTO elo_ratings (agent_name, updated_at) VALUES ('x' || :n, :now)"),
            rows,
        )
    )
    [span] = [each for each in ears.spans if "elo_ratings" in each.attributes["db.query.text"]]
    assert span.attributes["db.operation.name"] == "INSERT"
    assert span.attributes["db.operation.batch.size"] == 3


def test_an_error_without_its_text(heard, ears):
    """PostgreSQL quotes the row in its messages; a trace is kept elsewhere, and longer."""
    with pytest.raises(Exception, match="no_such_table"):
        heard.run(lambda session: session.execute(sa.text("SELECT * FROM no_such_table")), attempts=1)
    span = ears.spans[-1]
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description is None
    assert span.attributes["error.type"] in {"42P01", "OperationalError"}
    assert not span.events
    [point] = [each for each in ears.points(telemetry.DURATION) if "error.type" in each.attributes]
    assert point.count == 1


def test_the_pool(heard, ears):
    """What OpenTelemetry's own instrumentation lacks: how long they wait, and how long they hold on."""
    for _ in range(3):
        heard.run(lambda session: session.execute(sa.text("SELECT 1")))
    found = heard.pool_metrics()
    assert sum(point.count for point in ears.points(telemetry.WAIT)) == found.wait.count
    assert sum(point.count for point in ears.points(telemetry.USE)) == found.hold.count
    states = {point.attributes["db.client.connection.state"]: point.value for point in ears.points(telemetry.COUNT)}
    assert states == {"used": found.in_use, "idle": found.idle}
    [most] = ears.points(telemetry.MOST)
    assert most.value == found.size + found.max_overflow
    [timeouts] = ears.points(telemetry.TIMEOUTS)
    assert timeouts.value == 0
    assert "127.0.0.1" not in str(most.attributes)


def test_timeouts(engine_case, fresh_databases, ears):
    """The first sign that a pool is too small."""
    url = fresh_databases.url(engine_case.dialect)
    database = EngineDatabase(
        Settings.explicit(database_url=url, pool_size=1, pool_max_overflow=0, pool_timeout=1), engine_case
    )
    telemetry.instrument(database, ears.tracer_provider, ears.meter_provider)

    async def twice():
        async with database.async_session() as one, database.async_session() as other:
            await one.execute(sa.text("SELECT 1"))
            await other.execute(sa.text("SELECT 1"))

    def twice_sync():
        with database.session() as one, database.session() as other:
            one.execute(sa.text("SELECT 1"))
            other.execute(sa.text("SELECT 1"))

    with pytest.raises(PoolExhausted):
        twice_sync() if database._runner is None else database._runner.run(twice())
    [point] = ears.points(telemetry.TIMEOUTS)
    assert point.value == 1
    database.end()


def test_once_is_enough(heard, ears):
    """Twice, every figure would be double and nobody would know why."""
    with pytest.raises(UsageError, match="instrumented already"):
        telemetry.instrument(heard, ears.tracer_provider, ears.meter_provider)


def test_others_are_left_alone(heard, fresh_databases, ears):
    """A program has other databases, which it did not ask to trace."""
    ears.clear()
    other = EngineDatabase(fresh_databases.url("sqlite"), heard.case)
    other.transact(lambda session: session.execute(sa.text("SELECT 1")))
    other.end()
    assert ears.spans == ()


def test_it_does_not_keep_the_database(fresh_databases, ears):
    """Tests and tools make many databases; providers live as long as the process."""
    database = Database(fresh_databases.url("sqlite"))
    telemetry.instrument(database, ears.tracer_provider, ears.meter_provider)
    database.transact(lambda session: session.execute(sa.text("SELECT 1")))
    database.close()
    gone = weakref.ref(database)
    del database
    gc.collect()
    assert gone() is None
    assert ears.points(telemetry.WAIT), "what was counted is there"


def test_without_the_package(fresh_databases, monkeypatch):
    """The message must say which extra, not which module."""
    for name in [each for each in sys.modules if each.split(".")[0] == "opentelemetry"]:
        monkeypatch.setitem(sys.modules, name, None)
    missing = pytest.raises(ConfigurationError, match=r"pip install 'aragora_db\[otel\]'")
    with closing(Database(fresh_databases.url("sqlite"))) as database, missing:
        telemetry.instrument(database)
