"""boto3, loaded when it is needed: clients with short timeouts, and what their errors are called."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, Final

from aragora_db.at_fork import reset_after_fork
from aragora_db.errors import ConfigurationError

__all__ = ["AwsClients", "discreet", "error_code", "failures"]

# Seconds. botocore's own are 60 and 60, with four retries, in each region: a start would hang for minutes.
_TIMEOUTS: Final = {"connect_timeout": 2, "read_timeout": 3}
_ATTEMPTS: Final = 2

# At DEBUG they log the whole answer, the headers that log in, and a presigned URL with its signature.
_INDISCREET: Final = ("botocore.auth", "botocore.endpoint", "botocore.parsers")


class AwsClients:
    """The clients of one AWS service, one for each region, made when first asked for. Thread-safe and fork-safe."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._clients: dict[str, Any] = {}
        reset_after_fork(self)

    def of(self, region: str) -> Any:
        """The client of a region.

        Raises:
            ConfigurationError: boto3 is not installed.
        """
        client = self._clients.get(region)
        if client is None:
            config = _module("botocore.config").Config(
                **_TIMEOUTS, retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"}
            )
            # A session of its own: boto3's default session must not be used by two threads at once.
            session = _module("boto3.session").Session()
            client = self._clients.setdefault(region, session.client(self._service, region_name=region, config=config))
        return client

    def reset_after_fork(self) -> None:
        """What a forked child does first: the sockets belong to the parent."""
        self._clients = {}


@contextmanager
def discreet() -> Generator[None]:
    """Keep secrets that botocore logs at DEBUG out of the log, for calls in this block."""
    for name in _INDISCREET:
        logging.getLogger(name).addFilter(_tells_nothing)  # the same filter is added once
    token = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(token)


def _tells_nothing(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG or not _ours.get()


@cache
def failures() -> tuple[type[Exception], ...]:
    """What a call raises when a region does not answer as it should.

    Raises:
        ConfigurationError: boto3 is not installed.
    """
    exceptions = _module("botocore.exceptions")
    # ValueError is what botocore makes of an AWS_ENDPOINT_URL that is no URL.
    return exceptions.ClientError, exceptions.BotoCoreError, OSError, ValueError


def error_code(error: Exception) -> str:
    """AWS's code for an error, such as ``AccessDeniedException``, else the name of its class."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code") or type(error).__name__)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] not in {"boto3", "botocore"}:
            raise
    raise ConfigurationError("AWS needs boto3, which is not installed; pip install 'aragora_db[aws]'")


_ours: ContextVar[bool] = ContextVar("aragora_db_discreet", default=False)
