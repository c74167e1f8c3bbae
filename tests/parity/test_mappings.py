"""The mappings of ratings and matches can be written as a whole, again and again."""

from __future__ import annotations

from aragora_db.models import EloMatch, EloMatchParticipant, EloRating


def test_domain_ratings_are_replaced(database):
    """A second `merge` of the same rating is how a caller says "this is how it is now"."""
    for wanted in ({"security": 1500.0, "testing": 1510.0}, {"security": 1490.0}, {"testing": 1505.0}):
        database.run(lambda s, wanted=wanted: s.merge(EloRating(agent_name="claude", domain_elos=wanted)))
        assert database.run(lambda s: dict(s.get(EloRating, "claude").domain_elos)) == wanted


def test_participants_are_replaced(database):
    """A match that is merged again keeps its participants' rows, with the new scores."""
    for score in (0.25, 0.75):

        def write(session, score=score):
            parts = [EloMatchParticipant(agent_name=name, position=n, score=score) for n, name in enumerate("ab")]
            session.merge(EloMatch(id=1, debate_id="d", participants={part.agent_name: part for part in parts}))

        database.run(write)
        assert database.run(lambda s: dict(s.get(EloMatch, 1).scores)) == {"a": score, "b": score}
