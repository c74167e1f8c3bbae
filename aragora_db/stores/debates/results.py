"""How debates ended, and which critiques helped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from aragora_db.engine.dialects import insert
from aragora_db.errors import ConflictError, InvalidValue, NotFoundError
from aragora_db.models import Critique, DebateResult
from aragora_db.stores import checks
from aragora_db.stores.debates.base import Part
from aragora_db.stores.paging import Keyset, Page
from aragora_db.stores.rows import check_rows, same_json

__all__ = ["NewCritique", "Results"]

_NEWEST = Keyset(Critique.created_at.desc(), Critique.id.desc())


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


class Results(Part):
    """Results and critiques (Aragora's critique store)."""

    def record_result(
        self,
        id: str,  # noqa: A002 -- the column's name
        task: str,
        *,
        final_answer: str | None = None,
        consensus_reached: bool | None = None,
        confidence: float | None = None,
        rounds_used: int | None = None,
        duration_seconds: float | None = None,
        grounded_verdict: Mapping[str, Any] | None = None,
        critiques: Sequence[NewCritique] = (),
        now: datetime | None = None,
    ) -> DebateResult:
        """Record how a debate ended, with its critiques, once: saying it again changes nothing.

        Args:
            id: the debate.
            task: what was debated.
            final_answer: what came out.
            consensus_reached: whether the agents agreed.
            confidence: how sure they are, 0 to 1.
            rounds_used: how many rounds it took.
            duration_seconds: how long.
            grounded_verdict: a verdict with its evidence.
            critiques: what the agents said about each other's proposals, in order.
            now: the time; now by default.

        Raises:
            InvalidValue: an argument out of range; nothing was written.
            ConflictError: this debate ended otherwise, or with other critiques.
        """
        when = checks.clock("now", now)
        row: dict[str, Any] = {
            "id": checks.key("id", id),
            "task": checks.name("task", task),
            "final_answer": final_answer,
            "consensus_reached": consensus_reached,
            "confidence": None if confidence is None else checks.share("confidence", confidence),
            "rounds_used": None if rounds_used is None else checks.count("rounds_used", rounds_used),
            "duration_seconds": None
            if duration_seconds is None
            else checks.finite("duration_seconds", duration_seconds),
            "grounded_verdict": None if grounded_verdict is None else dict(grounded_verdict),
        }
        said = [_row(each) for each in critiques]
        check_rows(self._session, DebateResult, [row])
        check_rows(self._session, Critique, said)
        self._session.flush()
        statement = insert(self._session, DebateResult).values(**row, created_at=when)
        made = self._session.scalars(statement.on_conflict_do_nothing().returning(DebateResult)).one_or_none()
        if made is None:
            return self._same(row, said)
        if said:
            rows = [{**each, "debate_id": id, "created_at": when} for each in said]
            self._session.execute(sa.insert(Critique), rows)
        return made

    def result(self, id: str) -> DebateResult | None:  # noqa: A002 -- as above
        """How a debate ended, or None."""
        return self._session.get(DebateResult, id)

    def critiques(self, debate_id: str) -> list[Critique]:
        """The critiques of a debate in order."""
        statement = sa.select(Critique).where(Critique.debate_id == debate_id)
        return list(self._session.scalars(statement.order_by(Critique.created_at, Critique.id)))

    def critiques_by(self, agent: str, limit: int = 50, after: str | None = None) -> Page[Critique]:
        """What an agent said, newest first."""
        return self._list_critiques(Critique.agent == agent, limit, after)

    def critiques_of(self, agent: str, limit: int = 50, after: str | None = None) -> Page[Critique]:
        """What was said about an agent, newest first."""
        return self._list_critiques(Critique.target_agent == agent, limit, after)

    def judge_critique(self, id: int, *, led_to_improvement: bool, usefulness: float) -> Critique:  # noqa: A002 -- as above
        """Say once how useful a critique was; the prediction error is its distance from what was expected.

        Args:
            id: the critique.
            led_to_improvement: whether the proposal got better.
            usefulness: 0 to 1.

        Raises:
            InvalidValue: the usefulness is out of range, or `led_to_improvement` neither True nor False.
            NotFoundError: there is no such critique.
            ConflictError: it was judged otherwise before.
        """
        actual, improved = checks.share("usefulness", usefulness), checks.flag("led_to_improvement", led_to_improvement)
        critique = self._session.get(Critique, id, with_for_update=True, populate_existing=True)
        if critique is None:
            raise NotFoundError(f"there is no critique {id}")
        if critique.actual_usefulness is not None:
            if (critique.actual_usefulness, critique.led_to_improvement) != (actual, improved):
                raise ConflictError(f"critique {id} was judged before: {critique.actual_usefulness:g}")
            return critique
        critique.led_to_improvement, critique.actual_usefulness = improved, actual
        critique.prediction_error = abs(critique.expected_usefulness - actual)
        self._session.flush()
        return critique

    def _list_critiques(self, which: Any, limit: int, after: str | None) -> Page[Critique]:
        return _NEWEST.page(self._session, sa.select(Critique).where(which), limit=limit, after=after)

    def _same(self, row: Mapping[str, Any], said: Sequence[Mapping[str, Any]]) -> DebateResult:
        stored = self._session.get_one(DebateResult, row["id"], populate_existing=True)
        known = [{name: getattr(each, name) for name in _CONTENT} for each in self.critiques(stored.id)]
        if not same_json([{name: getattr(stored, name) for name in row}, known], [dict(row), list(said)]):
            raise ConflictError(f"debate {stored.id} is recorded with another end, or with other critiques")
        return stored


_CONTENT = list(NewCritique.__dataclass_fields__)


def _row(critique: NewCritique) -> dict[str, Any]:
    """Its columns, as they come back: numbers are floats there, or a repeat would seem to say something else."""
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
