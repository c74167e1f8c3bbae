"""Compute what is derived from imported rows: search words and head-to-head counts."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.orm import Session, aliased

from aragora_db.models import Base, EloHeadToHead, EloMatch, EloMatchParticipant
from aragora_db.search import index
from aragora_db.transfer.target import bulk_load
from aragora_db.transfer.target.loaders import loader_of

__all__ = ["reindex"]


def reindex(engine: Engine, carried: Collection[str]) -> None:
    """Compute again what is derived from tables that were imported, in a transaction each."""
    for model, table in index.followers().items():
        if model.__tablename__ in carried:
            with Session(engine) as session, session.begin():
                _index_words(session, model, table)
    if {"elo_matches", "elo_match_participants"} & set(carried):
        with Session(engine) as session, session.begin():
            _count_head_to_head(session)


def _index_words(session: Session, model: type[Base], table: sa.Table) -> None:
    """Write the words that are missing. Where none are there, the full-text index is built when all of them are."""
    connection = session.connection()
    loader = loader_of(connection)
    dropped = (
        bulk_load.drop_indexes(connection, [table])
        if loader.supports_copy and bulk_load.may_drop_indexes(connection, [table])
        else None
    )
    everything = bulk_load.are_empty(connection, [table])
    for _, rows in index.missing(session, model, everything=everything):
        if rows:
            loader.insert_rows(connection, table, rows)
    if dropped is not None:
        dropped.rebuild(connection)


def _count_head_to_head(session: Session) -> None:
    """Count matches, wins and draws of each pair of agents, from all matches."""
    one, other = aliased(EloMatchParticipant), aliased(EloMatchParticipant)
    winner = EloMatch.winner
    counted = (
        sa.select(
            one.agent_name,
            other.agent_name,
            sa.func.count(),
            sa.func.sum(sa.case((winner == one.agent_name, 1), else_=0)),
            sa.func.sum(sa.case((winner == other.agent_name, 1), else_=0)),
            sa.func.sum(sa.case((winner.is_(None), 1), else_=0)),
        )
        .select_from(one)
        .join(other, sa.and_(other.match_id == one.match_id, one.agent_name < other.agent_name))
        .join(EloMatch, EloMatch.id == one.match_id)
        .group_by(one.agent_name, other.agent_name)
    )
    columns = ["agent_a", "agent_b", "matches", "a_wins", "b_wins", "draws"]
    session.execute(sa.delete(EloHeadToHead))
    session.execute(sa.insert(EloHeadToHead).from_select(columns, counted))
