"""The handler of `/`."""

from __future__ import annotations

import base64
import hashlib
import time
from datetime import UTC, datetime
from importlib.resources import files
from string import Template

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from aragora_db import __version__
from aragora_db.operate.health.check_runner import CheckRunner
from aragora_db.operate.health.context import Context
from aragora_db.operate.health.page import view
from aragora_db.operate.health.page.board import BoardCheck
from aragora_db.operate.health.page.markup import element, join, text
from aragora_db.operate.health.result import HealthReport

__all__ = ["StatusPage"]


class StatusPage:
    """The page, made anew for each request.

    Args:
        context: what to show.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._board = CheckRunner([BoardCheck(context.db)])
        folder = files("aragora_db.operate.health.page")
        self._template = Template((folder / "template.html").read_text("utf-8"))
        self._style = (folder / "style.css").read_text("utf-8")
        self._script = (folder / "refresh.js").read_text("utf-8")
        # By hash, so that the script may parse a newer copy of the page without the browser's complaint.
        self._policy = (
            f"default-src 'none'; style-src {_hash(self._style)}; script-src {_hash(self._script)}; "
            "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )

    async def page(self, _request: Request) -> Response:
        """The status page, for people."""
        report = await self._context.report()
        board = (await self._board.results())["leaderboard"].detail.get("board")
        page = self._template.substitute(
            title=text(f"aragora_db: {report.reason or report.status}"),
            style=self._style,
            script=self._script,
            facts=self._facts(report),
            summary=view.summary(report),
            main=view.main(report, self._context.db.pool_metrics(), board),
        )
        headers = {"Content-Security-Policy": self._policy, "Referrer-Policy": "no-referrer"}
        return HTMLResponse(page, headers=headers)

    def _facts(self, report: HealthReport) -> str:
        up = int(time.monotonic() - self._context.started)
        facts = (
            f"version {__version__}",
            self._context.db.dsn.backend,
            f"up {_spell(up)}",
            f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        )
        return join(element("span", fact) for fact in (*facts, *(["leaving"] if report.draining else [])))


def _hash(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def _spell(seconds: int) -> str:
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds % 60} s"
