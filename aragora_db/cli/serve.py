"""``aragora-db serve``."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Annotated

import typer

from aragora_db.config import Settings
from aragora_db.database import Database
from aragora_db.errors import ConfigurationError

__all__ = ["register"]

_NEEDED = {"starlette": "starlette", "uvicorn": "uvicorn", "prometheus_client": "prometheus-client"}


def register(app: typer.Typer, settings: Callable[[], Settings]) -> None:
    """Add the command to the program; `settings` reads the environment as the others do."""

    @app.command()
    def serve(
        host: Annotated[
            str, typer.Option(help="The address to listen on. 0.0.0.0 is every interface of this machine.")
        ] = "127.0.0.1",
        port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 8080,
        drain_seconds: Annotated[
            float,
            typer.Option(
                min=0, max=300, help="After SIGTERM: how long to go on serving, not ready, so that balancers notice."
            ),
        ] = 5.0,
    ) -> int:
        """Serve health, metrics, a status page and debates over HTTP.

        A database that is down does not stop it: /readyz says so until it is back. SIGTERM makes it not ready, then it
        drains, finishes what is under way (20 s at most) and ends with code 0. A second signal ends it at once, code 1.
        """
        missing = [package for module, package in _NEEDED.items() if find_spec(module) is None]
        if missing:
            raise ConfigurationError(
                f"serving needs {', '.join(missing)}, which is not installed: pip install 'aragora_db[serve]'"
            )
        from aragora_db.operate.health.serve import listen, log_as_json  # noqa: PLC0415 -- the extra `serve` may be missing
        from aragora_db.operate.health.serve import serve as serve_until_told  # noqa: PLC0415 -- as above

        database = Database(settings())  # raises before anything listens
        if database.settings.redis_url is not None:
            _ = database.shared.configured  # as does an address of Redis's that cannot be used
        listener = listen(host, port)
        log_as_json()
        return 0 if serve_until_told(database, listener, drain_seconds) else 1
