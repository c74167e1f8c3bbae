"""EloStore.record_match and record_matches: what is written, what is refused, and that one debate counts once."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from aragora_db.errors import ConflictError, InvalidValue
from aragora_db.models import (
    EloDomainRating,
    EloHeadToHead,
    EloHistory,
    EloMatch,
    EloMatchParticipant,
    EloRating,
)
from aragora_db.rules import elo
from aragora_db.stores import EloStore, NewMatch

TABLES = (EloMatch, EloMatchParticipant, EloHistory, EloRating, EloDomainRating, EloHeadToHead)
CLOCK = {"created_at", "updated_at"}


def everything(session):
    """All rows of the tables that a match writes, without the times at which that happened."""
    return {
        model.__tablename__: session.execute(
            sa.select(*(column for column in sa.inspect(model).columns if column.name not in CLOCK)).order_by(
                *sa.inspect(model).primary_key
            )
        ).all()
        for model in TABLES
    }


def record(session, debate_id="d1", scores=None, **others):
    """A match between alice and bob, which alice wins unless the scores say otherwise."""
    scores = {"alice": 1.0, "bob": 0.0} if scores is None else scores
    return EloStore(session).record_match(debate_id, list(scores), scores, **others)


def some_matches(count, seed=7):
    """Matches of two to five agents with draws, domains, weights and multipliers."""
    numbers = random.Random(seed)
    made = []
    for number in range(count):
        names = numbers.sample([f"agent-{each}" for each in range(8)], numbers.choice([2, 2, 3, 5]))
        made.append(
            NewMatch(
                f"debate-{number}",
                names,
                {name: numbers.choice([0.0, 0.5, 1.0, numbers.random()]) for name in names},
                numbers.choice([None, "security", "testing"]),
                numbers.choice([1.0, 0.4, 0.01]),
                {names[0]: 1.25} if number % 3 == 0 else None,
            )
        )
    return made


def test_the_first_match_of_two_new_agents(database):
    """The base case: with equal ratings a win moves K/2, and every table tells the same story."""
    changes = database.run(lambda session: record(session, domain="security"))
    assert changes == {"alice": 16.0, "bob": -16.0}
    rows = database.run(everything)
    assert [tuple(row)[:7] for row in rows["elo_ratings"]] == [
        ("alice", 1516.0, 1, 0, 0, 1, 0),
        ("bob", 1484.0, 0, 1, 0, 1, 0),
    ]
    assert [tuple(row)[1:] for row in rows["elo_matches"]] == [("d1", "alice", "security", 1.0)]
    assert [tuple(row)[1:] for row in rows["elo_match_participants"]] == [
        ("alice", 0, 1.0, 16.0, 1.0),
        ("bob", 1, 0.0, -16.0, 1.0),
    ]
    assert [tuple(row)[1:] for row in rows["elo_history"]] == [("alice", 1516.0, "d1"), ("bob", 1484.0, "d1")]
    assert rows["elo_domain_ratings"] == [("alice", "security", 1516.0), ("bob", "security", 1484.0)]
    assert rows["elo_head_to_head"] == [("alice", "bob", 1, 1, 0, 0)]


def test_ratings_of_sql_are_those_of_the_rule(database):
    """The formula stands in Python and in SQL; where they part, a laptop and production show different ratings.

    Not the same bits: ``power`` of two C libraries may differ in the last place, and sums add such differences up.
    """
    expected = {}
    ratings = {}
    for match in some_matches(60):
        names = list(match.participants)
        before = {name: ratings.get(name, elo.INITIAL_RATING) for name in names}
        expected[match.debate_id] = elo.pairwise_changes(
            before, match.scores, confidence_weight=match.confidence_weight, multipliers=match.k_multipliers
        )
        ratings |= {name: before[name] + expected[match.debate_id][name] for name in names}
    for match in some_matches(60):
        changes = database.run(
            lambda session, match=match: EloStore(session).record_match(
                match.debate_id,
                match.participants,
                match.scores,
                match.domain,
                confidence_weight=match.confidence_weight,
                k_multipliers=match.k_multipliers,
            )
        )
        assert changes == pytest.approx(expected[match.debate_id], abs=1e-12)
    stored = database.run(lambda session: dict(session.execute(sa.select(EloRating.agent_name, EloRating.elo)).all()))
    assert stored == pytest.approx(ratings, abs=1e-9)


def test_in_bulk_is_one_by_one(database, fresh_databases):
    """A bulk import that rates differently from live play would make history depend on how it was loaded."""
    matches = some_matches(80)
    single = database.run(
        lambda session: [
            EloStore(session).record_match(
                each.debate_id,
                each.participants,
                each.scores,
                each.domain,
                confidence_weight=each.confidence_weight,
                k_multipliers=each.k_multipliers,
            )
            for each in matches
        ]
    )
    rows = database.run(everything)
    other = type(database)(fresh_databases.url(database.case.dialect), database.case)
    try:
        assert other.run(lambda session: EloStore(session).record_matches(matches)) == single
        assert other.run(everything) == rows
        # In two parts, the second of which repeats some of the first.
        assert (
            other.run(lambda session: EloStore(session).record_matches(matches[:30] + some_matches(81)[80:]))[:30]
            == (single[:30])
        )
    finally:
        other.end()


@pytest.mark.parametrize("bulk", [False, True])
def test_a_repeat_returns_what_is_stored_and_writes_nothing(database, bulk):
    """A caller that retries after a timeout must not count its debate twice."""
    first = database.run(lambda session: record(session, domain="x", k_multipliers={"bob": 1.4}))
    rows = database.run(everything)

    def again(session):
        match = NewMatch("d1", ["bob", "alice"], {"alice": 1.0, "bob": 0.0}, "x", k_multipliers={"bob": 1.4})
        if bulk:
            return EloStore(session).record_matches([match, match])[1]
        return record(session, scores=dict(match.scores), domain="x", k_multipliers=match.k_multipliers)

    assert database.run(again) == first
    assert database.run(everything) == rows


@pytest.mark.parametrize(
    "other",
    [
        {"scores": {"alice": 1.0, "bob": 0.5}},
        {"scores": {"alice": 1.0, "carol": 0.0}},
        {"scores": {"alice": 1.0, "bob": 0.0, "carol": 0.0}},
        {"domain": None},
        {"domain": "y"},
        {"confidence_weight": 0.5},
        {"k_multipliers": {"alice": 1.1}},
    ],
    ids=str,
)
def test_other_content_for_the_same_debate_is_a_conflict(database, other):
    """Returning the old result for another question would hide that two callers disagree about a debate."""
    database.run(lambda session: record(session, domain="x"))
    rows = database.run(everything)
    arguments = {"scores": {"alice": 1.0, "bob": 0.0}, "domain": "x", **other}
    with pytest.raises(ConflictError, match="d1"):
        database.run(lambda session: record(session, **arguments))
    scores = arguments.pop("scores")
    match = NewMatch("d1", list(scores), scores, **arguments)
    with pytest.raises(ConflictError, match="d1"):
        database.run(lambda session: EloStore(session).record_matches([match]))
    assert database.run(everything) == rows


def test_matches_of_one_call_that_contradict_each_other(database):
    """All or nothing: half of a contradictory list must not be rated."""
    matches = [NewMatch("d1", ["a", "b"], {"a": 1, "b": 0}), NewMatch("d1", ["a", "b"], {"a": 0, "b": 1})]
    with pytest.raises(ConflictError):
        database.run(lambda session: EloStore(session).record_matches(matches))
    assert not any(database.run(everything).values())


@pytest.mark.parametrize(
    "bad",
    [
        {"participants": ["alice"], "scores": {"alice": 1.0}},
        {"participants": []},
        {"participants": "ab", "scores": {"a": 1.0, "b": 0.0}},
        {"participants": ["alice", "alice"]},
        {"participants": ["alice", " "]},
        {"participants": ["alice", "b\x00b"]},
        {"participants": ["alice", "b" * 1025]},
        {"scores": {"alice": 1.0}},
        {"scores": {"alice": 1.0, "bob": 0.0, "carol": 1.0}},
        {"scores": {"alice": math.inf, "bob": 0.0}},
        {"scores": {"alice": math.nan, "bob": 0.0}},
        {"scores": {"alice": -1.0, "bob": 0.0}},
        {"scores": {"alice": True, "bob": 0.0}},
        {"scores": {"alice": "1", "bob": 0.0}},
        {"debate_id": ""},
        {"debate_id": None},
        {"domain": ""},
        {"confidence_weight": math.nan},
        {"k_multipliers": {"alice": math.inf}},
        {"k_multipliers": {"carol": 1.0}},
        {"created_at": datetime(2026, 1, 1)},  # noqa: DTZ001 -- naive on purpose
    ],
    ids=str,
)
def test_bad_input_is_refused_before_anything_is_written(database, bad):
    """Aragora wrote ratings first and failed at the history: a match with an infinite score was half applied."""
    arguments = {"debate_id": "d1", "participants": ["alice", "bob"], "scores": {"alice": 1.0, "bob": 0.0}} | bad
    with pytest.raises(InvalidValue):
        database.run(lambda session: EloStore(session).record_match(**arguments))
    good = NewMatch("d0", ["alice", "bob"], {"alice": 1.0, "bob": 0.0})
    with pytest.raises(InvalidValue):
        database.run(lambda session: EloStore(session).record_matches([good, NewMatch(**arguments)]))
    assert not any(database.run(everything).values())


def test_no_matches_at_all(database):
    """An empty list is what a quiet day looks like."""
    assert database.run(lambda session: EloStore(session).record_matches([])) == []


def test_the_session_sees_what_was_recorded(database):
    """Objects that were loaded before must not go on showing, or write back, the rating of before."""

    def work(session):
        record(session, "d1", domain="x")
        alice = session.get(EloRating, "alice")
        assert (alice.elo, alice.domain_elos["x"]) == (1516.0, 1516.0)
        record(session, "d2", domain="x")
        assert alice.elo > 1516.0
        assert alice.domain_elos["x"] == alice.elo
        alice.critiques_total = 3
        EloStore(session).record_matches([NewMatch("d3", ["alice", "bob"], {"alice": 0.0, "bob": 1.0})])
        assert (alice.losses, alice.critiques_total) == (1, 3)
        return alice.elo

    assert database.run(work) == database.run(lambda session: session.get(EloRating, "alice").elo)


def test_a_match_read_back(database):
    """The order of participants is part of the record: `position` keeps it."""
    when = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    scores = {"zoe": 0.5, "alice": 0.5, "mia": 0.2}
    database.run(lambda session: record(session, "d9", scores, domain="x", created_at=when))
    match = database.run(lambda session: EloStore(session).match("d9"))
    assert match is not None
    assert (list(match.participants), dict(match.scores), match.winner, match.created_at) == (
        ["zoe", "alice", "mia"],
        scores,
        None,
        when,
    )
    assert database.run(lambda session: EloStore(session).match("none")) is None


def test_extreme_ratings_and_scores(database):
    """The largest doubles are legal scores; an overflow in SQL would be an error that Python does not have."""

    def work(session):
        session.add_all([EloRating(agent_name="high", elo=1e6), EloRating(agent_name="low", elo=-1e6)])
        session.flush()
        first = EloStore(session).record_match("d1", ["high", "low"], {"high": 0.0, "low": 1.7e308})
        second = EloStore(session).record_match("d2", ["high", "low"], {"high": 1.7e308, "low": 1.7e308})
        return first, second

    first, second = database.run(work)
    assert first == {"high": -32.0, "low": 32.0}
    assert second == {"high": -16.0, "low": 16.0}


def test_an_imported_match_without_scores_is_known(database):
    """Rows from before kept no weights and may lack scores: what is not known of them is no contradiction."""

    def work(session):
        match = EloMatch(debate_id="old", winner="alice")
        match.participants["alice"] = EloMatchParticipant(agent_name="alice", position=0, elo_change=4.0)
        match.participants["bob"] = EloMatchParticipant(agent_name="bob", position=1, elo_change=-4.0)
        session.add(match)
        session.flush()
        return record(session, "old")

    assert database.run(work) == {"alice": 4.0, "bob": -4.0}
