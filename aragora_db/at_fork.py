"""What a forked child resets first: threads, event loops, lock holders and connections stayed behind in its parent."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol
from weakref import WeakSet

__all__ = ["call_in_children", "reset_in_children"]


class Resettable(Protocol):
    """Something that holds locks, threads or connections of this process."""

    def reset_after_fork(self) -> None:
        """Forget what belongs to the parent; called in a child before anything else, so it must not wait."""


_objects: WeakSet[Resettable] = WeakSet()
_functions: list[Callable[[], None]] = []


def reset_in_children(thing: Resettable) -> None:
    """Call ``thing.reset_after_fork()`` in every child that is forked while it lives."""
    _objects.add(thing)


def call_in_children(function: Callable[[], None]) -> Callable[[], None]:
    """Call a function of a module in every forked child, before the objects are reset; usable as a decorator."""
    _functions.append(function)
    return function


def _reset() -> None:
    for function in _functions:
        function()
    for thing in list(_objects):
        thing.reset_after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_reset)
