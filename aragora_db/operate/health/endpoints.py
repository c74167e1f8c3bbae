"""The one table of endpoints: the router and the OpenAPI document are both made from it, so they cannot differ."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

__all__ = ["JSON", "Endpoint", "Parameter", "ResponseDoc"]

JSON = "application/json"


@dataclass(frozen=True)
class ResponseDoc:
    """What comes back with one status.

    Attributes:
        description: when.
        schema: the name of its schema in `aragora_db.operate.health.schemas`; None for text.
        media_types: what it may be.
        headers: names of headers, each with its meaning.
    """

    description: str
    schema: str | None = None
    media_types: tuple[str, ...] = (JSON,)
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def document(self) -> dict[str, Any]:
        """As OpenAPI writes it."""
        schema = {"type": "string"} if self.schema is None else {"$ref": f"#/components/schemas/{self.schema}"}
        document: dict[str, Any] = {
            "description": self.description,
            "content": {each: {"schema": schema} for each in self.media_types},
        }
        if self.headers:
            document["headers"] = {
                name: {"description": text, "schema": {"type": "string"}} for name, text in self.headers.items()
            }
        return document


@dataclass(frozen=True)
class Parameter:
    """A parameter: in the path, the query or a header."""

    name: str
    where: str
    description: str
    schema: Mapping[str, Any]

    @property
    def document(self) -> dict[str, Any]:
        """As OpenAPI writes it."""
        return {
            "name": self.name,
            "in": self.where,
            "required": self.where == "path",
            "description": self.description,
            "schema": dict(self.schema),
        }


@dataclass(frozen=True)
class Endpoint:
    """One method of one path.

    Attributes:
        method: GET also answers HEAD.
        path: with parameters in braces.
        handler: what answers.
        tag: the chapter of the document.
        answers: by status.
        parameters: what it takes beside the body.
        body: the name of the body's schema.
        for_operators: whether the operators' token shows more.
    """

    method: str
    path: str
    handler: Callable[[Request], Awaitable[Response]]
    tag: str
    answers: Mapping[int, ResponseDoc]
    parameters: tuple[Parameter, ...] = ()
    body: str | None = None
    for_operators: bool = False

    @property
    def route(self) -> Route:
        """As the router knows it."""
        # An id may hold slashes.
        return Route(self.path.replace("{id}", "{id:path}"), self.handler, methods=[self.method])

    @property
    def operation(self) -> dict[str, Any]:
        """As OpenAPI writes it."""
        words = (self.handler.__doc__ or "").strip().splitlines()
        document: dict[str, Any] = {
            "operationId": self.handler.__qualname__.replace(".", "_").lower(),
            "summary": words[0].rstrip(".") if words else self.path,
            "tags": [self.tag],
            "responses": {str(status): answer.document for status, answer in self.answers.items()},
        }
        if self.parameters:
            document["parameters"] = [parameter.document for parameter in self.parameters]
        if self.body is not None:
            schema = {"$ref": f"#/components/schemas/{self.body}"}
            document["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
        if self.for_operators:
            document["security"] = [{}, {"operator": []}]
        return document
