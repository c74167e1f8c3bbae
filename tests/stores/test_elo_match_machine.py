"""Any sequence of matches, in every form, under any rules, against a model of plain dictionaries.

The model is the same on both dialects, so that all forms of a match write the same rows on both.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aragora_db.errors import ConflictError
from aragora_db.models import (
    EloDomainRating,
    EloHeadToHead,
    EloHistory,
    EloMatch,
    EloMatchParticipant,
    EloRating,
)
from aragora_db.rules import elo
from aragora_db.rules.installation import Rules
from aragora_db.stores import EloStore, NewMatch

pytestmark = pytest.mark.slow

# Few, so that they meet again; the others are what quoting, sorting and placeholders could go wrong with.
AGENTS = st.sampled_from(["ada", "bob", "Cy", "döra", "эва"]) | st.text("aZé' %s:\\😀", min_size=1, max_size=4).filter(
    str.strip
)
# No numbers so small that a product of them is 0: PostgreSQL calls that an error, "value out of range: underflow".
SCORES = st.sampled_from([0.0, 0.25, 0.5, 1.0, 3.0]) | st.floats(1e-3, 1e308)
FACTORS = st.sampled_from([1.0, 1.4]) | st.floats(0.01, 2)
WEIGHTS = st.sampled_from([1.0, 0.5]) | st.floats(-1, 2)
TIMES = st.integers(0, 3).map(lambda hour: datetime(2026, 3, 1, hour, tzinfo=UTC) + timedelta(microseconds=hour))
RULES = st.just(Rules()) | st.builds(Rules, initial_rating=st.floats(1, 1e4), k_factor=st.just(0.0) | st.floats(1, 400))


@st.composite
def matches(draw):
    """A match of two to four agents; few ids, so that repeats and contradictions come up."""
    names = draw(st.lists(AGENTS, min_size=2, max_size=4, unique=True))
    return NewMatch(
        f"debate-{draw(st.integers(0, 12))}",
        names,
        {name: draw(SCORES) for name in names},
        draw(st.sampled_from([None, "x", "y"])),
        draw(WEIGHTS),
        draw(st.none() | st.dictionaries(st.sampled_from(names), FACTORS)),
        draw(TIMES),
    )


def content_of(match):
    """What makes another recording the same match; what is not given counts 1, and weights have limits."""
    multipliers = {name: (match.k_multipliers or {}).get(name, 1.0) for name in match.participants}
    return match.scores, match.domain, min(1.0, max(0.1, match.confidence_weight)), multipliers


class MatchMachine(RuleBasedStateMachine):
    """The model: matches by debate, ratings, records and history as a person would keep them on paper."""

    def __init__(self, database):
        super().__init__()
        self.database = database

    @initialize(rules=RULES)
    def begin(self, rules):
        """Nothing has happened."""
        self.rules = rules
        self.known = {}
        self.ratings = defaultdict(lambda: rules.initial_rating)
        self.domains = defaultdict(lambda: rules.initial_rating)
        self.records = defaultdict(Counter)
        self.times = {}
        self.pairs = defaultdict(Counter)
        self.history, self.matches, self.participants = [], {}, {}

    def play(self, match):
        """Add a match to the model; the changes."""
        content = content_of(match)
        if match.debate_id in self.known:
            stored, changes = self.known[match.debate_id]
            if not alike(stored, content):
                raise ConflictError(match.debate_id)
            return changes
        _, domain, weight, multipliers = content
        changes = elo.pairwise_changes(
            {name: self.ratings[name] for name in match.scores},
            match.scores,
            k=self.rules.k_factor,
            confidence_weight=weight,
            multipliers=multipliers,
        )
        winner = elo.winner(match.scores)
        self.matches[match.debate_id] = winner, domain, weight, match.created_at
        for position, name in enumerate(match.participants):
            self.ratings[name] += changes[name]
            outcome = "draws" if winner is None else "wins" if winner == name else "losses"
            self.records[name].update([outcome, "debates_count"])
            self.times[name] = max(self.times.get(name, match.created_at), match.created_at)
            self.history.append((name, match.debate_id, match.created_at, self.ratings[name]))
            part = position, match.scores[name], multipliers[name], changes[name]
            self.participants[match.debate_id, name] = part
            if domain is not None:
                self.domains[name, domain] += changes[name]
        for a, b in elo.pairs(match.scores):
            self.pairs[a, b].update({"matches": 1, "draws" if winner is None else winner: 1})
        self.known[match.debate_id] = content, changes
        return changes

    def record(self, session, match):
        """One match, one by one."""
        return EloStore(session, rules=self.rules).record_match(
            match.debate_id,
            match.participants,
            match.scores,
            match.domain,
            confidence_weight=match.confidence_weight,
            k_multipliers=match.k_multipliers,
            created_at=match.created_at,
        )

    def contradicts(self, some):
        """Whether one of several matches contradicts another one, or what is recorded."""
        contents = {debate_id: content for debate_id, (content, _) in self.known.items()}
        return any(not alike(contents.setdefault(each.debate_id, content_of(each)), content_of(each)) for each in some)

    @rule(match=matches())
    def record_one(self, match):
        """One match."""
        expected = outcome_of(lambda: self.play(match))
        actual = outcome_of(lambda: self.database.transact(lambda session: self.record(session, match)))
        assert actual == close(expected) if isinstance(expected, dict) else actual is expected

    @rule(some=st.lists(matches(), max_size=5), bulk=st.booleans())
    def record_several(self, some, bulk):
        """Several in one transaction, in bulk or one by one: the same, or nothing at all."""

        def work(session):
            if bulk:
                return EloStore(session, rules=self.rules).record_matches(some)
            return [self.record(session, each) for each in some]

        contradicts = self.contradicts(some)
        result = outcome_of(lambda: self.database.transact(work))
        if contradicts:
            assert result is ConflictError
            return
        for match, changes in zip(some, result, strict=True):
            assert changes == close(self.play(match))

    @invariant()
    def agrees(self):
        """Every table says what the model says."""
        self.database.transact(self.compare)

    def compare(self, session):
        """In one transaction."""

        def rows(*columns):
            return [tuple(row) for row in session.execute(sa.select(*columns))]

        counts = (EloRating.wins, EloRating.losses, EloRating.draws, EloRating.debates_count)
        names = ("wins", "losses", "draws", "debates_count")
        assert {row[0]: row[1:] for row in rows(EloRating.agent_name, EloRating.updated_at, *counts)} == {
            name: (self.times[name], *(count[column] for column in names)) for name, count in self.records.items()
        }
        assert dict(rows(EloRating.agent_name, EloRating.elo)) == close(
            {name: self.ratings[name] for name in self.records}
        )
        history = rows(EloHistory.agent_name, EloHistory.debate_id, EloHistory.created_at, EloHistory.elo)
        assert {row[:3]: row[3] for row in history} == close({row[:3]: row[3] for row in self.history})
        assert len(history) == len(self.history)
        domains = rows(EloDomainRating.agent_name, EloDomainRating.domain, EloDomainRating.elo)
        assert {row[:2]: row[2] for row in domains} == close(dict(self.domains))
        match = (EloMatch.winner, EloMatch.domain, EloMatch.confidence_weight, EloMatch.created_at)
        assert {row[0]: row[1:] for row in rows(EloMatch.debate_id, *match)} == self.matches
        part = (EloMatchParticipant.position, EloMatchParticipant.score, EloMatchParticipant.k_multiplier)
        of_match = sa.select(EloMatch.debate_id, EloMatchParticipant.agent_name, *part, EloMatchParticipant.elo_change)
        parts = session.execute(of_match.join(EloMatchParticipant, EloMatchParticipant.match_id == EloMatch.id))
        found = {tuple(row[:2]): tuple(row[2:]) for row in parts}
        assert {key: row[:3] for key, row in found.items()} == {key: row[:3] for key, row in self.participants.items()}
        assert {key: row[3] for key, row in found.items()} == close(
            {key: row[3] for key, row in self.participants.items()}
        )
        pair = (EloHeadToHead.matches, EloHeadToHead.a_wins, EloHeadToHead.b_wins, EloHeadToHead.draws)
        met = {row[:2]: row[2:] for row in rows(EloHeadToHead.agent_a, EloHeadToHead.agent_b, *pair)}
        assert met == {
            (a, b): (count["matches"], count[a], count[b], count["draws"]) for (a, b), count in self.pairs.items()
        }


def alike(one, other):
    """Whether two contents are the same, up to what is lost in the last bits."""
    return (
        one[1] == other[1]
        and one[2] == pytest.approx(other[2], rel=1e-12, abs=1e-12)
        and all(a == pytest.approx(b, rel=1e-12, abs=1e-12) for a, b in ((one[0], other[0]), (one[3], other[3])))
    )


def close(expected):
    """Not the same bits: ``power`` of two C libraries may differ in the last place."""
    return pytest.approx(expected, rel=1e-12, abs=1e-9)


def outcome_of(work):
    """What a call returns, or the class of the conflict it raises."""
    try:
        return work()
    except ConflictError:
        return ConflictError


def test_any_sequence_of_matches(play):
    """A difference here is a match that some form, order, repeat, batch, or choice of rules counts differently."""
    play(MatchMachine)
