"""Debates created under an address of their own, viewed, completed and removed."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa

from aragora_db.engine.dialects import insert
from aragora_db.errors import ConflictError, InvalidValue
from aragora_db.models import Debate
from aragora_db.rules import debates as rules
from aragora_db.search import index
from aragora_db.sql.locks import serialize
from aragora_db.sql.text import starts_with
from aragora_db.stores import checks
from aragora_db.stores.debates.base import Part, missing, scope
from aragora_db.stores.rows import check_rows, same_json

__all__ = ["Publishing"]


class Publishing(Part):
    """What happens to single debates."""

    def create(
        self,
        task: str,
        agents: Sequence[str],
        artifact: Mapping[str, Any],
        *,
        id: str | None = None,  # noqa: A002 -- the column's name
        org_id: str | None = None,
        workspace_id: str | None = None,
        is_public: bool | None = None,
        consensus_reached: bool | None = None,
        confidence: float | None = None,
        created_at: datetime | None = None,
    ) -> Debate:
        """Publish a debate under a slug of its own: words of the task, the day, and a number if that is taken.

        Any number of processes may create debates of one task: each gets another number, none gets an error. (Aragora
        counted the slugs that were there, and two that counted at once collided.)

        Args:
            task: what is debated.
            agents: who takes part.
            artifact: the whole document.
            id: its key; a new UUID by default. With a key that is there, the debate must be the same, and is returned.
            org_id: the tenant it belongs to.
            workspace_id: the workspace; the organisation by default.
            is_public: None means that nobody decided.
            consensus_reached: whether the agents agreed.
            confidence: how sure they are, 0 to 1.
            created_at: when; now by default.

        Raises:
            InvalidValue: an argument out of range; nothing was written.
            ConflictError: this id has another task, other agents, another artifact or another tenant.
        """
        when = checks.clock("created_at", created_at)
        row: dict[str, Any] = {
            "id": str(uuid.uuid4()) if id is None else checks.key("id", id),
            "task": checks.name("task", task),
            "agents": checks.names("agents", agents),
            "artifact_json": _document("artifact", artifact),
            "org_id": None if org_id is None else checks.key("org_id", org_id),
            "workspace_id": org_id if workspace_id is None else checks.key("workspace_id", workspace_id),
            "is_public": is_public,
            "consensus_reached": consensus_reached,
            "confidence": None if confidence is None else checks.share("confidence", confidence),
            "created_at": when,
        }
        check_rows(self._session, Debate, [row])
        self._session.flush()
        base = slug = rules.slug(task, when.date())
        while (made := self._insert(row, slug)) is None:
            stored = self.get(str(row["id"]))
            if stored is not None:
                return _same(stored, row)
            # From here on one at a time: no other `create` takes the number that is free now. Who writes slugs without
            # the lock, such as an import, may; then the next one is free.
            serialize(self._session, f"slug {base}")
            slug = f"{base}-{self._next_number(base)}"
        index.follow(self._session, Debate, {made.id: [made.task]}, new=True)
        return made

    def get(self, id: str, *, org_id: str | None = None) -> Debate | None:  # noqa: A002 -- the column's name
        """A debate by key, or None."""
        return self._first(Debate.id == id, *scope(org_id))

    def by_slug(self, slug: str, *, org_id: str | None = None) -> Debate | None:
        """A debate by slug, or None; its views are not counted, see `view`."""
        return self._first(Debate.slug == slug, *scope(org_id))

    def view(self, slug: str, *, org_id: str | None = None) -> Debate | None:
        """A debate by slug, or None, with one more view; two at once count two."""
        self._session.flush()
        return self._session.scalars(
            sa.update(Debate)
            .where(Debate.slug == slug, *scope(org_id))
            .values(view_count=Debate.view_count + 1)
            .returning(Debate),
            execution_options={"populate_existing": True, "synchronize_session": False},
        ).one_or_none()

    def update(self, id: str, *, org_id: str | None = None, **changes: Any) -> Debate:  # noqa: A002 -- as above
        """Change a debate under its lock.

        Args:
            id: the debate.
            org_id: the tenant that asks.
            changes: any of ``artifact_json``, ``consensus_reached``, ``confidence``, ``is_public``, ``audio_path``,
                ``audio_generated_at``, ``audio_duration_seconds`` and ``workspace_id``.

        Raises:
            InvalidValue: another field, or a value out of range; nothing was written.
            NotFoundError: there is no such debate, or it belongs to another tenant.
        """
        unknown = changes.keys() - _CHANGEABLE
        if unknown:
            raise InvalidValue(f"{min(unknown)} cannot be changed; what can is " + ", ".join(sorted(_CHANGEABLE)))
        if changes.get("confidence") is not None:
            checks.share("confidence", changes["confidence"])
        if changes.get("audio_duration_seconds") is not None:
            checks.count("audio_duration_seconds", changes["audio_duration_seconds"])
        if "artifact_json" in changes:
            changes["artifact_json"] = _document("artifact_json", changes["artifact_json"])
        check_rows(self._session, Debate, [changes])
        debate = self._session.scalars(
            sa.select(Debate).where(Debate.id == id, *scope(org_id)).with_for_update(),
            execution_options={"populate_existing": True},
        ).one_or_none()
        if debate is None:
            raise missing(id)
        for name, value in changes.items():
            setattr(debate, name, value)
        self._session.flush()
        return debate

    def set_visibility(self, id: str, is_public: bool | None, *, org_id: str | None = None) -> Debate:  # noqa: A002 -- as above
        """Make a debate public or private; None takes the decision back.

        Raises:
            InvalidValue: it is neither.
            NotFoundError: there is no such debate, or it belongs to another tenant.
        """
        return self.update(
            id, org_id=org_id, is_public=None if is_public is None else checks.flag("is_public", is_public)
        )

    def attach_audio(
        self,
        id: str,  # noqa: A002 -- as above
        path: str,
        *,
        duration_seconds: int | None = None,
        org_id: str | None = None,
        now: datetime | None = None,
    ) -> Debate:
        """Say where a debate's recording is, when it was made and how long it takes; replaces the one before.

        Args:
            id: the debate.
            path: the file.
            duration_seconds: its length; None is not known.
            org_id: the tenant that asks.
            now: when it was made; now by default.

        Raises:
            InvalidValue: an argument out of range; nothing was written.
            NotFoundError: there is no such debate, or it belongs to another tenant.
        """
        return self.update(
            id,
            org_id=org_id,
            audio_path=checks.name("path", path),
            audio_generated_at=checks.clock("now", now),
            audio_duration_seconds=duration_seconds,
        )

    def delete(self, id: str, *, org_id: str | None = None) -> bool:  # noqa: A002 -- as above
        """Remove a debate; whether it was there, for this tenant."""
        self._session.flush()
        gone = self._session.execute(sa.delete(Debate).where(Debate.id == id, *scope(org_id)).returning(Debate.id))
        return gone.one_or_none() is not None

    def _insert(self, row: dict[str, Any], slug: str) -> Debate | None:
        statement = insert(self._session, Debate).values(**row, slug=slug).on_conflict_do_nothing().returning(Debate)
        return self._session.scalars(statement).one_or_none()

    def _next_number(self, base: str) -> int:
        taken = self._session.scalars(sa.select(Debate.slug).where(starts_with(Debate.slug.expression, f"{base}-")))
        numbers = [int(tail) for slug in taken if (tail := slug.removeprefix(f"{base}-")).isdecimal()]
        return max(numbers, default=1) + 1

    def _first(self, *which: Any) -> Debate | None:
        statement = sa.select(Debate).where(*which)
        return self._session.scalars(statement, execution_options={"populate_existing": True}).one_or_none()


_CHANGEABLE = frozenset(
    {
        "artifact_json",
        "audio_duration_seconds",
        "audio_generated_at",
        "audio_path",
        "confidence",
        "consensus_reached",
        "is_public",
        "workspace_id",
    }
)


def _document(argument: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidValue(f"{argument} must be a JSON object, such as {{}}; got {type(value).__name__}")
    return dict(cast("Mapping[str, Any]", value))


def _same(stored: Debate, row: Mapping[str, Any]) -> Debate:
    """The stored debate, if it is the one that was to be created."""
    if (
        stored.task != row["task"]
        or stored.org_id != row["org_id"]
        or not same_json([stored.agents, stored.artifact_json], [row["agents"], row["artifact_json"]])
    ):
        raise ConflictError(
            f"debate {stored.id} is there with other content; change it with DebateStore.update, or choose another id"
        )
    return stored
