"""Debates: published once, found again, viewed, and how they ended."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, ClassVar, NamedTuple, cast

import sqlalchemy as sa

from aragora_db.engine.dialects import insert
from aragora_db.errors import ConflictError, InvalidValue, NotFoundError
from aragora_db.models import Critique, Debate, DebateKeywords, DebateResult
from aragora_db.rules import debates as rules
from aragora_db.search import index
from aragora_db.search.keywords import with_words
from aragora_db.sql.locks import serialize
from aragora_db.sql.text import starts_with
from aragora_db.stores import checks
from aragora_db.stores.base import UNSET, Store, Unset
from aragora_db.stores.paging import DEFAULT_LIMIT, Keyset, Page
from aragora_db.stores.rows import check_rows, same_json

__all__ = ["DebateStats", "DebateStore", "NewCritique", "NewDebate", "NewResult"]

_NEWEST = Keyset(Debate.created_at.desc(), Debate.id.desc())
_NEWEST_CRITIQUES = Keyset(Critique.created_at.desc(), Critique.id.desc())
_CRITIQUES_IN_ORDER = Keyset(Critique.created_at, Critique.id)
_FRESH: dict[str, Any] = {"populate_existing": True}


@dataclass(frozen=True)
class NewDebate:
    """A debate to publish.

    Attributes:
        task: what is debated.
        agents: the names of the agents that take part, each once.
        artifact_json: the whole document.
        id: its key; None means a new UUID.
        org_id: the organisation it belongs to; None means the store's, and none if the store has none.
        workspace_id: its workspace; None means the organisation.
        is_public: None means that nobody decided.
        consensus_reached: whether the agents agreed; None means not known.
        confidence: how sure they are, 0 to 1.
    """

    task: str
    agents: Sequence[str]
    artifact_json: Mapping[str, Any]
    id: str | None = None
    org_id: str | None = None
    workspace_id: str | None = None
    is_public: bool | None = None
    consensus_reached: bool | None = None
    confidence: float | None = None


@dataclass(frozen=True)
class NewCritique:
    """A critique to record with a result; `expected_usefulness` is 0 to 1, `severity` any finite number."""

    agent: str
    target_agent: str | None = None
    issues: Sequence[str] = ()
    suggestions: Sequence[str] = ()
    severity: float | None = None
    reasoning: str | None = None
    expected_usefulness: float = 0.5


@dataclass(frozen=True)
class NewResult:
    """How a debate ended, to record.

    Attributes:
        id: the debate.
        task: what was debated.
        final_answer: what the agents answered.
        consensus_reached: whether they agreed; None means not known.
        confidence: how sure they are, 0 to 1.
        rounds_used: the number of rounds.
        duration_seconds: how long the debate took, in seconds.
        grounded_verdict: a verdict with its evidence.
        critiques: what the agents said about each other's proposals, in order.
    """

    id: str
    task: str
    final_answer: str | None = None
    consensus_reached: bool | None = None
    confidence: float | None = None
    rounds_used: int | None = None
    duration_seconds: float | None = None
    grounded_verdict: Mapping[str, Any] | None = None
    critiques: Sequence[NewCritique] = ()


class DebateStats(NamedTuple):
    """Debates in figures; `agreed` counts those that reached consensus."""

    debates: int
    public: int
    agreed: int
    views: int


class DebateStore(Store):
    """Debates with their results and critiques; see `Store` for its arguments.

    With ``org_id`` every verb is confined to the debates of that organisation: another one's debate, result or
    critique is as if it did not exist. A result and its critiques belong to the organisation of the debate with the
    same id; without such a debate they belong to nobody, and a confined store does not return them.
    """

    has_tenants: ClassVar[bool] = True

    # -- single debates -----------------------------------------------------------------------------------------------

    def create(self, debate: NewDebate, *, created_at: datetime | None = None) -> Debate:
        """Publish a debate under a slug of its own: words of the task, the day, and a number if that is taken.

        Any number of processes may create debates of one task: each gets another number, none gets an error. (Aragora
        counted the slugs that were there, and two that counted at once collided.)

        Args:
            debate: what to publish. With the id of a stored debate it must be the same one, which is then returned.
            created_at: the time of publication; None means now.

        Raises:
            InvalidValue: a value is out of range, or ``org_id`` is not that of a confined store; nothing is written.
            ConflictError: the debate with this id has another task, other agents, another artifact or another
                organisation. A confined store also refuses an id whose debate or result is not its organisation's, and
                says no more than that.
        """
        at = self._now(created_at, "created_at")
        org_id = self._owner(debate.org_id)
        row: dict[str, Any] = {
            "id": str(uuid.uuid4()) if debate.id is None else checks.key("id", debate.id),
            "task": checks.name("task", debate.task),
            "agents": checks.names("agents", debate.agents),
            "artifact_json": _document(debate.artifact_json),
            "org_id": org_id,
            "workspace_id": org_id if debate.workspace_id is None else checks.key("workspace_id", debate.workspace_id),
            "is_public": debate.is_public,
            "consensus_reached": debate.consensus_reached,
            "confidence": None if debate.confidence is None else checks.share("confidence", debate.confidence),
            "created_at": at,
        }
        check_rows(self.session, Debate, [row])
        self.session.flush()
        base = slug = rules.slug(debate.task, at.date())
        while (made := self._insert(row, slug)) is None:
            # Any organisation's: ids are unique over all of them, and `_same` says nothing about another one's.
            stored = self._first(Debate.id == row["id"])
            if stored is not None:
                return self._same(stored, row)
            # From here on one at a time: no other `create` takes the number that is free now. Who writes slugs without
            # the lock, such as an import, may; then the next one is free.
            serialize(self.session, f"slug {base}")
            slug = f"{base}-{self._next_number(base)}"
        if self.org_id is not None and debate.id is not None:
            self._refuse_what_others_left(made)
        index.follow(self.session, Debate, {made.id: [made.task]}, new=True)
        return made

    def get(self, id: str) -> Debate | None:  # noqa: A002 -- the column's name
        """Return the debate with this id, or None."""
        return self._first(Debate.id == id, *self._own_debates())

    def get_many(self, ids: Iterable[str]) -> dict[str, Debate]:
        """Return several debates by id, in the order asked for; those that do not exist are left out.

        Raises:
            InvalidValue: more than 10,000 ids, or one text instead of ids.
        """
        return self._get_many(Debate, "ids", ids, *self._own_debates())

    def by_slug(self, slug: str) -> Debate | None:
        """Return the debate with this slug, or None; its views are not counted, see `view`."""
        return self._first(Debate.slug == slug, *self._own_debates())

    def view(self, slug: str) -> Debate | None:
        """Count one more view of the debate with this slug and return it, or None; two at once count two."""
        self.session.flush()
        return self.session.scalars(
            sa.update(Debate)
            .where(Debate.slug == slug, *self._own_debates())
            .values(view_count=Debate.view_count + 1)
            .returning(Debate),
            execution_options={"populate_existing": True, "synchronize_session": False},
        ).one_or_none()

    def update(
        self,
        id: str,  # noqa: A002 -- the column's name
        *,
        artifact_json: Mapping[str, Any] | Unset = UNSET,
        consensus_reached: bool | Unset | None = UNSET,
        confidence: float | Unset | None = UNSET,
        is_public: bool | Unset | None = UNSET,
        audio_path: str | Unset | None = UNSET,
        audio_generated_at: datetime | Unset | None = UNSET,
        audio_duration_seconds: int | Unset | None = UNSET,
        workspace_id: str | Unset | None = UNSET,
    ) -> Debate:
        """Change the columns that are given, under the debate's lock; `UNSET` keeps a column, None sets it to NULL.

        Raises:
            InvalidValue: a value is out of range; nothing is written.
            NotFoundError: there is no such debate.
        """
        given: dict[str, Any] = {
            "artifact_json": artifact_json if isinstance(artifact_json, Unset) else _document(artifact_json),
            "consensus_reached": consensus_reached,
            "confidence": confidence,
            "is_public": is_public,
            "audio_path": audio_path,
            "audio_generated_at": audio_generated_at,
            "audio_duration_seconds": audio_duration_seconds,
            "workspace_id": workspace_id,
        }
        changes = {name: value for name, value in given.items() if value is not UNSET}
        if changes.get("workspace_id") is not None:
            checks.key("workspace_id", changes["workspace_id"])
        if changes.get("confidence") is not None:
            checks.share("confidence", changes["confidence"])
        if changes.get("audio_duration_seconds") is not None:
            checks.count("audio_duration_seconds", changes["audio_duration_seconds"])
        check_rows(self.session, Debate, [changes])
        debate = self.session.scalars(
            sa.select(Debate).where(Debate.id == id, *self._own_debates()).with_for_update(), execution_options=_FRESH
        ).one_or_none()
        if debate is None:
            raise _missing(id)
        for name, value in changes.items():
            setattr(debate, name, value)
        self.session.flush()
        return debate

    def set_visibility(self, id: str, *, is_public: bool | None) -> Debate:  # noqa: A002 -- the column's name
        """Make a debate public or private; None takes the decision back.

        Raises:
            InvalidValue: ``is_public`` is not True, False or None.
            NotFoundError: there is no such debate.
        """
        return self.update(id, is_public=None if is_public is None else checks.flag("is_public", is_public))

    def attach_audio(
        self,
        id: str,  # noqa: A002 -- the column's name
        audio_path: str,
        *,
        audio_duration_seconds: int | None = None,
        audio_generated_at: datetime | None = None,
    ) -> Debate:
        """Record where a debate's recording is, when it was made and how long it takes; replace the one before.

        Args:
            id: the debate.
            audio_path: the file.
            audio_duration_seconds: its length in seconds; None means not known.
            audio_generated_at: when the recording was made; None means now.

        Raises:
            InvalidValue: an argument is out of range; nothing is written.
            NotFoundError: there is no such debate.
        """
        return self.update(
            id,
            audio_path=checks.name("audio_path", audio_path),
            audio_generated_at=self._now(audio_generated_at, "audio_generated_at"),
            audio_duration_seconds=audio_duration_seconds,
        )

    def delete(self, id: str) -> None:  # noqa: A002 -- the column's name
        """Remove a debate. Its result and critiques stay, and then belong to no organisation.

        Raises:
            NotFoundError: there is no such debate.
        """
        self.session.flush()
        gone = self.session.execute(sa.delete(Debate).where(Debate.id == id, *self._own_debates()).returning(Debate.id))
        if gone.one_or_none() is None:
            raise _missing(id)

    # -- many debates -------------------------------------------------------------------------------------------------

    def list(
        self,
        *,
        workspace_id: str | None = None,
        is_public: bool | None = None,
        limit: int = DEFAULT_LIMIT,
        after: str | None = None,
    ) -> Page[Debate]:
        """Return debates, newest first.

        Args:
            workspace_id: only those of this workspace.
            is_public: only those that are public, or those that are decided not to be.
            limit: debates per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: an argument is out of range, or ``after`` is not a token of this listing.
        """
        which: Any = [*self._own_debates()]
        if workspace_id is not None:
            which.append(Debate.workspace_id == checks.key("workspace_id", workspace_id))
        if is_public is not None:
            which.append(Debate.is_public.is_(sa.true() if checks.flag("is_public", is_public) else sa.false()))
        return self._page(_NEWEST, sa.select(Debate).where(*which), limit=limit, after=after)

    def search(self, text: str, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[Debate]:
        """Return debates whose task has all of these words, newest first.

        Case does not count in any script, see `aragora_db.search.keywords.matches`. ``rat*`` as the last word finds
        words that begin so. A text without a word finds nothing.

        Args:
            text: the words.
            limit: debates per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: an argument is out of range, or ``after`` is not a token of this listing.
        """
        rows = with_words(self.session, sa.select(Debate), Debate.id, DebateKeywords, [text])
        return self._page(_NEWEST, rows.where(*self._own_debates()), limit=limit, after=after)

    def stats(self) -> DebateStats:
        """Count the debates in one statement, which reads all of them, or all of the organisation's."""

        def how_many(condition: Any) -> Any:
            return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)

        row = self.session.execute(
            sa.select(
                sa.func.count(),
                how_many(Debate.is_public.is_(sa.true())),
                how_many(Debate.consensus_reached.is_(sa.true())),
                sa.func.coalesce(sa.func.sum(Debate.view_count), 0),
            ).where(*self._own_debates())
        ).one()
        return DebateStats(*(int(each) for each in row))

    # -- results and critiques ----------------------------------------------------------------------------------------

    def record_result(self, result: NewResult, *, created_at: datetime | None = None) -> DebateResult:
        """Record how a debate ended, with its critiques, once: recording the same again changes nothing.

        Args:
            result: what to record.
            created_at: the time of the result and its critiques; None means now.

        Raises:
            InvalidValue: a value is out of range; nothing is written.
            NotFoundError: the store is confined, and its organisation has no such debate.
            ConflictError: this debate is recorded with another end, or with other critiques.
        """
        at = self._now(created_at, "created_at")
        row = _result_row(result)
        said = [_critique_row(each) for each in result.critiques]
        check_rows(self.session, DebateResult, [row])
        check_rows(self.session, Critique, said)
        self.session.flush()
        self._hold_own_debate(result.id)
        statement = insert(self.session, DebateResult).values(**row, created_at=at)
        made = self.session.scalars(statement.on_conflict_do_nothing().returning(DebateResult)).one_or_none()
        if made is None:
            return self._same_result(row, said)
        if said:
            rows = [{**each, "debate_id": result.id, "created_at": at} for each in said]
            self.session.execute(sa.insert(Critique), rows)
        return made

    def result(self, id: str) -> DebateResult | None:  # noqa: A002 -- the column's name
        """Return how a debate ended, or None."""
        statement = sa.select(DebateResult).where(DebateResult.id == id, *self._own(DebateResult.id))
        return self.session.scalars(statement, execution_options=_FRESH).one_or_none()

    def critiques(self, debate_id: str, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[Critique]:
        """Return the critiques of a debate, in the order in which they were recorded.

        Args:
            debate_id: the debate.
            limit: critiques per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or ``after`` is not a token of this listing.
        """
        return self._critiques(_CRITIQUES_IN_ORDER, Critique.debate_id == debate_id, limit, after)

    def critiques_by(self, agent: str, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[Critique]:
        """Return the critiques that an agent gave, newest first; arguments as in `critiques`.

        Raises:
            InvalidValue: the limit is out of range, or ``after`` is not a token of this listing.
        """
        return self._critiques(_NEWEST_CRITIQUES, Critique.agent == agent, limit, after)

    def critiques_of(
        self, target_agent: str, *, limit: int = DEFAULT_LIMIT, after: str | None = None
    ) -> Page[Critique]:
        """Return the critiques that an agent received, newest first; arguments as in `critiques`.

        Raises:
            InvalidValue: the limit is out of range, or ``after`` is not a token of this listing.
        """
        return self._critiques(_NEWEST_CRITIQUES, Critique.target_agent == target_agent, limit, after)

    def judge_critique(self, id: int, *, led_to_improvement: bool, actual_usefulness: float) -> Critique:  # noqa: A002 -- the column's name
        """Record once how useful a critique was; the prediction error is its distance from what was expected.

        Args:
            id: the critique.
            led_to_improvement: whether the proposal got better.
            actual_usefulness: 0 to 1.

        Raises:
            InvalidValue: the usefulness is out of range, or ``led_to_improvement`` is neither True nor False.
            NotFoundError: there is no such critique.
            ConflictError: it was judged otherwise before.
        """
        actual = checks.share("actual_usefulness", actual_usefulness)
        improved = checks.flag("led_to_improvement", led_to_improvement)
        statement = sa.select(Critique).where(Critique.id == id, *self._own(Critique.debate_id))
        critique = self.session.scalars(statement.with_for_update(), execution_options=_FRESH).one_or_none()
        if critique is None:
            raise NotFoundError(f"there is no critique {id}")
        if critique.actual_usefulness is not None:
            if (critique.actual_usefulness, critique.led_to_improvement) != (actual, improved):
                raise ConflictError(f"critique {id} was judged before: {critique.actual_usefulness:g}")
            return critique
        critique.led_to_improvement, critique.actual_usefulness = improved, actual
        critique.prediction_error = abs(critique.expected_usefulness - actual)
        self.session.flush()
        return critique

    # -- the organisation ---------------------------------------------------------------------------------------------

    def _own_debates(self) -> tuple[Any, ...]:
        """Return the condition on `Debate` that confines a statement; none without an organisation."""
        return () if self.org_id is None else (Debate.org_id == self.org_id,)

    def _own(self, debate_id: Any) -> tuple[Any, ...]:
        """Return the same condition for a table whose column `debate_id` says which debate its rows are about."""
        if self.org_id is None:
            return ()
        return (sa.exists().where(Debate.id == debate_id, *self._own_debates()),)

    def _owner(self, org_id: str | None) -> str | None:
        """Return the organisation of a new debate."""
        if org_id is None:
            return self.org_id
        checks.key("org_id", org_id)
        if self.org_id not in {None, org_id}:
            raise InvalidValue(f"org_id is {org_id!r}; this store is confined to {self.org_id!r}, leave it out")
        return org_id

    def _hold_own_debate(self, id: str) -> None:  # noqa: A002 -- the column's name
        """Keep a confined store's debate from being deleted until the transaction ends, so that the result has one.

        Raises:
            NotFoundError: the organisation has no such debate.
        """
        if self.org_id is None:
            return
        statement = sa.select(Debate.id).where(Debate.id == id, *self._own_debates())
        if self.session.scalar(statement.with_for_update(read=True, key_share=True)) is None:
            raise _missing(id)

    def _refuse_what_others_left(self, made: Debate) -> None:
        """Take a debate back whose id already has a result or critiques, which a deleted debate has left.

        With the debate they would become this organisation's. Asked after the INSERT, which waits for the transaction
        that deletes the other debate: a look before it would not see what that transaction leaves.

        Raises:
            ConflictError: the id cannot be used.
        """
        left = sa.exists().where(DebateResult.id == made.id) | sa.exists().where(Critique.debate_id == made.id)
        if self.session.scalar(sa.select(left)):
            self.session.delete(made)
            self.session.flush()
            raise _unusable(made.id)

    # -- parts of the verbs above -------------------------------------------------------------------------------------

    def _first(self, *which: Any) -> Debate | None:
        return self.session.scalars(sa.select(Debate).where(*which), execution_options=_FRESH).one_or_none()

    def _insert(self, row: dict[str, Any], slug: str) -> Debate | None:
        statement = insert(self.session, Debate).values(**row, slug=slug).on_conflict_do_nothing().returning(Debate)
        return self.session.scalars(statement).one_or_none()

    def _next_number(self, base: str) -> int:
        taken = self.session.scalars(sa.select(Debate.slug).where(starts_with(Debate.slug.expression, f"{base}-")))
        numbers = [int(tail) for slug in taken if (tail := slug.removeprefix(f"{base}-")).isdecimal()]
        return max(numbers, default=1) + 1

    def _same(self, stored: Debate, row: Mapping[str, Any]) -> Debate:
        """Return the stored debate if it is the one that was to be created."""
        if self.org_id not in {None, stored.org_id}:
            raise _unusable(stored.id)
        if (
            stored.task != row["task"]
            or stored.org_id != row["org_id"]
            or not same_json([stored.agents, stored.artifact_json], [row["agents"], row["artifact_json"]])
        ):
            raise ConflictError(
                f"debate {stored.id} is there with other content; change it with DebateStore.update, or choose another"
                " id"
            )
        return stored

    def _same_result(self, row: Mapping[str, Any], said: Sequence[Mapping[str, Any]]) -> DebateResult:
        """Return the stored result if it and its critiques are the ones that were to be recorded."""
        stored = self.session.get_one(DebateResult, row["id"], populate_existing=True)
        statement = sa.select(Critique).where(Critique.debate_id == stored.id)
        critiques = self.session.scalars(statement.order_by(Critique.created_at, Critique.id))
        known = [{name: getattr(each, name) for name in _CRITIQUE_FIELDS} for each in critiques]
        if not same_json([{name: getattr(stored, name) for name in row}, known], [dict(row), list(said)]):
            raise ConflictError(f"debate {stored.id} is recorded with another end, or with other critiques")
        return stored

    def _critiques(self, order: Keyset, which: Any, limit: int, after: str | None) -> Page[Critique]:
        statement = sa.select(Critique).where(which, *self._own(Critique.debate_id))
        return self._page(order, statement, limit=limit, after=after)


_CRITIQUE_FIELDS = tuple(NewCritique.__dataclass_fields__)


def _missing(id: str) -> NotFoundError:  # noqa: A002 -- the column's name
    """Return the error for a debate that is not there, or that is another organisation's: the text is the same."""
    return NotFoundError(f"there is no debate {id}")


def _unusable(id: str) -> ConflictError:  # noqa: A002 -- the column's name
    return ConflictError(f"the debate id {id} cannot be used; choose another id")


def _document(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidValue(f"artifact_json must be a JSON object, such as {{}}; got {type(value).__name__}")
    return dict(cast("Mapping[str, Any]", value))


def _result_row(result: NewResult) -> dict[str, Any]:
    confidence, rounds, seconds = result.confidence, result.rounds_used, result.duration_seconds
    verdict = result.grounded_verdict
    return {
        "id": checks.key("id", result.id),
        "task": checks.name("task", result.task),
        "final_answer": result.final_answer,
        "consensus_reached": result.consensus_reached,
        "confidence": None if confidence is None else checks.share("confidence", confidence),
        "rounds_used": None if rounds is None else checks.count("rounds_used", rounds),
        "duration_seconds": None if seconds is None else checks.finite("duration_seconds", seconds),
        "grounded_verdict": None if verdict is None else dict(verdict),
    }


def _critique_row(critique: NewCritique) -> dict[str, Any]:
    """Return its columns as the database returns them: floats, so that a repeat compares as equal."""
    return {
        **asdict(critique),
        "agent": checks.key("agent", critique.agent),
        "target_agent": None if critique.target_agent is None else checks.key("target_agent", critique.target_agent),
        "issues": _texts("issues", critique.issues),
        "suggestions": _texts("suggestions", critique.suggestions),
        "severity": None if critique.severity is None else checks.finite("severity", critique.severity),
        "expected_usefulness": checks.share("expected_usefulness", critique.expected_usefulness),
    }


def _texts(argument: str, values: Sequence[Any]) -> list[str]:
    if isinstance(values, str) or not all(isinstance(each, str) for each in values):
        raise InvalidValue(f"{argument} must be a list of texts")
    return list(values)
