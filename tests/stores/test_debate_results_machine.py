"""Any sequence of results and judgements of critiques, against a model of plain dictionaries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aragora_db.errors import ConflictError, NotFoundError
from aragora_db.stores import DebateStore
from aragora_db.stores.debates import NewCritique, NewResult

DAY = datetime(2026, 1, 15, tzinfo=UTC)
AGENTS = ["ada", "bob"]
IDS = st.integers(0, 3).map("debate-{}".format)
SHARES = st.sampled_from([0, 0.25, 0.5, 1])
CRITIQUES = st.lists(
    st.builds(
        NewCritique,
        st.sampled_from(AGENTS),
        st.sampled_from([None, *AGENTS]),
        st.lists(st.sampled_from(["vague", "long"]), max_size=1),
        severity=st.sampled_from([None, 3, 3.5]),
        expected_usefulness=SHARES,
    ),
    max_size=2,
)


class ResultsMachine(RuleBasedStateMachine):
    """The model: what was said of each debate, and every critique in the order of its time, with its judgement."""

    def __init__(self, database):
        super().__init__()
        self.database = database

    @initialize()
    def begin(self):
        """Nothing has ended."""
        self.results = {}
        self.critiques = []
        self.clock = DAY

    def run(self, verb):
        """One unit of work."""
        return self.database.transact(lambda session: verb(DebateStore(session)))

    @rule(id_=IDS, answer=st.sampled_from(["yes", "no"]), confidence=SHARES, said=CRITIQUES)
    def record(self, id_, answer, confidence, said):
        """End a debate, or say the same or another end again."""
        self.clock += timedelta(seconds=1)
        told = (answer, confidence, said)
        try:
            made = self.run(
                lambda store: store.record_result(
                    NewResult(id_, "t", answer, confidence=confidence, critiques=said), created_at=self.clock
                )
            )
        except ConflictError:
            assert self.results[id_] != told
            return
        assert (made.final_answer, made.confidence) == (answer, confidence)
        if id_ in self.results:
            assert self.results[id_] == told
            return
        self.results[id_] = told
        stored = self.run(lambda store: store.critiques(id_))
        assert len(stored) == len(said)
        for new, there in zip(said, stored, strict=True):
            self.critiques.append({"id": there.id, "new": new, "debate": id_, "judged": None})

    @rule(number=st.integers(0, 9), usefulness=SHARES, improved=st.booleans())
    def judge(self, number, usefulness, improved):
        """Say what a critique was worth, once."""
        known = self.critiques[number] if number < len(self.critiques) else None
        try:
            judged = self.run(
                lambda store: store.judge_critique(
                    known["id"] if known else -1, led_to_improvement=improved, actual_usefulness=usefulness
                )
            )
        except NotFoundError:
            assert known is None
            return
        except ConflictError:
            assert known["judged"] not in {None, (usefulness, improved)}
            return
        assert known["judged"] in {None, (usefulness, improved)}
        known["judged"] = (usefulness, improved)
        assert judged.prediction_error == abs(known["new"].expected_usefulness - usefulness)

    @invariant()
    def agrees(self):
        """Given and received, newest first; nothing of a refused result is there."""
        self.run(self.compare)

    def compare(self, store):
        """Compare everything in one unit of work."""
        for agent in AGENTS:
            given, received = store.critiques_by(agent).items, store.critiques_of(agent).items
            assert [self.seen(each) for each in given] == self.expected(lambda new, agent=agent: new.agent == agent)
            assert [self.seen(each) for each in received] == self.expected(
                lambda new, agent=agent: new.target_agent == agent
            )
        for number in range(4):
            stored = store.result(f"debate-{number}")
            assert (stored is not None) == (f"debate-{number}" in self.results)

    def expected(self, which):
        """The critiques of the model that fit, newest first."""
        return [
            (each["id"], each["debate"], each["new"].issues, each["new"].severity, each["judged"])
            for each in reversed(self.critiques)
            if which(each["new"])
        ]

    @staticmethod
    def seen(critique):
        """A stored critique in the model's terms."""
        judged = (
            None if critique.actual_usefulness is None else (critique.actual_usefulness, critique.led_to_improvement)
        )
        return (critique.id, critique.debate_id, critique.issues, critique.severity, judged)


def test_any_sequence_of_results(play):
    """A difference here is a critique counted twice, a judgement written over, or half a result."""
    play(ResultsMachine)
