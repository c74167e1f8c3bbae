"""Around every request: an id, a line in the access log, a measurement, and an answer whatever happens."""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aragora_db.operate.health.context import Drain
from aragora_db.operate.health.metrics import HttpMetrics
from aragora_db.operate.health.problems import response_to

__all__ = ["Access"]

log = logging.getLogger("aragora_db.access")

# What is not made of these could forge lines in a log that is not JSON; longer ones fill the disk.
_GIVEN_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_LONGEST_PATH = 1024  # characters; journald cuts lines of 48 KiB, and half a line is no JSON
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Access:
    """ASGI middleware.

    Args:
        app: what answers.
        http: what counts requests.
        routes: the path of each endpoint, as the router knows it.
        drain: once begun, connections are closed with their next answer.
    """

    def __init__(self, app: ASGIApp, http: HttpMetrics, routes: dict[Any, str], drain: Drain) -> None:
        self._app, self._http, self._routes, self._drain = app, http, routes, drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Whoever kept a connection until the end would lose the request that crosses with its closing.
        last = self._drain.begun and scope["http_version"].startswith("1")
        began, answer = time.perf_counter(), _ResponseSender(send, _request_id(scope), last)
        try:
            await self._app(scope, receive, answer.send)
        except ClientDisconnect:
            pass  # in the middle of its body: nobody to answer, and nobody's fault
        except Exception as error:
            response = response_to(error)
            if answer.status is not None:  # too late for another one; the server cuts the connection
                raise
            await response(scope, receive, answer.send)
        finally:
            self._note(scope, answer, time.perf_counter() - began)

    def _note(self, scope: Scope, answer: _ResponseSender, seconds: float) -> None:
        route = self._routes.get(scope.get("endpoint"), "none")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        status = answer.status or 499  # nginx's number for "nobody waited for the answer"
        self._http.observe(route, method, status, seconds)
        client = scope.get("client")
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "method": method,
            "path": scope["path"][:_LONGEST_PATH],  # without the query, which may hold what a log must not
            "route": route,
            "status": status,
            "duration_ms": round(seconds * 1000, 3),
            "bytes": answer.size,
            "request_id": answer.request_id,
            "client": client[0] if client else None,
        }
        log.info("%s", json.dumps(line))


class _ResponseSender:
    """An answer on its way out, and whether it is the last one over its connection."""

    def __init__(self, send: Send, request_id: str, last: bool) -> None:
        self._send, self._last = send, last
        self.request_id = request_id
        self.status: int | None = None
        self.size = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self.request_id
            headers["Cache-Control"] = "no-store"
            headers["X-Content-Type-Options"] = "nosniff"
            if self._last:
                headers["Connection"] = "close"
        elif message["type"] == "http.response.body":
            self.size += len(message.get("body", b""))
        await self._send(message)


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
