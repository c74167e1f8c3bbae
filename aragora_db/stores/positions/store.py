"""The store of positions, flips, statements and the outcomes of debates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from aragora_db.engine.dialects import insert
from aragora_db.errors import ConflictError, InvalidValue, NotFoundError
from aragora_db.models import DebateOutcome, DetectedFlip, FlipType, Position, PositionHistory, PositionOutcome
from aragora_db.rules import positions as rules
from aragora_db.rules.positions import Accuracy, Consistency
from aragora_db.sql.locks import serialize
from aragora_db.stores import checks
from aragora_db.stores.base import Store
from aragora_db.stores.paging import DEFAULT_LIMIT, Keyset, Page, check_limit
from aragora_db.stores.positions.flips import consistencies, flip_row, undetected
from aragora_db.stores.positions.inputs import NewPosition, NewStatement, position_row, statement_row
from aragora_db.stores.rows import check_rows

__all__ = ["Detection", "PositionStore"]

_NEWEST = Keyset(Position.created_at.desc(), Position.id)
_BY_ROUND = Keyset(Position.round_num, Position.agent_name, Position.id)
_NEWEST_FLIPS = Keyset(DetectedFlip.detected_at.desc(), DetectedFlip.id)
_NEWEST_STATEMENTS = Keyset(PositionHistory.created_at.desc(), PositionHistory.id.desc())
_STATEMENTS_BY_ROUND = Keyset(
    PositionHistory.round_num, PositionHistory.position_type, PositionHistory.agent_name, PositionHistory.id
)
_FRESH: dict[str, Any] = {"populate_existing": True}


@dataclass(frozen=True)
class Detection:
    """What `PositionStore.detect_flips` found.

    Attributes:
        flips: all flips of the agent, newest first, then by id.
        new: how many of them were stored by this call.
    """

    flips: tuple[DetectedFlip, ...]
    new: int


class PositionStore(Store):
    """What agents claim, when they change their minds, and who turns out to be right; see `Store` for its arguments."""

    # -- positions ----------------------------------------------------------------------------------------------------

    def record(self, position: NewPosition, *, created_at: datetime | None = None) -> Position:
        """Record a claim; its outcome is pending.

        Its id is a whole UUID. Aragora 2.8.0 (agents/positions.py) keeps 8 hexadecimal digits of one, of which two are
        equal among 10,000 positions once in a hundred times, and brings a confidence outside 0 to 1 into it in
        silence, so that a 95 meant as per cent becomes certainty; here it is refused.

        Args:
            position: the claim.
            created_at: when it was made; None means now.

        Raises:
            InvalidValue: a value is out of range; nothing is written.
        """
        return self.record_many([position], created_at=created_at)[0]

    def record_many(
        self, positions: Iterable[NewPosition], *, created_at: datetime | None = None
    ) -> tuple[Position, ...]:
        """Record several claims in one statement, all or nothing; see `record`.

        Returns:
            The positions, in the order given.

        Raises:
            InvalidValue: one of them is out of range; nothing is written.
        """
        created_at = self._now(created_at, "created_at")
        rows = [position_row(position, created_at) for position in positions]
        check_rows(self.session, Position, rows)
        added = tuple(Position(**row) for row in rows)
        self.session.add_all(added)
        self.session.flush()
        return added

    def get(self, position_id: str) -> Position | None:
        """Return the position with this id, or None."""
        return self._get(Position, position_id)

    def get_many(self, position_ids: Iterable[str]) -> dict[str, Position]:
        """Return several positions by id, in the order asked for; those that do not exist are left out.

        Raises:
            InvalidValue: more than 10,000 ids, or one text instead of ids.
        """
        return self._get_many(Position, "position_ids", position_ids)

    def of_agent(
        self, agent_name: str, *, outcome: str | None = None, limit: int = DEFAULT_LIMIT, after: str | None = None
    ) -> Page[Position]:
        """Return an agent's positions, newest first, then by id.

        Args:
            agent_name: the agent.
            outcome: only with this outcome.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: an argument is out of range, or ``after`` is not a token of this listing.
        """
        statement = sa.select(Position).where(Position.agent_name == agent_name)
        if outcome is not None:
            statement = statement.where(Position.outcome == checks.member("outcome", PositionOutcome, outcome))
        return self._fresh_page(_NEWEST, statement, limit, after)

    def with_outcome(self, outcome: str, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[Position]:
        """Return the positions with an outcome, such as pending, newest first, then by id.

        Args:
            outcome: pending, correct, incorrect or unresolved.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: an argument is out of range, or ``after`` is not a token of this listing.
        """
        wanted = checks.member("outcome", PositionOutcome, outcome)
        return self._fresh_page(_NEWEST, sa.select(Position).where(Position.outcome == wanted), limit, after)

    def of_debate(self, debate_id: str, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[Position]:
        """Return the positions of a debate by round, then by agent, then by id.

        Args:
            debate_id: the debate.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or ``after`` is not a token of this listing.
        """
        return self._fresh_page(_BY_ROUND, sa.select(Position).where(Position.debate_id == debate_id), limit, after)

    def resolve(self, position_id: str, outcome: str, *, resolved_at: datetime | None = None) -> Position:
        """Record what became of a pending claim. Recording the same once more changes nothing.

        Args:
            position_id: the position.
            outcome: correct, incorrect or unresolved.
            resolved_at: when; None means now.

        Returns:
            The position as it is now.

        Raises:
            InvalidValue: there is no such outcome, or it is pending.
            NotFoundError: there is no such position.
            ConflictError: the position has another outcome already; Aragora overwrites it.
        """
        wanted = checks.member("outcome", PositionOutcome, outcome)
        if wanted is PositionOutcome.PENDING:
            raise InvalidValue("outcome is 'pending', which every position begins with; say what became of it")
        resolved_at = self._now(resolved_at, "resolved_at")
        position = self._locked(position_id)
        if position.outcome is PositionOutcome.PENDING:
            position.outcome = wanted
            position.resolved_at = resolved_at
            self.session.flush()
        elif position.outcome is not wanted:
            raise ConflictError(
                f"position {position_id} was resolved as {position.outcome}; a position is resolved once, record a new"
                " one"
            )
        return position

    def reverse(self, position_id: str, reversal_debate_id: str) -> Position:
        """Record in which debate the agent took a claim back. Recording the same once more changes nothing.

        What the agent claims there, before or after this call, is a flip; see `detect_flips`. A position that is
        reversed without a debate, which old rows can be, gets this one.

        Args:
            position_id: the position.
            reversal_debate_id: the debate in which the agent claimed otherwise.

        Returns:
            The position as it is now.

        Raises:
            InvalidValue: the debate's id is not a key.
            NotFoundError: there is no such position.
            ConflictError: it was reversed in another debate.
        """
        checks.key("reversal_debate_id", reversal_debate_id)
        position = self._locked(position_id)
        if position.reversal_debate_id not in {None, reversal_debate_id}:
            raise ConflictError(
                f"position {position_id} was reversed in debate {position.reversal_debate_id}; reverse the position"
                " that the agent took there"
            )
        position.reversed = True
        position.reversal_debate_id = reversal_debate_id
        self.session.flush()
        return position

    # -- flips --------------------------------------------------------------------------------------------------------

    def detect_flips(self, agent_name: str, *, detected_at: datetime | None = None) -> Detection:
        """Find and store the flips of an agent: a reversed position against each position of the reversing debate.

        Pairs whose flip is stored are not compared again, whatever id it has: repeat it as often as you like.

        Aragora 2.8.0 (insights/flip_detector.py) looks at the last 50 positions, names a flip after the old position
        only, so that several new claims leave one flip, and stores all of them anew, with a new time, at each call.
        Here every pair is kept (`aragora_db.rules.positions.flip_id`), and a position is no flip of itself.

        Args:
            agent_name: the agent.
            detected_at: the time of new flips; None means now.

        Raises:
            InvalidValue: an argument is out of range; nothing is written.
        """
        detected_at = self._now(detected_at, "detected_at")
        pairs = self.session.execute(undetected(checks.key("agent_name", agent_name)))
        rows = sorted((flip_row(old, new, detected_at) for old, new in pairs), key=lambda row: str(row["id"]))
        added: list[str] = []
        if rows:
            statement = insert(self.session, DetectedFlip).on_conflict_do_nothing().returning(DetectedFlip.id)
            added.extend(self.session.scalars(statement, rows))
        flips = sa.select(DetectedFlip).where(DetectedFlip.agent_name == agent_name)
        found = self.session.scalars(flips.order_by(DetectedFlip.detected_at.desc(), DetectedFlip.id))
        return Detection(tuple(found), len(added))

    def flips(
        self,
        *,
        agent_name: str | None = None,
        flip_type: str | None = None,
        limit: int = DEFAULT_LIMIT,
        after: str | None = None,
    ) -> Page[DetectedFlip]:
        """Return the stored flips, newest first, then by id.

        Args:
            agent_name: only this agent's. With neither this nor a type, the whole table is read and sorted.
            flip_type: only these: contradiction, retraction, qualification or refinement.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: an argument is out of range, or ``after`` is not a token of this listing.
        """
        statement = sa.select(DetectedFlip)
        if agent_name is not None:
            statement = statement.where(DetectedFlip.agent_name == agent_name)
        if flip_type is not None:
            statement = statement.where(DetectedFlip.flip_type == checks.member("flip_type", FlipType, flip_type))
        return self._page(_NEWEST_FLIPS, statement, limit=limit, after=after)

    def consistency(self, agent_name: str) -> Consistency:
        """Return how an agent keeps to its claims, by the flips that are stored; an unknown agent scores 1."""
        checks.key("agent_name", agent_name)
        return next(iter(consistencies(self.session, agent_name)), Consistency(agent_name, 0))

    def consistency_ranking(self, *, min_positions: int = 1, limit: int = DEFAULT_LIMIT) -> Page[Consistency]:
        """Return agents by consistency, best first; then by number of positions, most first; then by name.

        The page is the only one, its ``next`` is None: the scores of all agents are computed at each call.

        Args:
            min_positions: leave out agents with fewer positions; at least 1.
            limit: agents to return.

        Raises:
            InvalidValue: an argument is out of range.
        """
        if checks.count("min_positions", min_positions) < 1:
            raise InvalidValue("min_positions is 0; an agent without positions has no rank, ask for 1 or more")
        check_limit(limit)
        ranked = [each for each in consistencies(self.session) if each.positions >= min_positions]
        # Here and not in SQL: one formula, and no agent more than the two GROUP BYs return anyway.
        best = sorted(ranked, key=lambda each: (-each.score, -each.positions, each.agent_name))
        return Page(tuple(best[:limit]), None)

    # -- statements ---------------------------------------------------------------------------------------------------

    def record_statement(self, statement: NewStatement, *, created_at: datetime | None = None) -> PositionHistory:
        """Record what an agent said, or replace the text and confidence of what it said of this type in this round.

        The row keeps its id, its time and its outcome; Aragora 2.8.0 (agents/truth_grounding.py) deletes it and makes
        a new one without outcome. A statement that comes after the debate was decided, or verified, gets that outcome
        at once, so that it does not matter which is recorded first.

        Args:
            statement: what it said.
            created_at: when; None means now.

        Returns:
            The statement as it is stored now.

        Raises:
            InvalidValue: a value is out of range; nothing is written.
        """
        row = statement_row(statement, self._now(created_at, "created_at"))
        check_rows(self.session, PositionHistory, [row])
        self._serialize_debate(statement.debate_id)
        outcome = self.outcome(statement.debate_id)
        if outcome is not None:
            row["was_winning_position"] = rules.won(statement.agent_name, outcome.winning_agent)
            if outcome.verification_result is not None:
                correct = outcome.verification_result and statement.agent_name == outcome.winning_agent
                row["verified_correct"] = correct
        upsert = insert(self.session, PositionHistory).values(**row)
        unique = ("debate_id", "agent_name", "position_type", "round_num")
        changed = (name for name in row if name not in {*unique, "created_at"})
        upsert = upsert.on_conflict_do_update(
            index_elements=[getattr(PositionHistory, name) for name in unique],
            set_={name: upsert.excluded[name] for name in changed},
        )
        return self.session.execute(upsert.returning(PositionHistory), execution_options=_FRESH).scalar_one()

    def statements_of_debate(
        self, debate_id: str, *, limit: int = DEFAULT_LIMIT, after: str | None = None
    ) -> Page[PositionHistory]:
        """Return the statements of a debate by round, then by type, then by agent.

        Args:
            debate_id: the debate.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or ``after`` is not a token of this listing.
        """
        statement = sa.select(PositionHistory).where(PositionHistory.debate_id == debate_id)
        return self._fresh_page(_STATEMENTS_BY_ROUND, statement, limit, after)

    def statements_of_agent(
        self, agent_name: str, *, verified_only: bool = False, limit: int = DEFAULT_LIMIT, after: str | None = None
    ) -> Page[PositionHistory]:
        """Return an agent's statements, newest first.

        Args:
            agent_name: the agent.
            verified_only: leave out those of which nobody knows whether they were correct.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or ``after`` is not a token of this listing.
        """
        statement = sa.select(PositionHistory).where(PositionHistory.agent_name == agent_name)
        if verified_only:
            statement = statement.where(PositionHistory.verified_correct.is_not(None))
        return self._fresh_page(_NEWEST_STATEMENTS, statement, limit, after)

    def accuracy(self, agent_name: str, *, position_type: str | None = None) -> Accuracy:
        """Count how often an agent's statements won, and how often they turned out to be correct.

        Aragora 2.8.0 (agents/truth_grounding.py) counts votes only, and says 0 for fewer than five verified ones.

        Args:
            agent_name: the agent; an unknown one has made no statements.
            position_type: only statements of this type, such as ``vote``.
        """
        verified: Any = PositionHistory.verified_correct
        winning: Any = PositionHistory.was_winning_position
        counts = sa.select(
            sa.func.count(),
            sa.func.count(sa.case((winning, 1))),
            sa.func.count(verified),
            sa.func.count(sa.case((verified, 1))),
        ).where(PositionHistory.agent_name == agent_name)
        if position_type is not None:
            counts = counts.where(PositionHistory.position_type == position_type)
        return Accuracy(agent_name, *self.session.execute(counts).one())

    # -- outcomes -----------------------------------------------------------------------------------------------------

    def outcome(self, debate_id: str) -> DebateOutcome | None:
        """Return who won a debate and what a verification said; None while it is undecided."""
        return self._get(DebateOutcome, debate_id)

    def finalize_debate(
        self,
        debate_id: str,
        winning_agent: str | None,
        *,
        winning_position: str | None = None,
        consensus_confidence: float | None = None,
        created_at: datetime | None = None,
    ) -> DebateOutcome:
        """Record who won a debate, once, and mark its statements: the winner's won, the others did not.

        Without a winner it stays unknown who won. Recording the same once more changes nothing; Aragora 2.8.0
        (agents/truth_grounding.py) replaces the row, and with it forgets a verification.

        Args:
            debate_id: the debate.
            winning_agent: the agent that won; None when nobody did.
            winning_position: what it said.
            consensus_confidence: how sure everybody was, 0 to 1.
            created_at: when it was decided; None means now.

        Returns:
            The outcome as it is stored.

        Raises:
            InvalidValue: an argument is out of range; nothing is written.
            ConflictError: the debate has another winner, winning position or confidence.
        """
        sure = consensus_confidence
        told: dict[str, Any] = {
            "winning_agent": None if winning_agent is None else checks.key("winning_agent", winning_agent),
            "winning_position": winning_position,
            "consensus_confidence": None if sure is None else checks.share("consensus_confidence", sure),
        }
        created_at = self._now(created_at, "created_at")
        row = {"debate_id": checks.key("debate_id", debate_id), "created_at": created_at} | told
        check_rows(self.session, DebateOutcome, [row])
        self._serialize_debate(debate_id)
        statement = insert(self.session, DebateOutcome).values(**row).on_conflict_do_nothing()
        outcome = self.session.scalars(statement.returning(DebateOutcome)).one_or_none()
        if outcome is None:
            outcome = self._locked_outcome(debate_id)
            for name, value in told.items():
                if getattr(outcome, name) != value:
                    raise ConflictError(
                        f"debate {debate_id} was decided with another {name}; it is decided once, read it with"
                        " outcome(debate_id)"
                    )
            return outcome
        won: Any = sa.null() if winning_agent is None else PositionHistory.agent_name == winning_agent
        self._mark(debate_id, was_winning_position=won)
        return outcome

    def verify_debate(
        self,
        debate_id: str,
        *,
        verification_result: bool,
        verification_source: str = "manual",
        verified_at: datetime | None = None,
    ) -> DebateOutcome:
        """Record whether a debate's winning position was correct, once, and mark its statements.

        The winner's statements are as correct as the result says. All others count as not correct, also when the
        winner was wrong or nobody won: Aragora's rule (2.8.0, agents/truth_grounding.py). Recording the same once more
        changes nothing.

        Args:
            debate_id: a debate that is decided.
            verification_result: whether the winning position was correct.
            verification_source: who or what verified it, such as ``manual`` or a prover's name.
            verified_at: when; None means now.

        Returns:
            The outcome as it is stored.

        Raises:
            InvalidValue: an argument is out of range; nothing is written.
            NotFoundError: the debate is not decided; Aragora marks its statements all the same.
            ConflictError: it was verified with another result or by another source.
        """
        result, source = verification_result, checks.name("verification_source", verification_source)
        told: dict[str, Any] = {"verification_result": result, "verification_source": source}
        if told["verification_result"] is None:
            raise InvalidValue("verification_result is None; it must be True or False")
        verified_at = self._now(verified_at, "verified_at")
        check_rows(self.session, DebateOutcome, [told | {"verified_at": verified_at}])
        self._serialize_debate(checks.key("debate_id", debate_id))
        outcome = self._locked_outcome(debate_id)
        if outcome.verification_result is not None:
            if (outcome.verification_result, outcome.verification_source) != (result, source):
                raise ConflictError(
                    f"debate {debate_id} was verified as {outcome.verification_result} by"
                    f" {outcome.verification_source}; it is verified once"
                )
            return outcome
        outcome.verification_result = result
        outcome.verification_source = source
        outcome.verified_at = verified_at
        self.session.flush()
        correct = sa.case((PositionHistory.was_winning_position.is_(True), sa.literal(result)), else_=sa.false())
        self._mark(debate_id, verified_correct=correct)
        return outcome

    # -- parts of the verbs above -------------------------------------------------------------------------------------

    def _fresh_page(self, order: Keyset, statement: sa.Select[Any], limit: int, after: str | None) -> Page[Any]:
        return self._page(order, statement.execution_options(**_FRESH), limit=limit, after=after)

    def _locked(self, position_id: str) -> Position:
        position = self._lock(Position, [position_id]).get(position_id)
        if position is None:
            raise NotFoundError(f"there is no position {position_id!r}; record it first")
        return position

    def _locked_outcome(self, debate_id: str) -> DebateOutcome:
        outcome = self._lock(DebateOutcome, [debate_id]).get(debate_id)
        if outcome is None:
            raise NotFoundError(f"debate {debate_id!r} is not decided; call finalize_debate first")
        return outcome

    def _serialize_debate(self, debate_id: str) -> None:
        """Wait until no other transaction records statements of this debate or decides it.

        Locks on rows are not enough: a statement that is not committed yet would miss the outcome, and the outcome it.
        """
        serialize(self.session, f"debate-outcome:{debate_id}")

    def _mark(self, debate_id: str, **values: Any) -> None:
        """Change the statements of one debate, and those of them that the session holds."""
        statement = sa.update(PositionHistory).where(PositionHistory.debate_id == debate_id).values(**values)
        options = {"populate_existing": True, "synchronize_session": False}
        self.session.scalars(statement.returning(PositionHistory), execution_options=options).all()
