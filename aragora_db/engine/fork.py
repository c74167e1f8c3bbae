"""A child process never shares a parent's socket."""

from __future__ import annotations

import os
from weakref import WeakSet

from sqlalchemy import Engine

__all__ = ["forget_connections_in_children"]

_engines: WeakSet[Engine] = WeakSet()


def forget_connections_in_children(engine: Engine) -> None:
    """After ``os.fork`` the child starts with an empty pool.

    Two processes writing to one socket mix up their answers. The child leaves the parent's connections alone instead
    of closing them, because a close would say goodbye to the server in the parent's name
    (https://docs.sqlalchemy.org/en/21/core/pooling.html#using-connection-pools-with-multiprocessing-or-os-fork).
    """
    _engines.add(engine)


def _in_child() -> None:
    for engine in list(_engines):
        engine.dispose(close=False)


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_in_child)
