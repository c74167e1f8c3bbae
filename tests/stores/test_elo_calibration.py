"""Predictions and what they say about agents. A mistake here counts one twice, or lets somebody predict the past."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.errors import ConflictError
from aragora_db.models import (
    EloCalibrationBucket,
    EloCalibrationPrediction,
    EloDomainCalibration,
    EloRating,
)
from aragora_db.stores import CalibrationStore, EloStore
from aragora_db.testing.engines import EngineDatabase

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


def store(work: Callable[[CalibrationStore], Any]) -> Callable[[Session], Any]:
    """A unit of work over a store."""
    return lambda session: work(CalibrationStore(session))


def counted(session: Session) -> list[tuple[str, int, int, float]]:
    """What ratings hold about predictions."""
    columns = (EloRating.calibration_total, EloRating.calibration_correct, EloRating.calibration_brier_sum)
    rows = session.execute(sa.select(EloRating.agent_name, *columns).order_by(EloRating.agent_name))
    return [(name, total, correct, pytest.approx(brier)) for name, total, correct, brier in rows]


def three(session: Session) -> None:
    """Three predictions for a tournament."""
    calibration = CalibrationStore(session)
    calibration.predict("t", "b", "x", 0.7, created_at=NOON)
    calibration.predict("t", "c", "y", 1.0, created_at=NOON)
    calibration.predict("t", "a", "x", 0.25, created_at=NOON)


def test_a_prediction_until_it_is_resolved(database: EngineDatabase):
    """The last word before the outcome counts; the same word again is no new one."""
    first = database.run(store(lambda s: s.predict("t", "a", "x", 0.7, created_at=NOON)))
    again = database.run(store(lambda s: s.predict("t", "a", "x", 0.7, created_at=LATER)))
    assert (again.id, again.created_at) == (first.id, NOON)

    def change(session: Session) -> tuple[Any, ...]:
        held = CalibrationStore(session).prediction("t", "a")
        changed = CalibrationStore(session).predict("t", "a", "y", 1, created_at=LATER)
        assert held is changed
        return changed.id, changed.predicted_winner, changed.confidence, changed.created_at, changed.resolved_at

    assert database.run(change) == (first.id, "y", 1.0, LATER, None)
    assert database.run(store(lambda s: s.prediction("t", "b"))) is None


def test_nobody_predicts_the_past(database: EngineDatabase):
    """After the outcome there are no new predictions, of nobody, and no changed ones; a repeat is found."""
    database.run(three)
    database.run(store(lambda s: s.resolve_predictions("t", "x", resolved_at=LATER)))
    for agent, guess in (("a", "y"), ("d", "x")):
        with pytest.raises(ConflictError, match="cannot predict its winner any more"):
            database.run(store(lambda s: s.predict("t", agent, guess, 1.0)))  # noqa: B023
    assert database.run(store(lambda s: s.predict("t", "a", "x", 0.25))).actual_winner == "x"
    assert database.run(store(lambda s: s.predict("t2", "d", "x", 0.25))).resolved_at is None


def test_an_outcome_counts_once(database: EngineDatabase):
    """Ratings are made where there are none, and repeats add nothing."""
    database.run(three)
    database.run(lambda session: session.add(EloRating(agent_name="b", elo=1600, calibration_total=3, updated_at=NOON)))
    expected = {"a": pytest.approx(0.5625), "b": pytest.approx(0.09), "c": 1.0}
    scores = database.run(store(lambda s: s.resolve_predictions("t", "x", resolved_at=LATER)))
    assert (list(scores), scores) == (["a", "b", "c"], expected)
    assert database.run(store(lambda s: s.resolve_predictions("t", "x", domain="law"))) == expected
    assert database.run(counted) == [("a", 1, 1, 0.5625), ("b", 4, 1, 0.09), ("c", 1, 0, 1.0)]
    rows = database.run(lambda session: session.scalars(sa.select(EloRating).order_by(EloRating.agent_name)).all())
    assert [(row.elo, row.updated_at) for row in rows] == [(1500.0, LATER), (1600.0, LATER), (1500.0, LATER)]
    resolved = database.run(store(lambda s: s.tournament_predictions("t"))).items
    assert [(row.predictor_agent, row.actual_winner, row.resolved_at) for row in resolved] == [
        ("a", "x", LATER),
        ("b", "x", LATER),
        ("c", "x", LATER),
    ]
    with pytest.raises(ConflictError, match="with the winner x, not y"):
        database.run(store(lambda s: s.resolve_predictions("t", "y")))
    assert database.run(store(lambda s: s.curve("a"))) == ()


def test_nothing_was_predicted(database: EngineDatabase):
    """No predictions, no ratings, no trace; it stays open."""
    assert database.run(store(lambda s: s.resolve_predictions("t", "x", domain="law"))) == {}
    assert database.run(counted) == []
    assert database.run(store(lambda s: s.predict("t", "a", "x", 0.5))).id


def test_what_was_open_beside_what_was_resolved(database: EngineDatabase):
    """Rows from elsewhere may be resolved without a time: they do not count again, the open ones do."""
    database.run(three)
    done = sa.update(EloCalibrationPrediction).where(EloCalibrationPrediction.predictor_agent == "b")
    database.run(lambda session: session.execute(done.values(actual_winner="x")))
    assert len(database.run(store(lambda s: s.resolve_predictions("t", "x")))) == 3
    assert [row[0] for row in database.run(counted)] == ["a", "c"]


def test_domains_and_buckets(database: EngineDatabase):
    """With a domain the same predictions are added to the domain and to their buckets."""
    database.run(three)
    database.run(store(lambda s: s.resolve_predictions("t", "x", domain="law", resolved_at=NOON)))
    score = database.run(store(lambda s: s.record_domain_prediction("a", "law", 0.2, correct=True, updated_at=LATER)))
    assert score == pytest.approx(0.64)
    database.run(store(lambda s: s.record_domain_prediction("a", "law", 1 - 0.9, correct=False, updated_at=NOON)))
    database.run(store(lambda s: s.record_domain_prediction("a", "art", 0.25, correct=False, updated_at=NOON)))
    law, art = database.run(store(lambda s: s.domains("a")))
    assert (law.domain, law.predictions, law.correct, art.domain, art.predictions) == ("law", 3, 2, "art", 1)
    assert law.brier == pytest.approx((0.5625 + 0.64 + 0.01) / 3)
    assert law.accuracy == pytest.approx(2 / 3)
    assert database.run(store(lambda s: s.domains("a", domain="art"))).items == (art,)
    curve = database.run(store(lambda s: s.curve("a")))
    assert [(bucket.key, bucket.predictions, bucket.correct) for bucket in curve] == [
        ("0.1-0.2", 1, 0),
        ("0.2-0.3", 3, 2),
    ]
    assert [bucket.expected for bucket in curve] == pytest.approx([0.15, 0.25])
    error = database.run(store(lambda s: s.expected_calibration_error("a")))
    assert error == pytest.approx(0.25 * 0.15 + 0.75 * abs(2 / 3 - 0.25))
    assert database.run(store(lambda s: s.expected_calibration_error("a", domain="art"))) == pytest.approx(0.25)
    assert [b.key for b in database.run(store(lambda s: s.curve("c", domain="law")))] == ["1.0-1.0"]
    row = database.run(lambda session: session.get_one(EloDomainCalibration, ("a", "law")))
    assert row.updated_at == LATER
    assert database.run(counted)[0] == ("a", 4, 2, 0.5625 + 0.64 + 0.01 + 0.0625)


def test_nobody_knows_an_agent(database: EngineDatabase):
    """What is not known is None, not a number."""
    nobody = database.run(store(lambda s: s.calibration("a")))
    assert (nobody.predictions, nobody.brier, nobody.accuracy, nobody.score) == (0, None, None, 0.0)
    assert database.run(store(lambda s: s.expected_calibration_error("a"))) is None
    assert database.run(store(lambda s: s.domains("a"))).items == ()
    assert database.run(store(lambda s: s.best_domains("a"))).items == ()
    assert database.run(store(lambda s: s.k_multipliers(["a"]))) == {"a": 1.0}
    assert database.run(store(lambda s: s.k_multipliers([]))) == {}


def test_scores(database: EngineDatabase):
    """Nothing before the tenth prediction."""
    for number in range(10):
        assert database.run(store(lambda s: s.calibration("a"))).score == 0.0
        database.run(store(lambda s: s.record_domain_prediction("a", "law", 0.8, correct=number < 8)))  # noqa: B023
    found = database.run(store(lambda s: s.calibration("a")))
    brier = (8 * 0.04 + 2 * 0.64) / 10
    assert (found.brier, found.score) == (pytest.approx(brier), pytest.approx((1 - brier) * 0.5))


def test_best_domains(database: EngineDatabase):
    """Five predictions at least; the best first, then by name."""
    for domain, total, brier in (("d", 5, 0.5), ("b", 5, 0.5), ("few", 4, 0.0), ("c", 25, 2.5), ("none", 0, 0.0)):
        row = EloDomainCalibration(agent_name="a", domain=domain, total_predictions=total, brier_sum=brier)
        database.run(lambda session: session.add(row))  # noqa: B023
    best = database.run(store(lambda s: s.best_domains("a")))
    assert [each.domain for each in best] == ["c", "b", "d"]
    assert [each.score for each in best] == pytest.approx([0.9, 0.45, 0.45])
    assert len(database.run(store(lambda s: s.best_domains("a", limit=1)))) == 1


def test_leaderboard(database: EngineDatabase):
    """Ten predictions at least, the lowest Brier score first, ties by name, on every page."""
    rated = [("a", 10, 4.0), ("b", 20, 2.0), ("c", 9, 0.0), ("d", 10, 1.0), ("e", 0, 0.0), ("f", 30, 3.0)]
    rows = [EloRating(agent_name=name, calibration_total=n, calibration_brier_sum=brier) for name, n, brier in rated]
    database.run(lambda session: session.add_all(rows))
    page = database.run(store(lambda s: s.leaderboard(limit=2)))
    assert [(line.agent_name, line.quality, line.predictions) for line in page.items] == [
        ("b", pytest.approx(0.9), 20),
        ("d", pytest.approx(0.9), 10),
    ]
    rest = database.run(store(lambda s: s.leaderboard(after=page.next)))
    assert [line.agent_name for line in rest.items] == ["f", "a"]
    assert rest.next is None


def test_k_multipliers(database: EngineDatabase):
    """From predictions with a domain where there are ten, else from all that was counted, else 1."""

    def prepare(session: Session) -> None:
        def bucket(agent: str, domain: str, key: str, *values: float) -> None:
            names = ("predictions", "correct", "brier_sum")
            counts = dict(zip(names, values, strict=True))
            session.add(EloCalibrationBucket(agent_name=agent, domain=domain, bucket_key=key, **counts))

        bucket("good", "law", "0.7-0.8", 5, 4, 0.5)
        bucket("good", "art", "0.7-0.8", 5, 4, 0.5)
        bucket("bad", "law", "0.9-1.0", 10, 1, 8.0)
        bucket("bad", "law", "x", 1000, 0, 0.0)
        bucket("few", "law", "0.9-1.0", 9, 0, 9.0)
        bucket("mixed", "law", "0.9-1.0", 9, 0, 9.0)
        for name, total, brier in (("good", 10, 9.0), ("mixed", 100, 25.0), ("plain", 10, 1.5), ("young", 9, 9.0)):
            session.add(EloRating(agent_name=name, calibration_total=total, calibration_brier_sum=brier))

    database.run(prepare)
    names = ["young", "plain", "mixed", "few", "bad", "good"]
    factors = database.run(store(lambda s: s.k_multipliers(names)))
    assert factors == {"young": 1.0, "plain": 1.1, "mixed": 1.25, "few": 1.0, "bad": 1.4, "good": 1.0}
    assert list(factors) == names

    def play(session: Session) -> dict[str, float]:
        pair = ["good", "bad"]
        multipliers = CalibrationStore(session).k_multipliers(pair)
        return EloStore(session).record_match("d", pair, {"good": 1.0, "bad": 0.0}, k_multipliers=multipliers)

    assert database.run(play) == {"good": pytest.approx(16.0), "bad": pytest.approx(-22.4)}


def test_lists(database: EngineDatabase):
    """An agent's predictions newest first, a tournament's by name, page by page."""
    for number in range(5):
        instant = NOON + timedelta(minutes=number // 2)
        database.run(store(lambda s: s.predict(f"t{number}", "a", "x", 0.5, created_at=instant)))  # noqa: B023
        database.run(store(lambda s: s.predict("t", "cdeba"[number], "x", 0.5, created_at=NOON)))  # noqa: B023
    found, after = [], None
    for _ in range(3):
        page = database.run(store(lambda s: s.predictions("a", limit=2, after=after)))  # noqa: B023
        found += [row.tournament_id for row in page.items]
        after = page.next
    assert (found, after) == (["t4", "t3", "t2", "t", "t1", "t0"], None)
    page = database.run(store(lambda s: s.tournament_predictions("t", limit=3)))
    rest = database.run(store(lambda s: s.tournament_predictions("t", after=page.next)))
    assert [row.predictor_agent for row in (*page.items, *rest.items)] == list("abcde")
