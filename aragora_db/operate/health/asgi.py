"""The application put together: the table of endpoints, its OpenAPI document, and what surrounds every request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from aragora_db import __version__
from aragora_db.operate.health.access import Access
from aragora_db.operate.health.context import Context, Drain
from aragora_db.operate.health.debates import MAX_LIMIT, Debates
from aragora_db.operate.health.endpoints import Endpoint, Parameter, ResponseDoc
from aragora_db.operate.health.metrics import Metrics
from aragora_db.operate.health.page.handler import StatusPage
from aragora_db.operate.health.probes import Probes
from aragora_db.operate.health.problems import routing_error
from aragora_db.operate.health.schemas import SCHEMAS

if TYPE_CHECKING:
    from aragora_db.database import Database

__all__ = ["build"]

_INVALID = ResponseDoc("a value is missing, or out of range", "Error")
_AWAY = ResponseDoc("try again", "Error", headers={"Retry-After": "seconds to wait"})


class _OpenApi:
    """The handler of the document itself."""

    def __init__(self) -> None:
        self._document: dict[str, Any] = {}

    def describe(self, endpoints: tuple[Endpoint, ...]) -> None:
        """Write the document."""
        paths: dict[str, dict[str, Any]] = {}
        for endpoint in endpoints:
            paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = endpoint.operation
        self._document = {
            "openapi": "3.1.0",
            "info": {
                "title": "aragora_db",
                "version": __version__,
                "description": "Health of Aragora's data layer, its metrics, and debates.",
                "license": {"name": "MIT", "identifier": "MIT"},
            },
            "servers": [{"url": "."}],
            "paths": paths,
            "components": {
                "schemas": SCHEMAS,
                "securitySchemes": {
                    "operator": {
                        "type": "http",
                        "scheme": "bearer",
                        "description": "ARAGORA_HEALTH_TOKEN: shows the checks in full.",
                    }
                },
            },
        }

    async def document(self, _request: Request) -> Response:
        """This document."""
        return JSONResponse(self._document)


def build(db: Database, drain: Drain | None = None) -> Starlette:
    """The application over a database; see `aragora_db.operate.health.app`."""
    context = Context(db, drain or Drain())
    metrics, openapi = Metrics(context), _OpenApi()
    endpoints = (
        *_pages(context, metrics, openapi),
        *_probes(Probes(context)),
        *_debates(Debates(context)),
    )
    openapi.describe(endpoints)
    paths = {endpoint.handler: endpoint.path for endpoint in endpoints}
    application = Starlette(
        routes=[endpoint.route for endpoint in endpoints],
        middleware=[Middleware(Access, http=metrics.http, routes=paths, drain=context.drain)],
        exception_handlers={HTTPException: routing_error},
    )
    application.router.redirect_slashes = False
    application.state.methods = {endpoint.handler: _methods(endpoint.path, endpoints) for endpoint in endpoints}
    return application


def _methods(path: str, endpoints: tuple[Endpoint, ...]) -> list[str]:
    methods = {endpoint.method for endpoint in endpoints if endpoint.path == path}
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))


def _pages(context: Context, metrics: Metrics, openapi: _OpenApi) -> tuple[Endpoint, ...]:
    page = ResponseDoc("HTML, complete without JavaScript", media_types=("text/html",))
    text = ResponseDoc(
        "the text format of Prometheus, or OpenMetrics when asked for",
        media_types=("text/plain", "application/openmetrics-text"),
    )
    return (
        Endpoint("GET", "/", StatusPage(context).page, "people", {200: page}),
        Endpoint("GET", "/metrics", metrics.metrics, "operation", {200: text}),
        Endpoint("GET", "/openapi.json", openapi.document, "operation", {200: ResponseDoc("OpenAPI 3.1", "OpenApi")}),
    )


def _probes(probes: Probes) -> tuple[Endpoint, ...]:
    def answers(schema: str) -> dict[int, ResponseDoc]:
        return {
            200: ResponseDoc("this instance can serve", schema),
            503: ResponseDoc("it cannot, or is leaving", schema),
        }

    return (
        Endpoint("GET", "/healthz", probes.healthz, "probes", {200: ResponseDoc("the process lives", "Alive")}),
        Endpoint("GET", "/readyz", probes.readyz, "probes", answers("Readiness")),
        Endpoint("GET", "/readyz/dependencies", probes.dependencies, "probes", answers("Dependencies")),
        Endpoint("GET", "/api/health", probes.health, "operation", answers("Health"), for_operators=True),
        Endpoint("GET", "/api/health/db", probes.database, "operation", answers("DatabaseHealth"), for_operators=True),
    )


def _debates(debates: Debates) -> tuple[Endpoint, ...]:
    key = Parameter(
        "Idempotency-Key",
        "header",
        "Becomes the debate's id: a request that is sent again makes no second one.",
        {"type": "string", "minLength": 1},
    )
    limit = Parameter(
        "limit", "query", "debates per page", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 50}
    )
    after = Parameter("after", "query", "`next` of the page before", {"type": "string"})
    number = Parameter("id", "path", "the debate's id", {"type": "string"})
    where = {"Location": "its address"}
    return (
        Endpoint(
            "POST",
            "/api/v1/debates",
            debates.create,
            "debates",
            {
                200: ResponseDoc("it was there already", "Debate", headers=where),
                201: ResponseDoc("it is recorded", "Debate", headers=where),
                400: ResponseDoc("the body is no JSON", "Error"),
                409: ResponseDoc("another debate has this id", "Error"),
                413: ResponseDoc("the body is too large", "Error"),
                415: ResponseDoc("the body is not sent as JSON", "Error"),
                422: _INVALID,
                503: ResponseDoc("try again, with the same Idempotency-Key", "Error", headers=_AWAY.headers),
            },
            parameters=(key,),
            body="NewDebate",
        ),
        Endpoint(
            "GET",
            "/api/v1/debates",
            debates.list,
            "debates",
            {200: ResponseDoc("newest first", "DebatePage"), 422: _INVALID, 503: _AWAY},
            parameters=(limit, after),
        ),
        Endpoint(
            "GET",
            "/api/v1/debates/{id}",
            debates.get,
            "debates",
            {
                200: ResponseDoc("the debate", "Debate"),
                404: ResponseDoc("there is none", "Error"),
                422: _INVALID,
                503: _AWAY,
            },
            parameters=(number,),
        ),
    )
