"""Queries mean the same on every engine: order, arithmetic, time, flags."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import func

from aragora_db.models import Consensus, EloCalibrationBucket, EloHistory, Persona, PersonaPerformance, WisdomSubmission
from aragora_db.types import Double

NOON = datetime(2026, 3, 29, 12, tzinfo=UTC)
ROME, DELHI = timezone(timedelta(hours=2)), timezone(timedelta(hours=5, minutes=30))


def _history(**values: Any) -> EloHistory:
    return EloHistory(**{"agent_name": "a", "elo": 1500.0, "created_at": NOON} | values)


def _consensus(name: str, **values: Any) -> Consensus:
    return Consensus(
        **{"id": name, "topic": "t", "topic_hash": "h", "conclusion": "c", "strength": "strong", "data": {}} | values
    )


ORDERS = [
    ((Consensus.confidence.desc().nulls_last(), Consensus.id), "dacbe"),
    ((Consensus.confidence.asc().nulls_last(), Consensus.id), "bacde"),
    ((Consensus.confidence.desc().nulls_first(), Consensus.id.desc()), "edcab"),
    ((Consensus.confidence.asc().nulls_first(), Consensus.id.desc()), "ebcad"),
    ((Consensus.timestamp.desc().nulls_last(), Consensus.confidence.desc().nulls_last(), Consensus.id), "dacbe"),
]


def test_nulls_and_ties(scratch):
    """A leaderboard whose unrated or equal rows move between engines cannot be paged."""
    confidences = {"a": 0.5, "b": 0.1, "c": 0.5, "d": 0.9, "e": None}

    def work(session):
        session.add_all([_consensus(name, confidence=c, timestamp=NOON) for name, c in confidences.items()])
        return ["".join(session.scalars(sa.select(Consensus.id).order_by(*order))) for order, _ in ORDERS]

    assert scratch(work) == [ids for _, ids in ORDERS]


NAMES = ["", " ", "A", "Z", "a", "a b", "a-b", "aa", "b", "z", "À", "Ä", "ä", "ß", "İ", "é", "e\u0301", "\uffff", "🙂"]


def test_code_points(scratch):
    """A server's locale would sort 'a' before 'B'; keyset pages, merges and ranges would then differ."""
    name = Persona.agent_name

    def work(session):
        session.add_all([Persona(agent_name=each) for each in reversed(NAMES)])
        return (
            session.scalars(sa.select(name).order_by(name)).all(),
            session.scalars(sa.select(name).where(name > "Z", name <= "ä").order_by(name.desc())).all(),
            tuple(session.execute(sa.select(func.min(name), func.max(name))).one()),
        )

    between = sorted((each for each in NAMES if "Z" < each <= "ä"), reverse=True)
    assert scratch(work) == (sorted(NAMES), between, ("", "🙂"))


def test_case_counts(scratch):
    """Agents whose names differ in case only, or in composition only, are different agents."""
    names = ["claude", "Claude", "é", "e\u0301"]

    def work(session):
        session.add_all([Persona(agent_name=name) for name in names])
        found = [
            session.scalars(sa.select(Persona.agent_name).where(Persona.agent_name == name)).all() for name in names
        ]
        return found, session.scalar(sa.select(func.count(Persona.agent_name.distinct())))

    assert scratch(work) == ([[name] for name in names], 4)


