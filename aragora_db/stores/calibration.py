"""Calibration: predictions of tournament winners, how sure agents were, and what follows for their ratings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.engine.dialects import insert
from aragora_db.errors import ConflictError
from aragora_db.models import EloCalibrationBucket, EloCalibrationPrediction, EloDomainCalibration, EloRating
from aragora_db.rules import calibration as rules
from aragora_db.rules.calibration import Tally, brier_score
from aragora_db.sql.bulk import add_on_conflict, insert_rows
from aragora_db.sql.locks import serialize
from aragora_db.stores import checks
from aragora_db.stores.base import Store
from aragora_db.stores.paging import DEFAULT_LIMIT, Keyset, Page, check_limit
from aragora_db.stores.rows import expire_row
from aragora_db.types import Double, Integer

__all__ = ["AgentCalibration", "CalibrationBucket", "CalibrationStanding", "CalibrationStore", "DomainCalibration"]


@dataclass(frozen=True)
class _Scored:
    predictions: int
    correct: int
    brier_sum: float

    @property
    def accuracy(self) -> float | None:
        """Return the share of the predictions that came true; None without predictions."""
        return self.correct / self.predictions if self.predictions else None

    @property
    def brier(self) -> float | None:
        """Mean Brier score, 0 (perfect) to 1; None without predictions, where Aragora says 1."""
        return self.brier_sum / self.predictions if self.predictions else None

    @property
    def tally(self) -> Tally:
        """The counts, as the rules take them."""
        return Tally(self.predictions, self.correct, self.brier_sum)


@dataclass(frozen=True)
class AgentCalibration(_Scored):
    """All that was counted in an agent's rating.

    That includes votes (`EloStore.record_vote`), which have no confidence and add no Brier score: as in Aragora, they
    make the mean look better than the predictions were. Domains and buckets hold predictions alone.

    Attributes:
        agent_name: the agent.
    """

    agent_name: str

    @property
    def score(self) -> float:
        """0 to 1, higher is better; 0 before the tenth prediction (`aragora_db.rules.calibration`)."""
        return rules.calibration_score(self.tally)


@dataclass(frozen=True)
class DomainCalibration(_Scored):
    """An agent's predictions in one domain.

    Attributes:
        domain: the domain.
    """

    domain: str

    @property
    def score(self) -> float:
        """0 to 1, higher is better; 0 before the fifth prediction (`aragora_db.rules.calibration`)."""
        return rules.domain_score(self.tally)


@dataclass(frozen=True)
class CalibrationBucket(_Scored):
    """An agent's predictions of one tenth of confidence: a point of its calibration curve.

    Attributes:
        key: such as ``0.7-0.8``.
    """

    key: str

    @property
    def expected(self) -> float:
        """The accuracy of somebody who is perfectly calibrated: the middle of the bucket."""
        low, high = rules.BUCKETS[self.key]
        return (low + high) / 2


class CalibrationStanding(NamedTuple):
    """A line of the calibration leaderboard.

    Attributes:
        agent_name: the agent.
        quality: one minus the mean Brier score; what the leaderboard is ordered by.
        predictions: how many there were, votes included.
        correct: how many came true.
        elo: the agent's overall rating.
    """

    agent_name: str
    quality: float
    predictions: int
    correct: int
    elo: float


# NULLIF, because a database may divide before it looks whether the row is wanted at all.
_PREDICTIONS: Any = sa.cast(sa.func.nullif(EloRating.calibration_total, 0), Double())
_QUALITY: Any = sa.type_coerce(1.0 - EloRating.calibration_brier_sum / _PREDICTIONS, Double())
_BEST_FIRST = Keyset(_QUALITY.desc(), EloRating.agent_name)


def _sum(column: Any, kind: Any) -> Any:
    # PostgreSQL sums whole numbers into numeric.
    return sa.cast(sa.func.sum(column), kind)


_SUMS = (
    _sum(EloCalibrationBucket.predictions, Integer()),
    _sum(EloCalibrationBucket.correct, Integer()),
    _sum(EloCalibrationBucket.brier_sum, Double()),
)
_DOMAINS: Any = sa.select(
    EloDomainCalibration.total_predictions,
    EloDomainCalibration.total_correct,
    EloDomainCalibration.brier_sum,
    EloDomainCalibration.domain,
)
_MOST_PREDICTIONS_FIRST = Keyset(EloDomainCalibration.total_predictions.desc(), EloDomainCalibration.domain)
_NEWEST_FIRST = Keyset(EloCalibrationPrediction.created_at.desc(), EloCalibrationPrediction.id.desc())
_BY_PREDICTOR = Keyset(EloCalibrationPrediction.predictor_agent)
_RESOLVED = sa.or_(
    EloCalibrationPrediction.resolved_at.is_not(None), EloCalibrationPrediction.actual_winner.is_not(None)
)

# What a prediction adds to: columns with PostgreSQL's types, and the clause that adds.
_RATING = {
    "agent_name": "text",
    "elo": "float8",
    "calibration_total": "int8",
    "calibration_correct": "int8",
    "calibration_brier_sum": "float8",
    "updated_at": "timestamptz",
}
_DOMAIN = {
    "agent_name": "text",
    "domain": "text",
    "total_predictions": "int8",
    "total_correct": "int8",
    "brier_sum": "float8",
    "updated_at": "timestamptz",
}
_BUCKET = {
    "agent_name": "text",
    "domain": "text",
    "bucket_key": "text",
    "predictions": "int8",
    "correct": "int8",
    "brier_sum": "float8",
}
_ADD_RATING = add_on_conflict("elo_ratings", "agent_name", list(_RATING)[2:5], updated_at=True)
_ADD_DOMAIN = add_on_conflict("elo_domain_calibration", "agent_name, domain", list(_DOMAIN)[2:5], updated_at=True)
_ADD_BUCKET = add_on_conflict("elo_calibration_buckets", "agent_name, domain, bucket_key", list(_BUCKET)[3:])


class CalibrationStore(Store):
    """What agents predicted, and how well they know what they know; see `Store` for its arguments.

    Predictions are made until the tournament is resolved, and count once.

    Aragora does not mark predictions as resolved: resolving twice counts twice there, and rows that come from there
    look as if they were still open, though they may have been counted.
    """

    def predict(
        self,
        tournament_id: str,
        predictor_agent: str,
        predicted_winner: str,
        confidence: float,
        *,
        created_at: datetime | None = None,
    ) -> EloCalibrationPrediction:
        """Record which agent somebody expects to win a tournament, and how sure that is.

        One prediction for each tournament and agent: until the tournament is resolved a new one takes the place of the
        old one, and has its own time; the same one again changes nothing, then and later.

        Args:
            tournament_id: the tournament; any name will do, it need not be in `Tournament`.
            predictor_agent: who predicts.
            predicted_winner: who will win.
            confidence: how sure the agent is, 0 to 1.
            created_at: when; now by default.

        Raises:
            InvalidValue: a name is blank or too long, or the confidence does not lie between 0 and 1.
            ConflictError: the tournament was resolved, and this agent had not predicted that.
        """
        tournament, name = checks.key("tournament_id", tournament_id), checks.key("predictor_agent", predictor_agent)
        guess, sure = checks.key("predicted_winner", predicted_winner), checks.share("confidence", confidence)
        instant = self._now(created_at, "created_at")
        self.session.flush()
        # Nobody predicts while others resolve: the prediction would be left over, or know the outcome.
        _hold(self.session, tournament)
        own = EloCalibrationPrediction.predictor_agent == name
        found = self.session.scalars(
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
                "look at what was predicted with CalibrationStore.tournament_predictions"
            )
        content = {"predicted_winner": guess, "confidence": sure, "created_at": instant}
        statement = insert(self.session, EloCalibrationPrediction).values(
            tournament_id=tournament, predictor_agent=name, **content
        )
        return self.session.scalars(
            statement.on_conflict_do_update(
                index_elements=["tournament_id", "predictor_agent"], set_=content
            ).returning(EloCalibrationPrediction),
            execution_options={"populate_existing": True},
        ).one()

    def resolve_predictions(
        self,
        tournament_id: str,
        actual_winner: str,
        *,
        domain: str | None = None,
        resolved_at: datetime | None = None,
    ) -> dict[str, float]:
        """Record who won a tournament, and count what was predicted, each prediction once.

        Brier scores (`aragora_db.rules.calibration.brier_score`) are added to the predictors' ratings, which are
        created when there are none; with a domain also to their calibration in that domain. Resolving again with the
        same winner changes nothing and returns the same, also when another process did it a moment ago; the domain
        is not kept and makes no difference then. A tournament without predictions leaves no trace.

        Args:
            tournament_id: the tournament.
            actual_winner: who won it.
            domain: what the tournament was about.
            resolved_at: when; now by default.

        Returns:
            The Brier score of every prediction, by predictor, in name order.

        Raises:
            InvalidValue: a name is blank or too long. Nothing was written.
            ConflictError: it was resolved with another winner.
        """
        tournament, winner = checks.key("tournament_id", tournament_id), checks.key("actual_winner", actual_winner)
        field = None if domain is None else checks.key("domain", domain)
        instant = self._now(resolved_at, "resolved_at")
        self.session.flush()
        _hold(self.session, tournament)
        mine = EloCalibrationPrediction.tournament_id == tournament
        rows = self.session.execute(
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
        other = next((row.actual_winner for row in rows if row.resolved and row.actual_winner != winner), winner)
        if other != winner:
            raise ConflictError(
                f"tournament {tournament} was resolved with the winner {other}, not {winner}; an outcome is never "
                "changed: look at what was predicted with CalibrationStore.tournament_predictions"
            )
        marked = self.session.execute(
            sa.update(EloCalibrationPrediction)
            .where(mine, sa.not_(_RESOLVED))
            .values(actual_winner=winner, resolved_at=instant)
            .returning(
                EloCalibrationPrediction.id,
                EloCalibrationPrediction.predictor_agent,
                EloCalibrationPrediction.predicted_winner,
                EloCalibrationPrediction.confidence,
            )
            .execution_options(synchronize_session=False)
        ).all()
        # What was marked is what is counted.
        counted = sorted((row.predictor_agent, row.confidence, row.predicted_winner == winner) for row in marked)
        _count(self.session, counted, field, instant, self.rules.initial_rating)
        for row in marked:
            expire_row(self.session, EloCalibrationPrediction, row.id)
        scored = ((row.predictor_agent, row.confidence, row.predicted_winner == winner) for row in rows)
        return {name: brier_score(sure, correct=correct) for name, sure, correct in scored}

    def record_domain_prediction(
        self,
        agent_name: str,
        domain: str,
        confidence: float,
        *,
        correct: bool,
        updated_at: datetime | None = None,
    ) -> float:
        """Count a prediction of which the outcome is known already, overall and in its domain.

        It has no identity: a call that is made twice counts twice.

        Source: Aragora 2.8.0, ranking/calibration_engine.py, record_prediction, which limits the confidence to 0 to 1.

        Args:
            agent_name: who predicted.
            domain: what it was about.
            confidence: how sure the agent was, 0 to 1.
            correct: whether it came true.
            updated_at: when; now by default. The time of a rating only moves forward.

        Returns:
            Its Brier score.

        Raises:
            InvalidValue: a name is blank or too long, the confidence does not lie between 0 and 1, or `correct` is no
                bool. Nothing was written.
        """
        name, field = checks.key("agent_name", agent_name), checks.key("domain", domain)
        sure, right = checks.share("confidence", confidence), checks.flag("correct", correct)
        instant = self._now(updated_at, "updated_at")
        self.session.flush()
        _count(self.session, [(name, sure, right)], field, instant, self.rules.initial_rating)
        return brier_score(sure, correct=right)

    def prediction(self, tournament_id: str, predictor_agent: str) -> EloCalibrationPrediction | None:
        """Return an agent's prediction for a tournament, or None."""
        return self.session.scalars(
            sa.select(EloCalibrationPrediction).where(
                EloCalibrationPrediction.tournament_id == tournament_id,
                EloCalibrationPrediction.predictor_agent == predictor_agent,
            )
        ).one_or_none()

    def predictions(
        self, predictor_agent: str, *, limit: int = DEFAULT_LIMIT, after: str | None = None
    ) -> Page[EloCalibrationPrediction]:
        """Return an agent's predictions, newest first.

        Args:
            predictor_agent: who predicted.
            limit: predictions per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or the token is none of this listing.
        """
        own = EloCalibrationPrediction.predictor_agent == predictor_agent
        statement = sa.select(EloCalibrationPrediction).where(own)
        return self._page(_NEWEST_FIRST, statement, limit=limit, after=after)

    def tournament_predictions(
        self, tournament_id: str, *, limit: int = DEFAULT_LIMIT, after: str | None = None
    ) -> Page[EloCalibrationPrediction]:
        """Return the predictions for a tournament, by predictor.

        Args:
            tournament_id: the tournament.
            limit: predictions per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or the token is none of this listing.
        """
        statement = sa.select(EloCalibrationPrediction).where(EloCalibrationPrediction.tournament_id == tournament_id)
        return self._page(_BY_PREDICTOR, statement, limit=limit, after=after)

    def calibration(self, agent_name: str) -> AgentCalibration:
        """Return what was counted in an agent's rating; zeros for an agent that has none."""
        row = self.session.execute(
            sa.select(
                EloRating.calibration_total, EloRating.calibration_correct, EloRating.calibration_brier_sum
            ).where(EloRating.agent_name == agent_name)
        ).one_or_none()
        total, correct, brier_sum = (0, 0, 0.0) if row is None else row
        return AgentCalibration(total, correct, brier_sum, agent_name=agent_name)

    def curve(self, agent_name: str, *, domain: str | None = None) -> tuple[CalibrationBucket, ...]:
        """Return predictions by tenth of confidence, the lowest first; tenths without predictions are left out.

        Those of tournaments that were resolved without a domain are not in it. Keys that are none of
        `aragora_db.rules.calibration.BUCKETS`, in rows that were written elsewhere, are left out too.

        Args:
            agent_name: who predicted.
            domain: only predictions of this domain.
        """
        statement = sa.select(EloCalibrationBucket.bucket_key, *_SUMS)
        statement = statement.where(EloCalibrationBucket.agent_name == agent_name)
        if domain is not None:
            statement = statement.where(EloCalibrationBucket.domain == domain)
        rows = self.session.execute(
            statement.group_by(EloCalibrationBucket.bucket_key).order_by(EloCalibrationBucket.bucket_key)
        )
        found = (CalibrationBucket(row[1], row[2], row[3], key=row[0]) for row in rows if row[0] in rules.BUCKETS)
        return tuple(bucket for bucket in found if bucket.predictions > 0)

    def expected_calibration_error(self, agent_name: str, *, domain: str | None = None) -> float | None:
        """Return how far an agent's accuracy is from its confidence, 0 (perfect) to 1; None without predictions.

        See `aragora_db.rules.calibration.expected_calibration_error`.

        Args:
            agent_name: who predicted.
            domain: only predictions of this domain.
        """
        return rules.expected_calibration_error(
            {bucket.key: bucket.tally for bucket in self.curve(agent_name, domain=domain)}
        )

    def domains(
        self, agent_name: str, *, domain: str | None = None, limit: int = DEFAULT_LIMIT, after: str | None = None
    ) -> Page[DomainCalibration]:
        """Return an agent's predictions by domain: most predictions first, then by name.

        Args:
            agent_name: who predicted.
            domain: only this domain.
            limit: domains per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or the token is none of this listing.
        """
        statement = _DOMAINS.where(EloDomainCalibration.agent_name == agent_name)
        if domain is not None:
            statement = statement.where(EloDomainCalibration.domain == domain)
        return self._page(
            _MOST_PREDICTIONS_FIRST,
            statement,
            limit=limit,
            after=after,
            read=lambda row: DomainCalibration(*row),
            key=lambda found: (found.predictions, found.domain),
        )

    def best_domains(self, agent_name: str, *, limit: int = DEFAULT_LIMIT) -> Page[DomainCalibration]:
        """Return the domains in which an agent is calibrated best, of those with at least 5 predictions; best first.

        Reads all of the agent's domains, because the score is computed here; there is no next page.

        Source: Aragora 2.8.0, ranking/calibration_engine.py, get_best_domains.

        Args:
            agent_name: who predicted.
            limit: at most how many.

        Raises:
            InvalidValue: the limit is out of range.
        """
        check_limit(limit)
        enough = EloDomainCalibration.total_predictions >= rules.MIN_DOMAIN_PREDICTIONS
        rows = self.session.execute(_DOMAINS.where(EloDomainCalibration.agent_name == agent_name, enough))
        found = sorted((DomainCalibration(*row) for row in rows), key=lambda each: (-each.score, each.domain))
        return Page(tuple(found[:limit]), None)

    def leaderboard(self, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[CalibrationStanding]:
        """Return agents with at least 10 predictions, the lowest mean Brier score first, then by name.

        An index finds those who have enough predictions; they are then sorted, because no index keeps the order of a
        quotient.

        Source: Aragora 2.8.0, ranking/elo.py, get_calibration_leaderboard, which leaves ties to chance.

        Args:
            limit: agents per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or the token is none of this listing.
        """
        statement: Any = sa.select(
            EloRating.agent_name, _QUALITY, EloRating.calibration_total, EloRating.calibration_correct, EloRating.elo
        )
        return self._page(
            _BEST_FIRST,
            statement.where(EloRating.calibration_total >= rules.MIN_PREDICTIONS),
            limit=limit,
            after=after,
            read=lambda row: CalibrationStanding(*row),
            key=lambda found: (found.quality, found.agent_name),
        )

    def k_multipliers(self, agent_names: Iterable[str]) -> dict[str, float]:
        """Return the factors on agents' rating changes by name, for `EloStore.record_match`, in one statement.

        From the expected calibration error and the mean Brier score of an agent's predictions with a domain, if there
        are at least 10; else from the mean Brier score in its rating, if that has at least 10; else 1. The rule is
        `aragora_db.rules.calibration.k_multiplier`.

            multipliers = CalibrationStore(session).k_multipliers(names)
            EloStore(session).record_match("d1", names, scores, k_multipliers=multipliers)

        Args:
            agent_names: who will meet.

        Raises:
            InvalidValue: a name is blank, or there twice.
        """
        names = checks.names("agent_names", agent_names)
        buckets = sa.select(EloCalibrationBucket.agent_name, EloCalibrationBucket.bucket_key, *_SUMS)
        rating = sa.select(
            EloRating.agent_name,
            sa.cast(sa.null(), sa.Text()),
            EloRating.calibration_total,
            EloRating.calibration_correct,
            EloRating.calibration_brier_sum,
        )
        rows: Any = self.session.execute(
            sa.union_all(
                buckets.where(EloCalibrationBucket.agent_name.in_(names)).group_by(
                    EloCalibrationBucket.agent_name, EloCalibrationBucket.bucket_key
                ),
                rating.where(EloRating.agent_name.in_(names)),
            )
        )
        overall: dict[str, Tally] = {}
        by_bucket: dict[str, dict[str, Tally]] = {name: {} for name in names}
        for name, key, *sums in rows:
            if key is None:
                overall[name] = Tally(*sums)
            elif key in rules.BUCKETS:
                by_bucket[name][key] = Tally(*sums)
        return {name: _factor(by_bucket[name], overall.get(name)) for name in names}


def _hold(session: Session, tournament_id: str) -> None:
    serialize(session, f"predictions:{tournament_id}")


def _is_resolved(prediction: EloCalibrationPrediction) -> bool:
    return prediction.resolved_at is not None or prediction.actual_winner is not None


def _count(
    session: Session,
    predictions: Iterable[tuple[str, float, bool]],
    domain: str | None,
    now: datetime,
    initial_rating: float,
) -> None:
    """Add predictions of which the outcome is known, in three statements for any number of them.

    Args:
        session: where.
        predictions: agent, confidence and whether it came true; different agents, in name order, because rows are
            locked in the order given.
        domain: adds to that domain as well, and to its buckets.
        now: when; the time of a row only moves forward.
        initial_rating: the rating of an agent that has none.
    """
    scored = [(name, sure, int(correct), brier_score(sure, correct=correct)) for name, sure, correct in predictions]
    if not scored:
        return
    ratings = [(name, initial_rating, 1, correct, brier, now) for name, _, correct, brier in scored]
    insert_rows(session, "elo_ratings", _RATING, ratings, _ADD_RATING)
    for name, *_ in scored:
        expire_row(session, EloRating, name)
    if domain is None:
        return
    domains = [(name, domain, 1, correct, brier, now) for name, _, correct, brier in scored]
    insert_rows(session, "elo_domain_calibration", _DOMAIN, domains, _ADD_DOMAIN)
    buckets = [(name, domain, rules.bucket_key(sure), 1, correct, brier) for name, sure, correct, brier in scored]
    insert_rows(session, "elo_calibration_buckets", _BUCKET, buckets, _ADD_BUCKET)
    for name, _, bucket, *_ in buckets:
        expire_row(session, EloDomainCalibration, (name, domain))
        expire_row(session, EloCalibrationBucket, (name, domain, bucket))


def _factor(buckets: dict[str, Tally], overall: Tally | None) -> float:
    known = sum(tally.predictions for tally in buckets.values())
    if known >= rules.MIN_PREDICTIONS:
        # Summed in one order, so that the same predictions give the same bits.
        brier = sum(buckets[key].brier_sum for key in sorted(buckets)) / known
        return rules.k_multiplier(rules.expected_calibration_error(buckets), brier)
    if overall is None or overall.predictions < rules.MIN_PREDICTIONS:
        return 1.0
    return rules.k_multiplier(None, overall.brier_sum / overall.predictions)
