"""Debates over HTTP: created, listed newest first, and found by id."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import anyio
from starlette.requests import Request
from starlette.responses import Response

from aragora_db.errors import (
    CommandTimeout,
    CommitUnknown,
    DatabaseError,
    InvalidValue,
    NotFoundError,
    PoolExhausted,
)
from aragora_db.models import Debate
from aragora_db.operate.health.context import Context
from aragora_db.operate.health.problems import RequestRefused
from aragora_db.operate.health.threads import outcome, start
from aragora_db.shared import DEBATE_CREATED, Event
from aragora_db.stores import DebateStore, NewDebate
from aragora_db.types import json_text

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["LARGEST_BODY", "MAX_LIMIT", "Debates"]

log = logging.getLogger("aragora_db.operate.health")

T = TypeVar("T")

LARGEST_BODY = 1024 * 1024
"""Bytes of a request's body."""
MAX_LIMIT = 100
"""Debates per page: each comes with its whole artifact."""

# A page that has this many characters ends early. A hundred artifacts of 1 MiB took 3 GB for four readers, and kept
# /healthz waiting for 7 s, in which an instance is replaced.
_LARGEST_PAGE = 4 * 1024 * 1024
# Seconds. With the wait for a place (ARAGORA_DB_POOL_TIMEOUT, 30) less than the minute after which an AWS load balancer
# answers 504 in our place. Without it a request to a PostgreSQL that hangs took 124 s, eight attempts.
_LONGEST_WAIT = 25.0
_AT_ONCE = 10  # debates of a page that are objects at a time

# The fields of `NewDebate` that a caller may give. Tenants are not among them: nobody has proved to belong to one.
_OPTIONAL = frozenset({"id", "is_public", "consensus_reached", "confidence"})
_MEMBERS = _OPTIONAL | {"task", "agents", "artifact"}


