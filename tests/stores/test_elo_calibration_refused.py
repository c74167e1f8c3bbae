"""What predictions refuse, what a session sees of its own, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db import Database
from aragora_db.errors import ConflictError, InvalidValue
from aragora_db.models import EloCalibrationBucket, EloCalibrationPrediction, EloDomainCalibration, EloRating
from aragora_db.stores import CalibrationStore
from aragora_db.testing.engines import EngineDatabase

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAN = float("nan")
REFUSED: list[tuple[str, Callable[[CalibrationStore], Any]]] = [
    ("tournament_id", lambda s: s.predict(" ", "a", "x", 0.5)),
    ("predictor_agent", lambda s: s.predict("t", "a" * 2000, "x", 0.5)),
    ("predicted_winner", lambda s: s.predict("t", "a", "\x00", 0.5)),
    ("confidence", lambda s: s.predict("t", "a", "x", 1.01)),
    ("confidence", lambda s: s.predict("t", "a", "x", -0.1)),
    ("confidence", lambda s: s.predict("t", "a", "x", NAN)),
    ("confidence", lambda s: s.predict("t", "a", "x", confidence=True)),
    ("created_at", lambda s: s.predict("t", "a", "x", 0.5, created_at=NOON.replace(tzinfo=None))),
    ("actual_winner", lambda s: s.resolve_predictions("t", "")),
    ("domain", lambda s: s.resolve_predictions("t", "x", domain="")),
    ("tournament_id", lambda s: s.resolve_predictions("", "x")),
    ("domain", lambda s: s.record_domain_prediction("a", " ", 0.5, correct=True)),
    ("agent_name", lambda s: s.record_domain_prediction("", "law", 0.5, correct=True)),
    ("confidence", lambda s: s.record_domain_prediction("a", "law", 2, correct=True)),
    ("correct", lambda s: s.record_domain_prediction("a", "law", 0.5, correct=1)),  # type: ignore[arg-type]
    ("agent_names", lambda s: s.k_multipliers(["a", "a"])),
    ("agent_names", lambda s: s.k_multipliers("ab")),
    ("limit", lambda s: s.predictions("a", limit=0)),
    ("limit", lambda s: s.best_domains("a", limit=0)),
    ("after", lambda s: s.leaderboard(after="x")),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_refused(plain_database: Database, number: int):
    """The argument is named, and nothing was written."""
    argument, work = REFUSED[number]
    with pytest.raises(InvalidValue, match=argument):
        plain_database.transact(lambda session: work(CalibrationStore(session)))
    for model in (EloCalibrationPrediction, EloRating):
        assert not plain_database.transact(lambda session: session.scalars(sa.select(model)).all())  # noqa: B023


def test_a_session_sees_what_it_did(database: EngineDatabase):
    """Rows that were read before a verb are fresh after it."""

    def work(session: Session) -> tuple[Any, ...]:
        store = CalibrationStore(session)
        store.predict("t", "a", "x", 0.75)
        store.record_domain_prediction("a", "law", 0.75, correct=True)
        prediction, rating = store.prediction("t", "a"), session.get_one(EloRating, "a")
        domain = session.get_one(EloDomainCalibration, ("a", "law"))
        bucket = session.get_one(EloCalibrationBucket, ("a", "law", "0.7-0.8"))
        assert (rating.calibration_total, domain.total_predictions, bucket.predictions) == (1, 1, 1)
        store.resolve_predictions("t", "x", domain="law", resolved_at=NOON)
        assert prediction is not None
        return prediction.resolved_at, rating.calibration_total, domain.total_predictions, bucket.correct

    assert database.run(work) == (NOON, 2, 2, 2)


def test_pending_rows_are_seen(database: EngineDatabase):
    """What a session has not written yet is in the way of nothing."""

    def work(session: Session) -> dict[str, float]:
        session.add(
            EloCalibrationPrediction(tournament_id="t", predictor_agent="a", predicted_winner="x", confidence=1)
        )
        session.add(EloRating(agent_name="a", calibration_total=4))
        return CalibrationStore(session).resolve_predictions("t", "y")

    assert database.run(work) == {"a": 1.0}
    assert database.run(lambda session: CalibrationStore(session).calibration("a")).predictions == 5


def test_what_it_costs(plain_database: Database, count_statements: Callable[..., Any]):
    """A fixed number of statements, for two predictors and for two hundred."""

    def predict(session: Session) -> None:
        rows = [
            {"tournament_id": tournament, "predictor_agent": f"a{number}", "predicted_winner": "x", "confidence": 0.5}
            for tournament, count in (("small", 2), ("large", 200))
            for number in range(count)
        ]
        session.execute(sa.insert(EloCalibrationPrediction), rows)

    plain_database.transact(predict)
    for tournament in ("small", "large"):
        with count_statements(plain_database) as sent:
            plain_database.transact(
                lambda session: CalibrationStore(session).resolve_predictions(tournament, "x", domain="law")  # noqa: B023
            )
        assert len(sent) <= 6
    with count_statements(plain_database) as sent:
        names = [f"a{number}" for number in range(200)]
        plain_database.transact(lambda session: CalibrationStore(session).k_multipliers(names))
    assert len(sent) == 1


def test_resolved_by_two(plain_database: Database, race: Callable[..., list[Any]]):
    """Two workers hear of the outcome: it counts once, and both are told the same."""
    for agent in "abc":
        plain_database.transact(lambda session: CalibrationStore(session).predict("t", agent, "x", 0.5))  # noqa: B023
    results = race([lambda session: CalibrationStore(session).resolve_predictions("t", "x", domain="law")] * 4)
    assert results == [{"a": 0.25, "b": 0.25, "c": 0.25}] * 4
    for agent in "abc":
        found = plain_database.transact(lambda session: CalibrationStore(session).calibration(agent))  # noqa: B023
        assert (found.predictions, found.correct, found.brier) == (1, 1, 0.25)
        domains = plain_database.transact(lambda session: CalibrationStore(session).domains(agent))  # noqa: B023
        assert [domain.predictions for domain in domains] == [1]


def test_two_outcomes(plain_database: Database, race: Callable[..., list[Any]]):
    """One winner is recorded, whoever says otherwise is told, and the predictions count once."""
    plain_database.transact(lambda session: CalibrationStore(session).predict("t", "a", "x", 1.0))

    def resolve(winner: str) -> Callable[[Session], str]:
        def work(session: Session) -> str:
            try:
                CalibrationStore(session).resolve_predictions("t", winner)
            except ConflictError:
                return "conflict"
            return "resolved"

        return work

    assert sorted(race([resolve("x"), resolve("y")])) == ["conflict", "resolved"]
    assert plain_database.transact(lambda session: CalibrationStore(session).calibration("a")).predictions == 1


def test_many_tournaments_of_the_same_agents(plain_database: Database, race: Callable[..., list[Any]]):
    """Eight tournaments end at the same time: nobody deadlocks, and nothing is lost."""
    for number in range(8):
        for agent in "abcdef" if number % 2 else "fedcba":
            plain_database.transact(
                lambda session: CalibrationStore(session).predict(f"t{number}", agent, "x", 0.5)  # noqa: B023
            )
    race(
        [
            lambda session, t=f"t{n}": CalibrationStore(session).resolve_predictions(t, "x", domain="law")
            for n in range(8)
        ]
    )
    for agent in "abcdef":
        found = plain_database.transact(lambda session: CalibrationStore(session).calibration(agent))  # noqa: B023
        assert (found.predictions, found.brier_sum) == (8, 2.0)


def test_a_prediction_while_others_resolve(plain_database: Database, race: Callable[..., list[Any]]):
    """It is in time and counts, or too late and refused: no prediction is left over."""
    for number in range(6):
        tournament = f"t{number}"
        plain_database.transact(lambda session: CalibrationStore(session).predict(tournament, "a", "x", 0.5))  # noqa: B023

        def late(session: Session) -> str:
            try:
                CalibrationStore(session).predict(tournament, "b", "x", 1.0)  # noqa: B023
            except ConflictError:
                return "late"
            return "in time"

        said, scores = race(
            [late, lambda session: CalibrationStore(session).resolve_predictions(tournament, "x")]  # noqa: B023
        )
        assert ("b" in scores) == (said == "in time")
