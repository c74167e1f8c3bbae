"""What a forked child does first: reset the threads, event loops and lock holders that stayed behind in its parent.

The only place that registers with ``os.register_at_fork``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol, TypeVar
from weakref import WeakSet

__all__ = ["ResetsAfterFork", "register", "reset_after_fork"]

R = TypeVar("R", bound=Callable[[], None])


class ResetsAfterFork(Protocol):
    """An object that holds locks, threads or connections of this process."""

    def reset_after_fork(self) -> None:
        """Reset it in a child, before anything else runs there. Must not wait for anybody."""


_objects: WeakSet[ResetsAfterFork] = WeakSet()
_functions: list[Callable[[], None]] = []


def reset_after_fork(thing: ResetsAfterFork) -> None:
    """Call ``thing.reset_after_fork()`` in every child that is forked while it lives."""
    _objects.add(thing)


def register(function: R) -> R:
    """Call a function of a module in every forked child, after the objects were reset; usable as a decorator."""
    _functions.append(function)
    return function


def _in_child() -> None:
    for thing in list(_objects):
        thing.reset_after_fork()
    for function in _functions:
        function()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_in_child)
