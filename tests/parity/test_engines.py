"""Every engine does the same with the same unit of work."""

from __future__ import annotations

from aragora_db.models import EloRating


def test_round_trip(database):
    """A row written through one engine that reads back differently would change ratings in silence."""

    def write(session):
        rating = EloRating(agent_name="claude", elo=1516.25)
        rating.domain_elos = {"security": 1502.5}
        session.add(rating)

    database.run(write)
    assert database.run(lambda s: dict(s.get(EloRating, "claude").domain_elos), read_only=True) == {"security": 1502.5}
