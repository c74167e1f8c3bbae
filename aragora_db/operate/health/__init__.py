"""Health: checks of everything the data layer stands on, and the small ASGI application around them.

Needs the extra ``serve``. Nothing here is loaded by ``import aragora_db``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aragora_db.errors import ConfigurationError

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from aragora_db.database import Database
    from aragora_db.operate.health.context import Drain

__all__ = ["app"]


def app(db: Database, *, drain: Drain | None = None) -> Starlette:
    """The application: probes, metrics, status page, and debates over HTTP.

    It may be mounted under a prefix of another application: ``Mount("/data", app(db))``.

    Args:
        db: the database; the caller closes it.
        drain: a switch that makes the instance not ready, for a server that is about to stop.

    Raises:
        ConfigurationError: Starlette or prometheus_client is not installed.
    """
    try:
        from aragora_db.operate.health.asgi import build  # noqa: PLC0415 -- the extra `serve` may be missing
    except ModuleNotFoundError as error:
        if str(error.name).startswith("aragora_db"):
            raise
        raise ConfigurationError(
            f"the health endpoints need {error.name}, which is not installed: pip install 'aragora_db[serve]'"
        ) from error
    return build(db, drain)
