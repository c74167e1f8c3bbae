"""What a forked child does first: forget the threads, event loops and lock holders that stayed behind in its parent."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet

__all__ = ["forget_in_children"]


class HasParent(Protocol):
    """Something that holds locks, threads or connections of this process."""

    def forget_parent(self) -> None:
        """Called in a child, before anything else there: must not wait for anybody."""


_all: WeakSet[HasParent] = WeakSet()


def forget_in_children(thing: HasParent) -> None:
    """Call ``thing.forget_parent()`` in every child that is forked while it lives."""
    _all.add(thing)


def _in_child() -> None:
    for thing in list(_all):
        thing.forget_parent()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_in_child)
