"""Upserts of memories and of their embeddings, past the ORM for speed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from aragora_db.engine.dialects import insert
from aragora_db.models import Base, ContinuumMemory
from aragora_db.search.index import follow

__all__ = ["upsert_embeddings", "upsert_memories"]

_MEMORY = Base.metadata.tables["continuum_memory"]
_EMBEDDING = Base.metadata.tables["continuum_embeddings"]


def upsert_memories(session: Session, rows: Sequence[dict[str, Any]], keep_surprise: set[str]) -> None:
    """Insert memories, or replace what `ContinuumStore.add` replaces of those that exist, and index their words.

    Args:
        session: the transaction.
        rows: values by attribute, in key order.
        keep_surprise: ids of the memories whose surprise stays if they exist.
    """
    statement = insert(session, _MEMORY)
    old, new = _MEMORY.c, statement.excluded
    protected = {name: sa.case((old.red_line, old[name]), else_=new[name]) for name in ("tier", "importance")}
    statement = statement.on_conflict_do_update(
        index_elements=["id"],
        set_={
            **protected,
            "content": new.content,
            "surprise_score": sa.case(
                (sa.bindparam("keep_surprise", type_=sa.Boolean()), old.surprise_score), else_=new.surprise_score
            ),
            "metadata": new.metadata,
            "expires_at": new.expires_at,
            "updated_at": new.updated_at,
        },
    )
    # Core goes by the column's name, and the attribute cannot be called `metadata`.
    columns = [
        {("metadata" if name == "metadata_" else name): value for name, value in row.items()}
        | {"keep_surprise": row["id"] in keep_surprise}
        for row in rows
    ]
    session.connection().execute(statement, columns)
    follow(session, ContinuumMemory, {row["id"]: (row["content"],) for row in rows}, new=False)


def upsert_embeddings(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Insert embeddings, or replace those that exist.

    Args:
        session: the transaction.
        rows: values by column, in key order.
    """
    statement = insert(session, _EMBEDDING)
    new = statement.excluded
    statement = statement.on_conflict_do_update(
        index_elements=["memory_id"], set_={"embedding": new.embedding, "updated_at": new.updated_at}
    )
    session.connection().execute(statement, rows)
