"""The real matches, replayed through the store: its changes are those that Aragora stored.

What the file does not keep is how much each match counted (`confidence_weight`). The changes are proportional to it, so
it is found by dividing: all 2,001 matches come out at 1, 0.8, 0.55 or 0.3, one factor for all participants of a match.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from aragora_db.models import EloHistory, EloRating
from aragora_db.rules import elo
from aragora_db.stores import EloStore, NewMatch

pytestmark = pytest.mark.slow

SAMPLE = Path(__file__).with_name("elo_replay_sample.json")
REAL = Path(__file__).parents[2].parent / "shared" / "fixtures" / "nomic" / "agent_elo.db"


def from_sample():
    """The first 40 matches of the file, kept here: a clone has no other."""
    kept = json.loads(SAMPLE.read_text(encoding="utf-8"))
    return kept["matches"], kept["history"], kept["ratings"], {}


def from_file():
    """Matches in order, history in order, the ratings at the end, and how many other events moved them."""
    with closing(sqlite3.connect(f"{REAL.as_uri()}?mode=ro", uri=True)) as file:
        matches = [
            (debate_id, json.loads(names), domain, json.loads(scores), json.loads(changes))
            for debate_id, names, domain, scores, changes in file.execute(
                "SELECT debate_id, participants, domain, scores, elo_changes FROM matches ORDER BY id"
            )
        ]
        history = file.execute("SELECT agent_name, elo, debate_id FROM elo_history ORDER BY id").fetchall()
        ratings = dict(file.execute("SELECT agent_name, elo FROM ratings").fetchall())
        return matches, history, ratings, {"voting": 100, "learning": 21, "verification": 34, "redteam": 12}


SOURCES = [pytest.param(from_sample, id="sample")]
if REAL.exists():
    SOURCES.append(pytest.param(from_file, id="file", marks=pytest.mark.fixtures))


@pytest.fixture(params=SOURCES)
def real(request):
    """What Aragora wrote."""
    return request.param()


def weighted(matches):
    """The matches with the weight that their stored changes show, and the changes."""
    ratings = defaultdict(lambda: elo.INITIAL_RATING)
    for debate_id, names, domain, scores, changes in matches:
        full = elo.pairwise_changes({name: ratings[name] for name in names}, scores)
        largest = max(names, key=lambda name, full=full: abs(full[name]))
        weight = round(changes[largest] / full[largest], 2)
        assert weight in {1.0, 0.8, 0.55, 0.3}, debate_id
        yield NewMatch(debate_id, names, scores, domain, weight)
        for name in names:
            ratings[name] += changes[name]


@pytest.mark.parametrize("bulk", [False, True], ids=["one by one", "in bulk"])
def test_every_stored_change_is_ours(plain_database, real, bulk):
    """A formula that differs in the ninth place still ranks two agents differently after a year."""
    matches, history, _, _ = real
    inputs = list(weighted(matches))

    def work(session):
        store = EloStore(session)
        if bulk:
            return store.record_matches(inputs)
        return [
            store.record_match(
                each.debate_id, each.participants, each.scores, each.domain, confidence_weight=each.confidence_weight
            )
            for each in inputs
        ]

    ours = plain_database.transact(work)
    for (debate_id, _, _, _, stored), changes in zip(matches, ours, strict=True):
        assert changes == pytest.approx(stored, abs=1e-9), debate_id
    rows = plain_database.transact(
        lambda session: session.execute(sa.select(EloHistory.agent_name, EloHistory.debate_id, EloHistory.elo)).all()
    )
    debates = {match[0] for match in matches}
    assert {(name, debate_id): rating for name, debate_id, rating in rows} == pytest.approx(
        {(name, debate_id): rating for name, rating, debate_id in history if debate_id in debates}, abs=1e-9
    )


def test_what_else_moved_the_ratings(plain_database, real):
    """The file's ratings end elsewhere: 12 red-team sessions and 34 verifications moved them after the last match.

    The other 121 rows of history, votes and lessons, repeat the overall rating: they moved that of a domain.
    """
    matches, history, final, others = real
    plain_database.transact(lambda session: EloStore(session).record_matches(weighted(matches)))
    ours = plain_database.transact(
        lambda session: dict(session.execute(sa.select(EloRating.agent_name, EloRating.elo)).all())
    )
    debates = {match[0] for match in matches}
    last, later, kinds = {}, defaultdict(float), defaultdict(int)
    for name, rating, tag in history:
        if tag not in debates:
            later[name] += rating - last[name]
            kinds[tag.partition(":")[0].partition("_")[0]] += 1
            if tag.startswith(("voting:", "learning:")):
                assert rating == pytest.approx(last[name], abs=1e-9)
        last[name] = rating
    assert dict(kinds) == others
    assert {name: ours[name] + later[name] for name in ours} == pytest.approx(final, abs=1e-9)
