"""Running instances, asked over HTTP: alive, ready, connected, and showing the same debates."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import urlsplit

from aragora_db.operate.doctor.check import DoctorCheck, Fault, Finding, for_urls, ok, skipped
from aragora_db.operate.doctor.context import DoctorContext

__all__ = ["CHECKS"]

_SECONDS: Final = 5.0
_LONGEST: Final = 4 * 1024 * 1024  # bytes
_TRIES: Final = 3
_OK: Final = 200

NO_URL = Fault(
    "instance-url-refused",
    "error",
    "What --url was given names no instance.",
    "aragora-db doctor --url http://10.0.0.7:8080  # http:// or https://, host and port",
)
UNREACHABLE = Fault(
    "instance-unreachable",
    "error",
    "The instance does not answer /healthz with 200; a load balancer takes it out of service.",
    "systemctl status aragora  # on that instance; then: curl -si {url}/healthz",
)
NOT_READY = Fault(
    "instance-not-ready",
    "error",
    "The instance runs, and says itself that it is not ready.",
    "curl -s {url}/readyz | jq .  # and: journalctl -u aragora -n 100",
)
NOT_CONNECTED = Fault(
    "dependency-down",
    "error",
    "The instance has no working connection to PostgreSQL or Redis.",
    "aragora-db doctor  # on that instance, with its environment",
)
DIFFERENT_DEBATES = Fault(
    "instances-differ",
    "error",
    "Two instances name different debates as the newest: they use different databases.",
    "compare on every instance the fingerprints that aragora-db doctor shows for database-url",
)


# An instance is inside; a proxy of the environment is for what is outside.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class _InstanceAnswer:
    status: int
    body: dict[str, Any]

    @property
    def checks(self) -> dict[str, Any]:
        """What it looked at, by name."""
        return cast("dict[str, Any]", self.body.get("checks") or {})


def _get(url: str) -> _InstanceAnswer | str:
    """The answer, or why there is none."""
    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 -- `_is_url`
    try:
        with _opener.open(request, timeout=_SECONDS) as response:
            return _InstanceAnswer(response.status, _document(response.read(_LONGEST)))
    except urllib.error.HTTPError as error:
        with error:
            return _InstanceAnswer(error.code, _document(error.read(_LONGEST)))
    except urllib.error.URLError as error:
        return type(error.reason).__name__ if isinstance(error.reason, Exception) else "no answer"
    except (OSError, ValueError) as error:
        return type(error).__name__


def _document(body: bytes) -> dict[str, Any]:
    try:
        read: Any = json.loads(body)
    except ValueError:
        return {}
    return cast("dict[str, Any]", read) if isinstance(read, dict) else {}


def _is_url(text: str) -> bool:
    """Whether it can be the address of an instance."""
    try:
        parts = urlsplit(text)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return named and parts.scheme in {"http", "https"} and not any(map(str.isspace, text))


def _alive(context: DoctorContext) -> Iterator[Finding]:
    answering = context.facts["answering"] = set[str]()
    for url in context.urls:
        if not _is_url(url):
            yield NO_URL.found(f"{url} is no http:// or https:// address")
            continue
        answer = _get(f"{url}/healthz")
        if isinstance(answer, _InstanceAnswer) and answer.status == _OK:
            answering.add(url)
            yield ok(f"{url}/healthz answers 200")
        else:
            message = answer if isinstance(answer, str) else f"status {answer.status}"
            yield UNREACHABLE.found(f"{url}/healthz: {message}", url=url)


def _ready(context: DoctorContext) -> Iterator[Finding]:
    for url in context.urls:
        answer = _get(f"{url}/readyz")
        if isinstance(answer, _InstanceAnswer) and answer.body.get("status") == "ready":
            yield ok(f'{url}/readyz says "ready"')
        elif isinstance(answer, str):
            yield UNREACHABLE.found(f"{url}/readyz: {answer}", url=url)
        else:
            yield NOT_READY.found(f"{url}/readyz: status {answer.status}, failed: {_failed(answer)}", url=url)


def _failed(answer: _InstanceAnswer) -> str:
    return ", ".join(sorted(str(name) for name, value in answer.checks.items() if value is False)) or "unknown"


def _dependencies(context: DoctorContext) -> Iterator[Finding]:
    for url in context.urls:
        answer = _get(f"{url}/readyz/dependencies")
        checks = answer.checks if isinstance(answer, _InstanceAnswer) else dict[str, Any]()
        away = [name for name, value in checks.items() if _is_away(value)]
        if not isinstance(answer, _InstanceAnswer) or not checks:
            message = answer if isinstance(answer, str) else f"status {answer.status}"
            yield UNREACHABLE.found(f"{url}/readyz/dependencies: {message}", url=url)
        elif away:
            yield NOT_CONNECTED.found(f"{url}: not connected: {', '.join(sorted(away))}")
        else:
            connected = [name for name, value in checks.items() if _connection(value).get("connected")]
            yield ok(f"{url} is connected: {', '.join(sorted(connected)) or 'nothing is required'}")


def _connection(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _is_away(value: Any) -> bool:
    connection = _connection(value)
    return value is False or bool(connection.get("configured") and not connection.get("connected"))


def _visibility(context: DoctorContext) -> Iterator[Finding]:
    if len(context.urls) < 2:  # noqa: PLR2004 -- it takes two
        yield skipped("it takes two instances: aragora-db doctor --url http://A:8080 --url http://B:8080")
        return
    newest: dict[str, str] = {}
    for _ in range(_TRIES):  # a debate may come in between the two questions
        newest = {url: _newest(url) for url in context.urls}
        if len(set(newest.values())) == 1:
            break
    if len(set(newest.values())) > 1:
        yield DIFFERENT_DEBATES.found(
            "newest debate: " + ", ".join(f"{url} says {each}" for url, each in newest.items())
        )
    elif "none" in newest.values():
        yield skipped(
            "no debate is there yet, and doctor writes none; make one on one instance and ask again",
            f"curl -X POST {context.urls[0]}/api/v1/debates -H 'Content-Type: application/json' "
            '-d \'{"task":"test shared state"}\'',
        )
    else:
        yield ok(f"every instance names {next(iter(newest.values()))} as the newest debate")


def _newest(url: str) -> str:
    answer = _get(f"{url}/api/v1/debates?limit=1")
    if not isinstance(answer, _InstanceAnswer) or answer.status != _OK:
        return "nothing" if isinstance(answer, str) else f"status {answer.status}"
    debates: list[dict[str, Any]] = answer.body.get("debates") or [{}]
    return str(debates[0].get("id", "none"))


CHECKS = (
    DoctorCheck(
        "alive",
        "Does /healthz, the load balancer's target, answer 200?",
        _alive,
        (NO_URL, UNREACHABLE),
        for_urls,
        (),
        60,
    ),
    DoctorCheck(
        "ready",
        'Does /readyz say "ready" on every instance?',
        _ready,
        (UNREACHABLE, NOT_READY),
        for_urls,
        ("alive",),
        60,
    ),
    DoctorCheck(
        "dependencies",
        "Does /readyz/dependencies show PostgreSQL and Redis connected?",
        _dependencies,
        (UNREACHABLE, NOT_CONNECTED),
        for_urls,
        ("alive",),
        60,
    ),
    DoctorCheck(
        "visibility",
        "Do all instances name the same newest debate? Doctor makes none.",
        _visibility,
        (DIFFERENT_DEBATES,),
        for_urls,
        ("alive",),
        60,
    ),
)
