"""How well agents know what they know: scores, curves, and what follows for their ratings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa

from aragora_db.models import EloCalibrationBucket, EloDomainCalibration, EloRating
from aragora_db.rules import calibration as rules
from aragora_db.rules.calibration import Tally
from aragora_db.stores import checks
from aragora_db.stores.elo.predictions import Predictions
from aragora_db.stores.paging import Keyset, Page, check_limit
from aragora_db.types import Double, Integer

__all__ = ["AgentCalibration", "Bucket", "Calibration", "CalibrationStanding", "DomainCalibration"]


@dataclass(frozen=True)
class _Scored:
    predictions: int
    correct: int
    brier_sum: float

    @property
    def accuracy(self) -> float | None:
        """Share of the predictions that came true; None without predictions."""
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
class Bucket(_Scored):
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
_BEST = Keyset(_QUALITY.desc(), EloRating.agent_name)


def _sum(column: Any, kind: Any) -> Any:
    # PostgreSQL sums whole numbers into numeric.
    return sa.cast(sa.func.sum(column), kind)


_SUMS = (
    _sum(EloCalibrationBucket.predictions, Integer()),
    _sum(EloCalibrationBucket.correct, Integer()),
    _sum(EloCalibrationBucket.brier_sum, Double()),
)


class Calibration(Predictions):
    """Reading what predictions say about agents."""

    def calibration(self, agent: str) -> AgentCalibration:
        """What was counted in an agent's rating; zeros for an agent that has none."""
        row = self._session.execute(
            sa.select(
                EloRating.calibration_total, EloRating.calibration_correct, EloRating.calibration_brier_sum
            ).where(EloRating.agent_name == agent)
        ).one_or_none()
        total, correct, brier_sum = (0, 0, 0.0) if row is None else row
        return AgentCalibration(total, correct, brier_sum, agent_name=agent)

    def calibration_curve(self, agent: str, domain: str | None = None) -> list[Bucket]:
        """Predictions by tenth of confidence, the lowest first; tenths without predictions are left out.

        Those of tournaments that were resolved without a domain are not in it. Keys that are none of
        `aragora_db.rules.calibration.BUCKETS`, in rows that were written elsewhere, are left out too.

        Args:
            agent: who predicted.
            domain: only predictions of this domain.
        """
        statement = sa.select(EloCalibrationBucket.bucket_key, *_SUMS).where(EloCalibrationBucket.agent_name == agent)
        if domain is not None:
            statement = statement.where(EloCalibrationBucket.domain == domain)
        rows = self._session.execute(
            statement.group_by(EloCalibrationBucket.bucket_key).order_by(EloCalibrationBucket.bucket_key)
        )
        found = [Bucket(row[1], row[2], row[3], key=row[0]) for row in rows if row[0] in rules.BUCKETS]
        return [bucket for bucket in found if bucket.predictions > 0]

    def expected_calibration_error(self, agent: str, domain: str | None = None) -> float | None:
        """How far an agent's accuracy is from its confidence, 0 (perfect) to 1; None without predictions.

        See `aragora_db.rules.calibration.expected_calibration_error`.

        Args:
            agent: who predicted.
            domain: only predictions of this domain.
        """
        return rules.expected_calibration_error(
            {bucket.key: bucket.tally for bucket in self.calibration_curve(agent, domain)}
        )

    def domain_calibration(self, agent: str, domain: str | None = None) -> list[DomainCalibration]:
        """An agent's predictions by domain: most predictions first, then by name.

        Args:
            agent: who predicted.
            domain: only this domain.
        """
        statement = sa.select(
            EloDomainCalibration.total_predictions,
            EloDomainCalibration.total_correct,
            EloDomainCalibration.brier_sum,
            EloDomainCalibration.domain,
        ).where(EloDomainCalibration.agent_name == agent)
        if domain is not None:
            statement = statement.where(EloDomainCalibration.domain == domain)
        order = (EloDomainCalibration.total_predictions.desc(), EloDomainCalibration.domain)
        return [DomainCalibration(*row) for row in self._session.execute(statement.order_by(*order))]

    def best_calibrated_domains(self, agent: str, limit: int = 5) -> list[DomainCalibration]:
        """The domains in which an agent is calibrated best, of those with at least 5 predictions; best first.

        Source: Aragora 2.8.0, ranking/calibration_engine.py, get_best_domains.

        Args:
            agent: who predicted.
            limit: how many.

        Raises:
            InvalidValue: the limit is out of range.
        """
        check_limit(limit)
        found = [each for each in self.domain_calibration(agent) if each.predictions >= rules.MIN_DOMAIN_PREDICTIONS]
        return sorted(found, key=lambda each: (-each.score, each.domain))[:limit]

    def calibration_leaderboard(self, limit: int = 20, after: str | None = None) -> Page[CalibrationStanding]:
        """Agents with at least 10 predictions, the lowest mean Brier score first, then by name.

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
        return _BEST.page(
            self._session,
            statement.where(EloRating.calibration_total >= rules.MIN_PREDICTIONS),
            limit=limit,
            after=after,
            read=lambda row: CalibrationStanding(*row),
            key=lambda found: (found.quality, found.agent_name),
        )

    def k_multipliers(self, agents: Iterable[str]) -> dict[str, float]:
        """The factors on agents' rating changes, for `EloStore.record_match`, in one statement.

        From the expected calibration error and the mean Brier score of an agent's predictions with a domain, if there
        are at least 10; else from the mean Brier score in its rating, if that has at least 10; else 1. The rule is
        `aragora_db.rules.calibration.k_multiplier`.

            store.record_match("d1", names, scores, k_multipliers=store.k_multipliers(names))

        Args:
            agents: who will meet.

        Raises:
            InvalidValue: a name is blank, or there twice.
        """
        names = checks.names("agents", agents)
        buckets = sa.select(EloCalibrationBucket.agent_name, EloCalibrationBucket.bucket_key, *_SUMS)
        rating = sa.select(
            EloRating.agent_name,
            sa.cast(sa.null(), sa.Text()),
            EloRating.calibration_total,
            EloRating.calibration_correct,
            EloRating.calibration_brier_sum,
        )
        rows: Any = self._session.execute(
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


def _factor(buckets: dict[str, Tally], overall: Tally | None) -> float:
    known = sum(tally.predictions for tally in buckets.values())
    if known >= rules.MIN_PREDICTIONS:
        # Summed in one order, so that the same predictions give the same bits.
        brier = sum(buckets[key].brier_sum for key in sorted(buckets)) / known
        return rules.k_multiplier(rules.expected_calibration_error(buckets), brier)
    if overall is None or overall.predictions < rules.MIN_PREDICTIONS:
        return 1.0
    return rules.k_multiplier(None, overall.brier_sum / overall.predictions)
