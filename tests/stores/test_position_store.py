"""PositionStore: what agents claimed, when they changed their minds, and who was right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aragora_db.errors import ConflictError, InvalidValue, NotFoundError
from aragora_db.models import DetectedFlip, Position, PositionHistory, PositionOutcome
from aragora_db.stores import PositionStore
from aragora_db.stores.positions import NewPosition

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def record(session, claim="caches help", debate="d1", agent="ada", **others):
    """A claim; its id."""
    return PositionStore(session).record(agent, claim, 0.8, debate, 1, **others).id


def test_ids_are_whole_uuids(database):
    """The first eight digits of one collide for every hundredth of 10,000 positions."""
    id_ = database.run(record)
    assert str(UUID(id_)) == id_
    stored = database.run(lambda session: PositionStore(session).get(id_))
    assert (stored.agent_name, stored.claim, stored.outcome, stored.reversed) == (
        "ada",
        "caches help",
        "pending",
        False,
    )
    many = [NewPosition("ada", f"claim {number}", 0.5, "d2", number) for number in range(5)]
    rows = database.run(lambda session: PositionStore(session).record_many(many))
    assert [row.claim for row in rows] == [f"claim {number}" for number in range(5)]
    assert [row.round_num for row in database.run(lambda session: PositionStore(session).of_debate("d2").items)] == [
        0,
        1,
        2,
        3,
        4,
    ]


@pytest.mark.parametrize(
    "bad",
    [{"confidence": 1.2}, {"claim": " "}, {"agent_name": ""}, {"round_num": -1}, {"debate_id": "d" * 2000}],
    ids=str,
)
def test_bad_input_is_refused(database, bad):
    """Aragora brings a confidence into its range without a word."""
    arguments = {"agent_name": "ada", "claim": "c", "confidence": 0.5, "debate_id": "d1", "round_num": 1, **bad}
    with pytest.raises(InvalidValue):
        database.run(lambda session: PositionStore(session).record(**arguments))
    several = [NewPosition("ada", "c", 0.5, "d", 1), NewPosition(**arguments)]
    with pytest.raises(InvalidValue):
        database.run(lambda session: PositionStore(session).record_many(several))
    assert database.run(lambda session: session.scalar(sa.select(sa.func.count()).select_from(Position))) == 0


def test_resolved_and_reversed_once(database):
    """A verdict that can be written over is none."""
    id_ = database.run(record)
    for _ in range(2):
        row = database.run(lambda session: PositionStore(session).resolve(id_, "correct"))
        assert (row.outcome, row.resolved_at is not None) == (PositionOutcome.CORRECT, True)
    with pytest.raises(ConflictError):
        database.run(lambda session: PositionStore(session).resolve(id_, "incorrect"))
    with pytest.raises(InvalidValue):
        database.run(lambda session: PositionStore(session).resolve(id_, "perhaps"))
    with pytest.raises(NotFoundError):
        database.run(lambda session: PositionStore(session).resolve("none", "correct"))
    for _ in range(2):
        assert database.run(lambda session: PositionStore(session).reverse(id_, "d9")).reversal_debate_id == "d9"
    with pytest.raises(ConflictError):
        database.run(lambda session: PositionStore(session).reverse(id_, "d8"))
    assert [row.id for row in database.run(lambda session: PositionStore(session).with_outcome("correct").items)] == [
        id_
    ]


def test_every_pair_is_a_flip(database):
    """Aragora names a flip after the old claim only: of 176 found, 138 were stored."""

    def fill(session):
        store = PositionStore(session)
        old = record(session, "caching helps every service", "d1")
        store.reverse(old, "d2")
        record(session, "caching does not help every service", "d2")
        record(session, "caching helps every service a lot", "d2")
        record(session, "caching is another matter", "d2", agent="bob")

    database.run(fill)
    first = database.run(lambda session: PositionStore(session).detect_flips("ada"))
    again = database.run(lambda session: PositionStore(session).detect_flips("ada"))
    assert (first.new, len(first.flips), again.new, len(again.flips)) == (2, 2, 0, 2)
    assert len({flip.id for flip in first.flips}) == 2
    assert database.run(lambda session: PositionStore(session).detect_flips("bob")).flips == ()
    rating = database.run(lambda session: PositionStore(session).consistency("ada"))
    assert (rating.agent_name, rating.positions) == ("ada", 3)
    ranked = database.run(lambda session: [each.agent_name for each in PositionStore(session).consistency_ranking()])
    assert ranked == ["bob", "ada"]


def test_statements_are_grounded_in_outcomes(database):
    """Who was right is known when the debate is decided and verified, each once."""

    def fill(session):
        store = PositionStore(session)
        for agent in ("ada", "bob"):
            store.record_statement("d1", agent, "final", f"{agent} says", 1, 0.7)
        first = store.record_statement("d1", "ada", "final", "ada says better", 1, 0.9)
        store.record_statement("d2", "ada", "final", "elsewhere", 1, 0.7)
        store.finalize_debate("d1", "ada", "ada says better", 0.9)
        store.verify_debate("d1", result=True)
        return first.id

    database.run(fill)
    rows = database.run(
        lambda session: {row.agent_name: row for row in PositionStore(session).statements_of_debate("d1").items}
    )
    assert {name: (row.was_winning_position, row.verified_correct) for name, row in rows.items()} == {
        "ada": (True, True),
        "bob": (False, False),
    }
    assert rows["ada"].position_text == "ada says better"
    assert database.run(lambda session: session.scalar(sa.select(sa.func.count()).select_from(PositionHistory))) == 3
    database.run(lambda session: PositionStore(session).finalize_debate("d1", "ada", "ada says better", 0.9))
    database.run(lambda session: PositionStore(session).verify_debate("d1", result=True))
    with pytest.raises(ConflictError):
        database.run(lambda session: PositionStore(session).finalize_debate("d1", "bob", "ada says better", 0.9))
    with pytest.raises(ConflictError):
        database.run(lambda session: PositionStore(session).verify_debate("d1", result=False))
    with pytest.raises(NotFoundError):
        database.run(lambda session: PositionStore(session).verify_debate("d2", result=True))
    accuracy = database.run(lambda session: PositionStore(session).accuracy("ada"))
    assert (accuracy.statements, accuracy.winning, accuracy.verified, accuracy.correct) == (2, 1, 1, 1)


def test_without_a_winner_nobody_knows(database):
    """NULL is not False: a draw must not count against anybody."""

    def work(session):
        store = PositionStore(session)
        store.record_statement("d1", "ada", "final", "x", 1, 0.7)
        store.finalize_debate("d1", None)
        return [row.was_winning_position for row in store.statements_of_debate("d1").items]

    assert database.run(work) == [None]


def test_races(race, plain_database):
    """Two that detect at once store each pair once; two verdicts at once are one."""
    plain_database.migrate()

    def fill(session):
        store = PositionStore(session)
        for number in range(3):
            store.reverse(record(session, f"claim {number} stands", f"d{number}"), "last")
        record(session, "no claim stands", "last")

    plain_database.transact(fill)
    found = race([lambda session: PositionStore(session).detect_flips("ada").new] * 4)
    assert sum(found) == 3
    assert (
        plain_database.transact(lambda session: session.scalar(sa.select(sa.func.count()).select_from(DetectedFlip)))
        == 3
    )
    id_ = plain_database.transact(record)

    def judge(outcome):
        def work(session):
            try:
                return PositionStore(session).resolve(id_, outcome).outcome
            except ConflictError:
                return None

        return work

    verdicts = race([judge("correct"), judge("incorrect")])
    assert verdicts.count(None) == 1


class PositionMachine(RuleBasedStateMachine):
    """The model: positions in order, with outcome and reversal."""

    def __init__(self, database):
        super().__init__()
        self.database = database

    @initialize()
    def begin(self):
        """Nothing was claimed."""
        self.positions = []

    def run(self, verb):
        """One unit of work."""
        return self.database.transact(lambda session: verb(PositionStore(session)))

    @rule(
        agent=st.sampled_from("ab"),
        debate=st.sampled_from(["d1", "d2"]),
        claim=st.sampled_from(["x is so", "x is not so"]),
    )
    def claim(self, agent, debate, claim):
        """Say something."""
        now = NOW + timedelta(seconds=len(self.positions))
        id_ = self.run(lambda store: store.record(agent, claim, 0.5, debate, 0, now=now).id)
        self.positions.append({"id": id_, "agent": agent, "debate": debate, "outcome": "pending", "reversal": None})

    @rule(index=st.integers(0, 9), outcome=st.sampled_from(["correct", "incorrect"]))
    def resolve(self, index, outcome):
        """Judge a claim."""
        if index >= len(self.positions):
            return
        position = self.positions[index]
        if position["outcome"] in {"pending", outcome}:
            self.run(lambda store: store.resolve(position["id"], outcome))
            position["outcome"] = outcome
        else:
            with pytest.raises(ConflictError):
                self.run(lambda store: store.resolve(position["id"], outcome))

    @rule(index=st.integers(0, 9), debate=st.sampled_from(["d1", "d2"]))
    def reverse(self, index, debate):
        """Take a claim back in a debate."""
        if index >= len(self.positions):
            return
        position = self.positions[index]
        if position["reversal"] in {None, debate}:
            self.run(lambda store: store.reverse(position["id"], debate))
            position["reversal"] = debate
        else:
            with pytest.raises(ConflictError):
                self.run(lambda store: store.reverse(position["id"], debate))

    @invariant()
    def agrees(self):
        """Lists by agent and by outcome, and the flips of an agent."""
        mine = [each for each in self.positions if each["agent"] == "a"]
        assert [each.id for each in self.run(lambda store: store.of_agent("a").items)] == [
            each["id"] for each in reversed(mine)
        ]
        correct = {each["id"] for each in self.positions if each["outcome"] == "correct"}
        assert {each.id for each in self.run(lambda store: store.with_outcome("correct").items)} == correct
        pairs = {
            (old["id"], new["id"])
            for old in mine
            for new in mine
            if old["reversal"] == new["debate"] and old["id"] != new["id"]
        }
        flips = self.run(lambda store: store.detect_flips("a").flips)
        assert {(flip.original_position_id, flip.new_position_id) for flip in flips} == pairs


def test_any_sequence(play):
    """A difference here is a claim, a verdict or a change of mind that some order of calls loses."""
    play(PositionMachine)
