"""Any sequence of matches, one by one or in bulk, repeated or contradicting, against a model of plain dictionaries."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aragora_db.errors import ConflictError
from aragora_db.models import EloDomainRating, EloHeadToHead, EloHistory, EloRating
from aragora_db.rules import elo
from aragora_db.stores import EloStore, NewMatch

AGENTS = ("ada", "bob", "Cy", "döra", "эва")
NUMBERS = st.sampled_from([0.0, 0.25, 0.5, 1.0, 3.0])


@st.composite
def matches(draw):
    """A match of some of the agents; few ids, so that repeats and contradictions come up."""
    names = draw(st.lists(st.sampled_from(AGENTS), min_size=2, max_size=4, unique=True))
    return NewMatch(
        f"debate-{draw(st.integers(0, 12))}",
        names,
        {name: draw(NUMBERS) for name in names},
        draw(st.sampled_from([None, "x", "y"])),
        draw(st.sampled_from([1.0, 0.5])),
        draw(st.sampled_from([None, {names[0]: 1.4}])),
    )


class MatchMachine(RuleBasedStateMachine):
    """The model: matches by debate, ratings, records and history as a person would keep them on paper."""

    def __init__(self, database):
        super().__init__()
        self.database = database

    @initialize()
    def begin(self):
        """Nothing has happened."""
        self.known = {}
        self.ratings = defaultdict(lambda: 1500.0)
        self.domains = defaultdict(lambda: 1500.0)
        self.records = defaultdict(Counter)
        self.pairs = Counter()
        self.history = []

    def play(self, match):
        """Add a match to the model; the changes."""
        content = (match.scores, match.domain, match.confidence_weight, match.k_multipliers or {})
        if match.debate_id in self.known:
            stored, changes = self.known[match.debate_id]
            if stored != content:
                raise ConflictError(match.debate_id)
            return changes
        before = {name: self.ratings[name] for name in match.scores}
        changes = elo.pairwise_changes(
            before, match.scores, confidence_weight=match.confidence_weight, multipliers=match.k_multipliers
        )
        winner = elo.winner(match.scores)
        for name in match.participants:
            self.ratings[name] += changes[name]
            outcome = "draws" if winner is None else "wins" if winner == name else "losses"
            self.records[name].update([outcome, "debates_count"])
            self.history.append((name, self.ratings[name], match.debate_id))
            if match.domain is not None:
                self.domains[name, match.domain] += changes[name]
        self.pairs.update(elo.pairs(match.scores))
        self.known[match.debate_id] = content, changes
        return changes

    @rule(match=matches())
    def record_one(self, match):
        """One match."""
        expected = outcome_of(lambda: self.play(match))
        actual = outcome_of(
            lambda: self.database.transact(
                lambda session: EloStore(session).record_match(
                    match.debate_id,
                    match.participants,
                    match.scores,
                    match.domain,
                    confidence_weight=match.confidence_weight,
                    k_multipliers=match.k_multipliers,
                )
            )
        )
        assert actual == pytest.approx(expected, abs=1e-9) if isinstance(expected, dict) else actual is expected

    @rule(some=st.lists(matches(), max_size=5))
    def record_several(self, some):
        """Several at once: the same, or nothing at all."""
        contradicts = False
        contents = {debate_id: content for debate_id, (content, _) in self.known.items()}
        for match in some:
            content = (match.scores, match.domain, match.confidence_weight, match.k_multipliers or {})
            contradicts |= contents.setdefault(match.debate_id, content) != content
        work = outcome_of(lambda: self.database.transact(lambda session: EloStore(session).record_matches(some)))
        if contradicts:
            assert work is ConflictError
            return
        for match, changes in zip(some, work, strict=True):
            assert changes == pytest.approx(self.play(match), abs=1e-9)

    @invariant()
    def agrees(self):
        """Every table says what the model says."""
        self.database.transact(self.compare)

    def compare(self, session):
        """In one transaction."""
        ratings = session.scalars(sa.select(EloRating)).all()
        played = {name: count for name, count in self.records.items() if count}
        assert {each.agent_name: each.elo for each in ratings} == pytest.approx(
            {name: self.ratings[name] for name in played}, abs=1e-9
        )
        for each in ratings:
            for column in ("wins", "losses", "draws", "debates_count"):
                assert getattr(each, column) == played[each.agent_name][column], column
        rows = session.execute(sa.select(EloHistory.agent_name, EloHistory.elo, EloHistory.debate_id))
        ours = {(name, debate_id): rating for name, rating, debate_id in self.history}
        assert {(name, debate_id): rating for name, rating, debate_id in rows} == pytest.approx(ours, abs=1e-9)
        domains = session.execute(sa.select(EloDomainRating.agent_name, EloDomainRating.domain, EloDomainRating.elo))
        assert {(name, domain): rating for name, domain, rating in domains} == pytest.approx(
            dict(self.domains), abs=1e-9
        )
        pairs = session.execute(sa.select(EloHeadToHead.agent_a, EloHeadToHead.agent_b, EloHeadToHead.matches))
        assert {(a, b): count for a, b, count in pairs} == dict(self.pairs)


def outcome_of(work):
    """What a call returns, or the class of the conflict it raises."""
    try:
        return work()
    except ConflictError:
        return ConflictError


def test_any_sequence_of_matches(play):
    """A difference here is a match that some order of calls, repeats or batches counts differently."""
    play(MatchMachine)
