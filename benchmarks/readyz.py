"""Requests a second: /readyz of `aragora-db serve` against a route of Starlette's that says a constant."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from time import perf_counter

from grown import both_dialects
from measure import Result, against, in_turns

from aragora_db.testing.client import OwnKeeper, ask
from aragora_db.testing.process import free_port

REQUESTS, CONNECTIONS = 1_000, 8
NOTES = (
    f"Each run sends {REQUESTS:,} requests over {CONNECTIONS} kept connections to another process of the same machine,",
    "with PostgreSQL and Redis behind it. /readyz looks at both, at most once a second, and answers from that.",
)

PEER = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
app = Starlette(routes=[Route("/constant", lambda request: JSONResponse({"status": "ready"}))])
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)
"""


def measure(runs: int) -> Result:
    """A real server process each."""
    with ExitStack() as stack:
        database = stack.enter_context(both_dialects("readyz"))["postgresql"]("readyz")
        redis = ask(stack.enter_context(closing(OwnKeeper())).control, "redis")
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        environment = {"DATABASE_URL": database.dsn.url(), "ARAGORA_REDIS_URL": redis["url"]}
        ours, peer = free_port(), free_port()
        serve = [sys.executable, "-P", "-m", "aragora_db", "serve", "--port", str(ours), "--drain-seconds", "0"]
        stack.enter_context(_process(serve, environment, folder))
        stack.enter_context(_process([sys.executable, "-c", PEER, str(peer)], {}, folder))
        actions = {
            "a constant of Starlette": _load(peer, "/constant"),
            "/healthz": _load(ours, "/healthz"),
            "/readyz": _load(ours, "/readyz"),
            "/readyz/dependencies": _load(ours, "/readyz/dependencies"),
        }
        seconds = in_turns(actions, runs)
    rows = against("a constant of Starlette", seconds)
    rates = ", ".join(f"{row.name} {REQUESTS / row.median:,.0f}" for row in rows)
    return Result("readyz", "Health requests", rows, (*NOTES, f"Requests a second: {rates}."))


@contextmanager
def _process(command: list[str], environment: dict[str, str], folder: str) -> Iterator[None]:
    with Path(folder, "server.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _load(port: int, path: str) -> Callable[[], float]:
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()

    async def client() -> None:
        for _ in range(100):
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                break
            except OSError:
                await asyncio.sleep(0.1)
        else:
            raise RuntimeError(f"nothing listens on {port}")
        for _ in range(REQUESTS // CONNECTIONS):
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
            await reader.readexactly(int(length.split(b":")[1]))
        writer.close()

    async def clients() -> None:
        await asyncio.gather(*(client() for _ in range(CONNECTIONS)))

    def run() -> float:
        start = perf_counter()
        asyncio.run(clients())
        return perf_counter() - start

    return run
