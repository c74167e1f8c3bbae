"""The guard: whatever command Alembic runs, only steps forward get through, each with its row in the history."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from alembic.util import CommandError

from aragora_db.errors import ForwardOnlyError
from aragora_db.migrations import history

if TYPE_CHECKING:
    from alembic.runtime.environment import EnvironmentContext
    from alembic.runtime.migration import MigrationContext

__all__ = ["NoWayBack", "no_way_back", "only_forward"]

log = logging.getLogger("aragora_db.migrations")

Steps = Callable[[Any, "MigrationContext"], Iterable[Any]]


class NoWayBack(ForwardOnlyError, CommandError):
    """`ForwardOnlyError` that Alembic's own command line prints as one line instead of a traceback."""


def refusal(what: str, where: str) -> NoWayBack:
    """The error for an attempt to go back."""
    return NoWayBack(
        f"{what}: the schema and its record only move forward, and {where}. "
        "To undo a revision write a new one that reverses it (aragora-db revision -m TEXT --reverses REVISION, see "
        "docs/guide/migrations.md); to return to older data restore a backup"
    )


def no_way_back(name: str) -> Any:
    """The ``__getattr__`` of every revision module: answers for the ``downgrade`` that none of them has.

    Alembic reads ``module.downgrade`` before it runs anything, also under an ``env.py`` that is not ours.
    """
    if name == "downgrade":
        raise refusal("downgrade refused", "this revision was applied")
    raise AttributeError(name)


def only_forward(context: EnvironmentContext, before_each: Callable[[], None]) -> Steps:
    """Wrap the function that plans a command's steps; given to ``context.configure(fn=...)``.

    Args:
        context: configured already, so that its planning function can be read.
        before_each: called before each step, to make sure that the migration lock is still held.

    Raises:
        NoWayBack: the command, or (when Alembic calls the wrapper, before any statement of a step) its steps, would
            not go forward.
    """
    migration_context = context.get_context()
    plan: Steps = migration_context.opts["fn"]
    if getattr(migration_context, "purge", False):
        # Now, because Alembic deletes the version row before it asks for a plan.
        raise refusal("stamp --purge refused", _where(migration_context.get_current_heads(), migration_context))

    def guarded(heads: Any, migration_context: MigrationContext) -> Iterable[Any]:
        where = _where(heads, migration_context)
        if plan.__name__ == "downgrade":  # also one that would find nothing to do
            raise refusal("downgrade refused", where)
        try:
            steps = list(plan(heads, migration_context))
        except NoWayBack:
            raise refusal("downgrade refused", where) from None
        for step in steps:
            info: Any = step.info
            if info.is_stamp:
                raise refusal("stamp refused, a stamped revision was never run", where)
            if not info.is_upgrade:
                raise refusal("downgrade refused", where)
        if not steps:
            _refuse_target_behind(context, heads, where)
        for step in steps:
            _on_record(step, before_each)
        return steps

    return guarded


def _where(heads: Any, migration_context: MigrationContext) -> str:
    """Where the database is; with ``--sql`` none is looked at."""
    at = ", ".join(heads or ()) or "no revision"
    return f"this SQL starts at {at}" if migration_context.as_sql else f"this database is at {at}"


def _refuse_target_behind(context: EnvironmentContext, heads: Any, where: str) -> None:
    """Alembic takes ``upgrade`` to an older revision for "nothing to do"."""
    target = context.context_opts.get("destination_rev")
    if target is None or target in ("head", "heads"):
        return
    try:
        resolved = tuple(script.revision for script in context.script.get_revisions(target))
    except CommandError:
        resolved = ()
    if not heads or resolved != tuple(heads):
        named = target if isinstance(target, str) else ", ".join(target)
        raise refusal(f"going to {named} refused, it does not lie ahead", where)


def _on_record(step: Any, before_each: Callable[[], None]) -> None:
    """Write the history row after the step's own statements and before Alembic moves the version.

    The trigger on the version table lets it move only to the newest row of the history.
    """
    run = step.migration_fn

    def recorded(**keywords: Any) -> None:
        before_each()
        log.info("applying %s", step.revision.revision)
        started = time.perf_counter()
        run(**keywords)
        history.record(step.revision.revision, step.revision.down_revision, (time.perf_counter() - started) * 1000)

    step.migration_fn = recorded
