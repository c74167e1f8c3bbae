"""The schemas of every body, as JSON Schema 2020-12, which OpenAPI 3.1 uses as it is."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["SCHEMAS"]

_BOOLEAN: Final = {"type": "boolean"}
_NUMBER: Final = {"type": "number", "minimum": 0}
_COUNT: Final = {"type": "integer", "minimum": 0}
_TEXT: Final = {"type": "string"}
_CHECKED: Final = {"enum": [True, False, "not_configured"]}
_REASON: Final = {"type": "string", "description": "Why not: draining, or the check that failed."}
_READY: Final = {"enum": ["ready", "not_ready"]}
_HEALTHY: Final = {"enum": ["healthy", "degraded", "unhealthy"]}
_INSTANT: Final = {"type": "string", "format": "date-time"}


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _may_be_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "type": [schema["type"], "null"]}


_CONNECTION: Final = _object({"configured": _BOOLEAN, "connected": _BOOLEAN, "required": _BOOLEAN})
_FULL_CHECK: Final = {
    "type": "object",
    "properties": {
        "healthy": _BOOLEAN,
        "state": {"enum": ["ok", "degraded", "failed", "not_configured"]},
        "latency_ms": _NUMBER,
        "error": {"type": "string", "description": "The class of the error; its text is in the log."},
    },
    "required": ["healthy"],
}
_CHECKS: Final = (
    "degraded_mode",
    "database",
    "database_pool",
    "schema",
    "storage",
    "elo",
    "redis",
    "replicas",
    "secrets",
)

_AGENTS: Final = {"type": "array", "items": {"type": "string", "minLength": 1}}
_SHARE: Final = {"type": "number", "minimum": 0, "maximum": 1}

SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "Alive": _object({"status": {"const": "ok"}}),
    "Readiness": _object(
        {
            "status": _READY,
            "checks": _object(
                {
                    "degraded_mode": {
                        "type": "boolean",
                        "description": "The check passed: true means that nothing is degraded.",
                    },
                    "storage_initialized": _BOOLEAN,
                    "elo_initialized": _BOOLEAN,
                    "redis_pool": _CHECKED,
                    "db_pool": _CHECKED,
                }
            ),
            "latency_ms": _NUMBER,
            "fast_probe": _BOOLEAN,
            "full_validation": _TEXT,
        },
        {"reason": _REASON},
    ),
    "Dependencies": _object(
        {
            "status": _READY,
            "checks": _object(
                {
                    "storage": _BOOLEAN,
                    "elo_system": _BOOLEAN,
                    "schema": _BOOLEAN,
                    "redis": _CONNECTION,
                    "postgresql": _CONNECTION,
                    "replicas": _CHECKED,
                    "secrets": _CHECKED,
                },
                {"sqlite": _CONNECTION},
            ),
            "latency_ms": _NUMBER,
        },
        {"reason": _REASON},
    ),
    "Health": _object(
        {
            "status": _HEALTHY,
            "timestamp": _INSTANT,
            "checks": _object({name: {"anyOf": [_CHECKED, _FULL_CHECK]} for name in _CHECKS}),
        },
        {
            "reason": _REASON,
            "version": _TEXT,
            "uptime_seconds": _NUMBER,
            "draining": _BOOLEAN,
            "response_time_ms": _NUMBER,
        },
    ),
    "DatabaseHealth": _object(
        {
            "status": _HEALTHY,
            "backend": {"enum": ["postgresql", "sqlite"]},
            "connected": _BOOLEAN,
            "latency_ms": _NUMBER,
            "schema": {"enum": ["at head", "behind", "ahead", "diverged", "empty", "unversioned", "unknown"]},
            "pool": _object({"size": _COUNT, "max_overflow": _COUNT, "in_use": _COUNT, "idle": _COUNT}),
        },
        {"checks": {"type": "object", "additionalProperties": _FULL_CHECK}},
    ),
    "NewDebate": _object(
        {"task": {"type": "string", "minLength": 1, "description": "What is debated."}},
        {
            "agents": {**_AGENTS, "uniqueItems": True, "default": []},
            "artifact": {"type": "object", "default": {}, "description": "The whole document."},
            "id": {"type": "string", "minLength": 1, "description": "Its key; a new UUID by default."},
            "consensus_reached": _may_be_null(_BOOLEAN),
            "confidence": _may_be_null(_SHARE),
            "is_public": _may_be_null(_BOOLEAN),
        },
    ),
    "Debate": _object(
        {
            "id": _TEXT,
            "slug": _TEXT,
            "task": _TEXT,
            "agents": {"type": "array"},
            "artifact": {"type": "object"},
            "consensus_reached": _may_be_null(_BOOLEAN),
            "confidence": _may_be_null({"type": "number"}),
            "is_public": _may_be_null(_BOOLEAN),
            "view_count": _COUNT,
            "created_at": _INSTANT,
        }
    ),
    "DebatePage": _object(
        {
            "debates": {"type": "array", "items": {"$ref": "#/components/schemas/Debate"}},
            "next": {"type": ["string", "null"], "description": "Pass it as `after`; null when these are the last."},
        }
    ),
    "Error": _object({"error": _object({"code": _TEXT, "message": _TEXT})}),
    "OpenApi": {"type": "object", "required": ["openapi", "info", "paths"]},
}
