"""Predictions: who wins a tournament, how sure an agent was, and what that says once the outcome is known."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.engine.dialects import insert
from aragora_db.errors import ConflictError
from aragora_db.models import EloCalibrationPrediction
from aragora_db.rules.calibration import brier_score
from aragora_db.sql.locks import serialize
from aragora_db.stores import checks
from aragora_db.stores.elo.base import Part
from aragora_db.stores.elo.changes import forget
from aragora_db.stores.elo.counting import count_predictions
from aragora_db.stores.paging import Keyset, Page

__all__ = ["Predictions"]

_NEWEST = Keyset(EloCalibrationPrediction.created_at.desc(), EloCalibrationPrediction.id.desc())
_BY_PREDICTOR = Keyset(EloCalibrationPrediction.predictor_agent)
_RESOLVED = sa.or_(
    EloCalibrationPrediction.resolved_at.is_not(None), EloCalibrationPrediction.actual_winner.is_not(None)
)


class Predictions(Part):
    """Predictions are made until the tournament is resolved, and count once.

    Aragora does not mark predictions as resolved: resolving twice counts twice there, and rows that come from there
    look as if they were still open, though they may have been counted.
    """

    def predict(
        self, tournament_id: str, agent: str, predicted_winner: str, confidence: float, *, now: datetime | None = None
    ) -> EloCalibrationPrediction:
        """Say who will win a tournament, and how sure that is.

        One prediction for each tournament and agent: until the tournament is resolved a new one takes the place of the
        old one, and has its own time; the same one again changes nothing, then and later.

        Args:
            tournament_id: the tournament; any name will do, it need not be in `Tournament`.
            agent: who predicts.
            predicted_winner: who will win.
            confidence: how sure the agent is, 0 to 1.
            now: when; the clock's time by default.

        Raises:
            InvalidValue: a name is blank or too long, or the confidence does not lie between 0 and 1.
            ConflictError: the tournament was resolved, and this agent had not predicted that.
        """
        tournament, name = checks.key("tournament_id", tournament_id), checks.key("agent", agent)
        guess, sure = checks.key("predicted_winner", predicted_winner), checks.share("confidence", confidence)
        instant = checks.clock("now", now)
        self._session.flush()
        # Nobody predicts while others resolve: the prediction would be left over, or know the outcome.
        _hold(self._session, tournament)
        own = EloCalibrationPrediction.predictor_agent == name
        found = self._session.scalars(
            sa.select(EloCalibrationPrediction)
            .where(EloCalibrationPrediction.tournament_id == tournament, sa.or_(own, _RESOLVED))
            .order_by(sa.case((own, 0), else_=1), EloCalibrationPrediction.predictor_agent)
            .limit(2)
            .execution_options(populate_existing=True)
        ).all()
        for each in found:
            if each.predictor_agent == name and (each.predicted_winner, each.confidence) == (guess, sure):
                return each
        if any(_is_resolved(each) for each in found):
            raise ConflictError(
                f"tournament {tournament} was resolved: {name} cannot predict its winner any more; "
                "look at what was predicted with EloStore.tournament_predictions"
            )
        content = {"predicted_winner": guess, "confidence": sure, "created_at": instant}
        statement = insert(self._session, EloCalibrationPrediction).values(
            tournament_id=tournament, predictor_agent=name, **content
        )
        return self._session.scalars(
            statement.on_conflict_do_update(
                index_elements=["tournament_id", "predictor_agent"], set_=content
            ).returning(EloCalibrationPrediction),
            execution_options={"populate_existing": True},
        ).one()

    def resolve_predictions(
        self, tournament_id: str, winner: str, domain: str | None = None, *, now: datetime | None = None
    ) -> dict[str, float]:
        """Say who won a tournament, and count what was predicted, each prediction once.

        Brier scores (`aragora_db.rules.calibration.brier_score`) are added to the predictors' ratings, which are
        created when there are none; with a domain also to their calibration in that domain. Resolving again with the
        same winner changes nothing and returns the same, also when another process did it a moment ago; the domain
        is not kept and makes no difference then. A tournament without predictions leaves no trace.

        Args:
            tournament_id: the tournament.
            winner: who won it.
            domain: what the tournament was about.
            now: when; the clock's time by default.

        Returns:
            The Brier score of every prediction, by predictor, in name order.

        Raises:
            InvalidValue: a name is blank or too long. Nothing was written.
            ConflictError: it was resolved with another winner.
        """
        tournament, name = checks.key("tournament_id", tournament_id), checks.key("winner", winner)
        field = None if domain is None else checks.key("domain", domain)
        instant = checks.clock("now", now)
        self._session.flush()
        _hold(self._session, tournament)
        mine = EloCalibrationPrediction.tournament_id == tournament
        rows = self._session.execute(
            sa.select(
                EloCalibrationPrediction.predictor_agent,
                EloCalibrationPrediction.predicted_winner,
                EloCalibrationPrediction.confidence,
                EloCalibrationPrediction.actual_winner,
                _RESOLVED.label("resolved"),
            )
            .where(mine)
            .order_by(EloCalibrationPrediction.predictor_agent)
            .with_for_update()
        ).all()
        other = next((row.actual_winner for row in rows if row.resolved and row.actual_winner != name), name)
        if other != name:
            raise ConflictError(
                f"tournament {tournament} was resolved with the winner {other}, not {name}; an outcome is never "
                "changed: look at what was predicted with EloStore.tournament_predictions"
            )
        marked = self._session.execute(
            sa.update(EloCalibrationPrediction)
            .where(mine, sa.not_(_RESOLVED))
            .values(actual_winner=name, resolved_at=instant)
            .returning(
                EloCalibrationPrediction.id,
                EloCalibrationPrediction.predictor_agent,
                EloCalibrationPrediction.predicted_winner,
                EloCalibrationPrediction.confidence,
            )
            .execution_options(synchronize_session=False)
        ).all()
        # What was marked is what is counted.
        counted = sorted((row.predictor_agent, row.confidence, row.predicted_winner == name) for row in marked)
        count_predictions(self._session, counted, field, instant)
        for row in marked:
            forget(self._session, EloCalibrationPrediction, row.id)
        return {row.predictor_agent: brier_score(row.confidence, correct=row.predicted_winner == name) for row in rows}

    def record_domain_prediction(
        self, agent: str, domain: str, confidence: float, correct: bool, *, now: datetime | None = None
    ) -> float:
        """Count a prediction of which the outcome is known already, overall and in its domain.

        It has no identity: a call that is made twice counts twice.

        Source: Aragora 2.8.0, ranking/calibration_engine.py, record_prediction, which limits the confidence to 0 to 1.

        Args:
            agent: who predicted.
            domain: what it was about.
            confidence: how sure the agent was, 0 to 1.
            correct: it came true.
            now: when; the clock's time by default.

        Returns:
            Its Brier score.

        Raises:
            InvalidValue: a name is blank or too long, the confidence does not lie between 0 and 1, or `correct` is no
                bool. Nothing was written.
        """
        name, field = checks.key("agent", agent), checks.key("domain", domain)
        sure, right = checks.share("confidence", confidence), checks.flag("correct", correct)
        instant = checks.clock("now", now)
        self._session.flush()
        count_predictions(self._session, [(name, sure, right)], field, instant)
        return brier_score(sure, correct=right)

    def prediction(self, tournament_id: str, agent: str) -> EloCalibrationPrediction | None:
        """An agent's prediction for a tournament, or None."""
        return self._session.scalars(
            sa.select(EloCalibrationPrediction).where(
                EloCalibrationPrediction.tournament_id == tournament_id,
                EloCalibrationPrediction.predictor_agent == agent,
            )
        ).one_or_none()

    def predictions(self, agent: str, limit: int = 50, after: str | None = None) -> Page[EloCalibrationPrediction]:
        """An agent's predictions, newest first.

        Args:
            agent: who predicted.
            limit: predictions per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or the token is none of this listing.
        """
        return _NEWEST.page(
            self._session,
            sa.select(EloCalibrationPrediction).where(EloCalibrationPrediction.predictor_agent == agent),
            limit=limit,
            after=after,
        )

    def tournament_predictions(
        self, tournament_id: str, limit: int = 100, after: str | None = None
    ) -> Page[EloCalibrationPrediction]:
        """The predictions for a tournament, by predictor.

        Args:
            tournament_id: the tournament.
            limit: predictions per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or the token is none of this listing.
        """
        return _BY_PREDICTOR.page(
            self._session,
            sa.select(EloCalibrationPrediction).where(EloCalibrationPrediction.tournament_id == tournament_id),
            limit=limit,
            after=after,
        )


def _hold(session: Session, tournament_id: str) -> None:
    serialize(session, f"predictions:{tournament_id}")


def _is_resolved(prediction: EloCalibrationPrediction) -> bool:
    return prediction.resolved_at is not None or prediction.actual_winner is not None