@pytest.mark.parametrize(("left", "right"), [(7, 2), (-7, 2), (7, -2), (-7, -2), (2**62 + 1, 3), (0, 5)])
def test_division(scratch, left, right):
    """A rate must not be cut to a whole number, nor `//` and `%` round differently (both cut, as SQL does)."""
    a, b = EloCalibrationBucket.predictions, EloCalibrationBucket.correct

    def work(session):
        row = EloCalibrationBucket(agent_name="a", domain="d", bucket_key="k", predictions=left, correct=right)
        session.add(row)
        return tuple(session.execute(sa.select(sa.cast(a, Double()) / b, a / b, a // b, a % b)).one())

    rate, decimal, whole, rest = scratch(work)
    assert rate == left / right
    assert float(decimal) == pytest.approx(left / right)
    sign = int(math.copysign(1, left * right))
    assert (whole, rest) == (sign * (abs(left) // abs(right)), left - sign * (abs(left) // abs(right)) * right)


def test_aggregates(scratch):
    """Averages, sums and counts leave NULL out; an empty sum is NULL, not 0."""
    c = Consensus.confidence
    whole = sa.select(func.avg(c), func.sum(c), func.count(c), func.count(), func.coalesce(func.max(c), -1.0))
    whole = whole.select_from(Consensus)

    def work(session):
        session.add_all([_consensus("a", confidence=0.5), _consensus("b", confidence=0.25), _consensus("c")])
        nobody = whole.where(Consensus.id == "nobody")
        return tuple(session.execute(whole).one()), tuple(session.execute(nobody).one())

    assert scratch(work) == ((0.375, 0.75, 2, 3, 0.5), (None, None, 0, 0, -1.0))


def test_microseconds(scratch):
    """A timestamp that loses digits breaks ties and keyset pages."""
    instants = [NOON + timedelta(microseconds=n) for n in (0, 1, 499_999, 500_000, 999_998, 999_999)]
    when = EloHistory.created_at

    def work(session):
        session.add_all([_history(created_at=instant) for instant in reversed(instants)])
        later = [session.scalar(sa.select(func.count()).where(when > instant)) for instant in instants]
        return session.scalars(sa.select(when).order_by(when)).all(), later

    assert scratch(work) == (instants, [5, 4, 3, 2, 1, 0])


def test_zones(scratch):
    """One instant, written and asked for in any zone, is one instant."""
    instants = [NOON.astimezone(ROME), NOON.astimezone(DELHI) + timedelta(seconds=1), NOON - timedelta(seconds=1)]
    when = EloHistory.created_at

    def work(session):
        session.add_all([_history(created_at=instant) for instant in instants])
        return (
            *session.execute(sa.select(func.min(when), func.max(when))).one(),
            session.scalars(sa.select(when).where(when == NOON.astimezone(DELHI))).one(),
            session.scalar(sa.select(func.count()).where(when.between(NOON.astimezone(ROME), max(instants)))),
            session.scalar(sa.select(func.count()).where(when.in_([NOON.astimezone(DELHI)]))),
        )

    first, last, equal, between, listed = scratch(work)
    assert (first, last, equal) == (min(instants), max(instants), NOON)
    assert {first.tzinfo, last.tzinfo, equal.tzinfo} == {UTC}
    assert (between, listed) == (2, 1)


def test_ends_of_time(scratch):
    """The first and the last instant that Python knows are kept, and sort first and last."""
    ends = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    when = EloHistory.created_at

    def work(session):
        session.add_all([_history(created_at=instant) for instant in (*ends, NOON)])
        return tuple(session.execute(sa.select(func.min(when), func.max(when))).one())

    assert scratch(work) == ends


def test_flags(scratch):
    """A condition on a flag finds the same rows however it is written."""
    used, success = WisdomSubmission.used, PersonaPerformance.success
    of_two = [used, used.is_(True), used == sa.true(), used == True, used.in_([True])]  # noqa: E712 -- SQL
    of_two += [~used, used.is_(False), used.is_not(True), used != True]  # noqa: E712 -- SQL
    of_three = [success.is_(None), success.is_(False), success.is_not(True), success == True, ~success]  # noqa: E712 -- SQL

    def work(session):
        session.add_all([WisdomSubmission(loop_id="l", text=str(value), used=value) for value in (True, False)])
        session.add_all([PersonaPerformance(agent_name="a", success=value) for value in (True, False, None)])
        two = [session.scalars(sa.select(WisdomSubmission.text).where(condition)).one() for condition in of_two]
        three = [set(session.scalars(sa.select(success).where(condition))) for condition in of_three]
        return two, three

    two, three = scratch(work)
    assert two == ["True"] * 5 + ["False"] * 4
    assert three == [{None}, {False}, {None, False}, {True}, {False}]