class Debates:
    """The handlers.

    Args:
        context: whose database to use.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        # As many threads as may have a connection, and a few that wait for one.
        settings = context.db.settings
        self._places = anyio.CapacityLimiter(settings.pool_size + settings.pool_max_overflow + 5)

    async def create(self, request: Request) -> Response:
        """Record a debate, once for each id."""
        debate = _new_debate(await _json_body(request), request.headers.get("idempotency-key"))

        def work(session: Session) -> tuple[dict[str, Any], bool]:
            store = DebateStore(session)
            there = debate.id is not None and store.get(str(debate.id)) is not None
            return _document(store.create(debate)), not there

        document, made = await self._in_thread(lambda: self._context.db.transact(work), CommitUnknown)
        if made:
            self._announce(document)
        # Not `request.url`, which is parsed from what the caller says that the host is, and is not quoted.
        where = f"{quote(request.scope['path'])}/{quote(document['id'], safe='')}"
        return _json(json_text.dumps(document), 201 if made else 200, {"Location": where})

    async def list(self, request: Request) -> Response:
        """A page of debates, newest first."""
        limit, after = _limit(request.query_params.get("limit", "50")), request.query_params.get("after")

        # Written here, in the thread, and one by one: json holds the interpreter's lock for as long as it writes.
        def work(session: Session) -> str:
            store, texts, size, token = DebateStore(session), list[str](), 0, after
            while len(texts) < limit and size < _LARGEST_PAGE:
                page = store.list(limit=min(limit - len(texts), _AT_ONCE), after=token)
                some = [json_text.dumps(_document(debate)) for debate in page.items]
                texts, size, token = texts + some, size + sum(map(len, some)), page.next
                if token is None:
                    break
            return f'{{"debates":[{",".join(texts)}],"next":{json_text.dumps(token)}}}'

        return _json(await self._read(work))

    async def get(self, request: Request) -> Response:
        """One debate."""
        key = request.path_params["id"]

        def work(session: Session) -> str:
            debate = DebateStore(session).get(key)
            if debate is None:
                raise NotFoundError("there is no such debate")
            return json_text.dumps(_document(debate))

        return _json(await self._read(work))

    async def _read(self, work: Callable[[Session], T]) -> T:
        # From the primary: a debate made on another instance must be seen here at once.
        return await self._in_thread(lambda: self._context.db.transact(work, read_only=True, primary=True))

    async def _in_thread(self, work: Callable[[], T], late: type[DatabaseError] = CommandTimeout) -> T:
        patience = self._context.db.settings.pool_timeout
        place = object()
        try:
            with anyio.fail_after(patience):
                await self._places.acquire_on_behalf_of(place)
        except TimeoutError:
            raise PoolExhausted(f"as many requests as may wait for a connection did so for {patience:g} s") from None
        loop = asyncio.get_running_loop()

        def leave(_future: Any) -> None:
            try:
                loop.call_soon_threadsafe(self._places.release_on_behalf_of, place)
            except RuntimeError:  # that event loop is closed
                self._places.release_on_behalf_of(place)

        future = start(work, "request")
        future.add_done_callback(leave)  # and not when its caller stops waiting: it may still hold a connection
        try:
            return await outcome(future, _LONGEST_WAIT)
        except TimeoutError as error:
            if future.done():  # it is the work's own
                raise
            raise late(f"a request was not done after {_LONGEST_WAIT:g} s, and goes on", error) from None

    def _announce(self, document: dict[str, Any]) -> None:
        """Tell whoever listens on Redis. The debate is recorded; a Redis that is away does not change that."""
        event = Event(DEBATE_CREATED, document["id"], {"slug": document["slug"]})

        def publish() -> None:
            try:
                self._context.db.shared.events.publish(event)
            except Exception as error:  # noqa: BLE001 -- see above
                log.warning("the event %s was not published: %s", event.type, type(error).__name__)

        start(publish, "event")


async def _json_body(request: Request) -> Any:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RequestRefused(415, "unsupported_media_type", "send JSON, with the header Content-Type: application/json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise RequestRefused(413, "too_large", f"the body is larger than {LARGEST_BODY} bytes")
    try:
        return json_text.loads(body.decode("utf-8-sig"))  # bytes could be UTF-16, too
    except (ValueError, RecursionError):
        raise RequestRefused(400, "malformed", "the body is no JSON in UTF-8") from None


def _new_debate(body: Any, idempotency_key: str | None) -> NewDebate:
    """Return what to create."""
    if not isinstance(body, dict):
        raise InvalidValue('the body must be a JSON object, such as {"task": "..."}')
    members: dict[str, Any] = body  # pyright: ignore[reportUnknownVariableType]
    unknown = members.keys() - _MEMBERS
    if unknown:
        raise InvalidValue(f"the body has {min(unknown)!r}; what it may have is {', '.join(sorted(_MEMBERS))}")
    if "task" not in members:
        raise InvalidValue('the body has no "task"; say what is debated')
    if not isinstance(members.get("agents", []), list):
        raise InvalidValue("agents must be a list of names")
    for name in ("is_public", "consensus_reached"):
        if not isinstance(members.get(name), bool | None):
            raise InvalidValue(f"{name} must be true, false or null")
    given = {name: value for name, value in members.items() if name in _OPTIONAL and value is not None}
    if idempotency_key is not None:
        # Clients that follow draft-ietf-httpapi-idempotency-key-header put quotes around it.
        key = idempotency_key.removeprefix('"').removesuffix('"')
        if given.setdefault("id", key) != key:
            raise InvalidValue("id and the header Idempotency-Key differ; send one of them")
    if given.get("id") in (".", ".."):
        raise InvalidValue("id must not be . or .., which clients take out of an address")
    return NewDebate(members["task"], members.get("agents", []), _artifact(members.get("artifact", {})), **given)


def _artifact(value: Any) -> dict[str, Any]:
    """Return the artifact; the store's own error would name its argument, not the body's member."""
    if not isinstance(value, dict):
        raise InvalidValue(f"artifact must be a JSON object, such as {{}}; got {type(value).__name__}")
    return value  # pyright: ignore[reportUnknownVariableType]


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 6 and 1 <= int(text) <= MAX_LIMIT):  # noqa: PLR2004
        raise InvalidValue(f"limit must be a whole number from 1 to {MAX_LIMIT}")
    return int(text)


def _document(debate: Debate) -> dict[str, Any]:
    return {
        "id": debate.id,
        "slug": debate.slug,
        "task": debate.task,
        "agents": debate.agents,
        "artifact": debate.artifact_json,
        "consensus_reached": debate.consensus_reached,
        "confidence": debate.confidence,
        "is_public": debate.is_public,
        "view_count": debate.view_count,
        "created_at": _instant(debate.created_at),
    }


def _instant(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _json(text: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(text, status, headers, media_type="application/json")
