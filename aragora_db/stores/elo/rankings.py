"""The statements behind leaderboards, ranks and neighbours."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from aragora_db.models import EloDomainRating, EloMatch, EloRating
from aragora_db.stores.elo.results import Standing
from aragora_db.stores.paging import Keyset
from aragora_db.types import Double, Key

__all__ = [
    "DOMAIN_STANDINGS",
    "IN_DOMAIN",
    "NEIGHBOURS",
    "OVERALL",
    "OWN_ELO",
    "RANK",
    "STANDINGS",
    "STATS",
    "key_of",
    "standing_of",
]

_RECORD = (EloRating.wins, EloRating.losses, EloRating.draws, EloRating.debates_count)
STANDINGS: Any = sa.select(EloRating.agent_name, EloRating.elo, *_RECORD)
OVERALL = Keyset(EloRating.elo.desc(), EloRating.agent_name)
DOMAIN_STANDINGS: Any = sa.select(EloDomainRating.agent_name, EloDomainRating.elo, *_RECORD).join(
    EloRating, EloRating.agent_name == EloDomainRating.agent_name
)
IN_DOMAIN = Keyset(EloDomainRating.elo.desc(), EloDomainRating.agent_name)

_NAME = sa.bindparam("agent_name", type_=Key())
_SELF = aliased(EloRating)
_OWN = sa.select(_SELF.elo).where(_SELF.agent_name == _NAME).scalar_subquery()


def _count(*conditions: Any) -> Any:
    return sa.select(sa.func.count()).select_from(EloRating).where(*conditions).scalar_subquery()


_ELO = sa.bindparam("elo", type_=Double())
# Two ranges of one index, instead of one with an OR that each row would have to be asked.
RANK = sa.select(_count(EloRating.elo > _ELO) + _count(EloRating.elo == _ELO, EloRating.agent_name < _NAME) + 1)
# A statement of its own: with a rating that PostgreSQL has yet to look up it plans for a third of the table, and reads
# all of it in parallel to count the first ten.
OWN_ELO = sa.select(EloRating.elo).where(EloRating.agent_name == _NAME)


def _nearest(bound: Any, tied: Any, order: tuple[Any, Any], limit: str) -> Any:
    """The agents next to the rating on one side, nearest first."""
    statement = STANDINGS.where(bound, sa.or_(EloRating.elo != _OWN, tied)).order_by(*order)
    return sa.select(statement.limit(sa.bindparam(limit, type_=sa.Integer())).subquery(limit))


NEIGHBOURS = sa.union_all(
    _nearest(
        EloRating.elo >= _OWN, EloRating.agent_name < _NAME, (EloRating.elo, EloRating.agent_name.desc()), "above"
    ),
    _nearest(
        EloRating.elo <= _OWN,
        EloRating.agent_name >= _NAME,
        (EloRating.elo.desc(), EloRating.agent_name),
        "own_and_below",
    ),
)

STATS = sa.select(
    sa.func.count(),
    sa.func.avg(EloRating.elo, type_=Double()),
    sa.func.max(EloRating.elo),
    sa.func.min(EloRating.elo),
    sa.select(sa.func.count()).select_from(EloMatch).scalar_subquery(),
).select_from(EloRating)


def standing_of(row: Any) -> Standing:
    """Make a standing of a row of `STANDINGS` or `DOMAIN_STANDINGS`."""
    return Standing(*row)


def key_of(standing: Standing) -> tuple[Any, ...]:
    """Return what a leaderboard orders a standing by."""
    return standing.elo, standing.agent_name
