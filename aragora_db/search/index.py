r"""Rows that follow from other rows: the words that searches look for. Every ORM session keeps them in step.

After a flush that adds a memory, a debate, an insight or a consensus, or changes the text of one, its words are
written in the same transaction. What ORM sessions do not see (bulk inserts, ``\copy``, SQL by hand) is found by
`rebuild`.

Importing this module registers the listeners, on the mappers of these four models and on `AragoraSession`. Another
session gets listeners of its own when it first flushes one of the models. `Database`, every store and
`aragora_db.instrument` import it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.orm import Session, object_session

from aragora_db.engine.dialects import insert_into
from aragora_db.engine.sessions import AragoraSession
from aragora_db.models import (
    Base,
    Consensus,
    ConsensusTopicWord,
    ContinuumKeywords,
    ContinuumMemory,
    Debate,
    DebateKeywords,
    Insight,
    InsightKeywords,
)
from aragora_db.rules import consensus
from aragora_db.rules.words import words

__all__ = ["follow", "followers", "missing", "rebuild"]

_SLICE = 2_000  # rows of a rebuild in memory at once


def _keywords(owner_id: str, texts: Sequence[Any]) -> list[dict[str, Any]]:
    """The row of a keyword table for one owner; JSON counts with the texts in it."""
    return [{"owner_id": owner_id, "words": " ".join(words(" ".join(_flat(list(texts)))))}]


def _flat(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in cast("Any", value).values() if isinstance(value, dict) else cast("Any", value):
            yield from _flat(each)


def _topic_words(consensus_id: str, texts: Sequence[Any]) -> list[dict[str, Any]]:
    """A row for each word of a topic."""
    found = consensus.indexed_words(texts[0])
    return [{"consensus_id": consensus_id, "word": word, "topic_size": len(found)} for word in found]


@dataclass(frozen=True)
class _Follower:
    """A table whose rows follow from columns of another."""

    table: type[Base]
    owner: Any
    sources: tuple[Any, ...]
    rows: Callable[[str, Sequence[Any]], list[dict[str, Any]]]
    unique: tuple[str, ...] = ("owner_id",)


_FOLLOWERS: Mapping[type[Base], _Follower] = {
    ContinuumMemory: _Follower(ContinuumKeywords, ContinuumKeywords.owner_id, (ContinuumMemory.content,), _keywords),
    Debate: _Follower(DebateKeywords, DebateKeywords.owner_id, (Debate.task,), _keywords),
    Insight: _Follower(
        InsightKeywords,
        InsightKeywords.owner_id,
        (Insight.title, Insight.description, Insight.agents_involved),
        _keywords,
    ),
    Consensus: _Follower(
        ConsensusTopicWord, ConsensusTopicWord.consensus_id, (Consensus.topic,), _topic_words, ("consensus_id", "word")
    ),
}


def follow(session: Session, model: type[Base], texts: Mapping[str, Sequence[Any]], *, new: bool) -> None:
    """Write what follows from rows that were written past the ORM, such as by a bulk insert.

    Args:
        session: where the rows were written.
        model: their model.
        texts: the values of the model's text columns, by primary key.
        new: none of the rows was there before, so nothing has to be removed.
    """
    follower = _FOLLOWERS[model]
    if not new:
        session.execute(
            sa.delete(follower.table).where(follower.owner.in_(texts)), execution_options={"synchronize_session": False}
        )
    _insert(session, follower, [row for owner_id, values in texts.items() for row in follower.rows(owner_id, values)])


def rebuild(session: Session) -> dict[str, int]:
    """Write what is missing; rows whose text was changed past the ORM are not noticed.

    Returns:
        How many owners were found without their rows, by table.
    """
    return {follower.table.__tablename__: _fill(session, model, follower) for model, follower in _FOLLOWERS.items()}


def _fill(session: Session, model: type[Base], follower: _Follower) -> int:
    filled = 0
    for owners, rows in missing(session, model):
        _insert(session, follower, rows)
        filled += owners
    return filled


def _insert(session: Session, follower: _Follower, rows: list[dict[str, Any]]) -> None:
    """Insert words; those of a deleted owner are replaced, which remain where SQLite's foreign keys are off."""
    if not rows:
        return
    # On the table: objects of these models live in nobody's session.
    table = Base.metadata.tables[follower.table.__tablename__]
    connection = session.connection(bind_arguments={"mapper": sa.inspect(follower.table)})
    statement = insert_into(connection.dialect, table)
    others = {name: statement.excluded[name] for name in rows[0] if name not in follower.unique}
    connection.execute(statement.on_conflict_do_update(index_elements=follower.unique, set_=others), rows)


def missing(
    session: Session, model: type[Base], *, everything: bool = False
) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """The rows that are missing beside a model's, a slice of owners at a time: how many owners, and their rows.

    Args:
        session: where to look.
        model: one that rows follow from.
        everything: none is there yet, so that nothing has to be looked for.
    """
    follower = _FOLLOWERS[model]
    (key,) = sa.inspect(model).primary_key
    some = sa.select(key, *follower.sources).order_by(key).limit(_SLICE)
    if not everything:
        some = some.where(~sa.exists().where(follower.owner == key))
    rows = session.execute(some).all()
    while rows:
        yield len(rows), [made for row in rows for made in follower.rows(row[0], row[1:])]
        rows = session.execute(some.where(key > rows[-1][0])).all()


def followers() -> dict[type[Base], sa.Table]:
    """The models that rows follow from, and the table of those rows."""
    return {model: Base.metadata.tables[each.table.__tablename__] for model, each in _FOLLOWERS.items()}


# -- listeners --------------------------------------------------------------------------------------------------------

# Key in `Session.info`: what the flush under way wrote, and whether each object is new.
_FLUSHED = "aragora_flushed"


def _note_new(_mapper: Any, _connection: Any, instance: Base) -> None:
    _flushed(instance).append((instance, True))


def _note_changed(_mapper: Any, _connection: Any, instance: Base) -> None:
    if _is_changed(instance, _FOLLOWERS[type(instance)]):
        _flushed(instance).append((instance, False))


def _flushed(instance: Base) -> list[tuple[Base, bool]]:
    """Return the list that the session of this object keeps, and have that session write the words after its flush."""
    session: Any = object_session(instance)
    flushed: list[tuple[Base, bool]] | None = session.info.get(_FLUSHED)
    if flushed is None:
        flushed = session.info[_FLUSHED] = []
        if not isinstance(session, AragoraSession):
            _listen(session)
    return flushed


def _listen(target: Session | type[Session]) -> None:
    event.listen(target, "before_flush", _start)
    event.listen(target, "after_flush", _write)


def _start(session: Session, *_: Any) -> None:
    """Forget what the flush before wrote, if it failed."""
    session.info.get(_FLUSHED, []).clear()


def _write(session: Session, *_: Any) -> None:
    """Write the words, in one statement for the new rows of a model, and in two for its changed rows."""
    flushed: list[tuple[Base, bool]] = session.info.get(_FLUSHED, [])
    if not flushed:
        return
    written: dict[tuple[bool, type[Base]], dict[str, Sequence[Any]]] = {}
    for instance, new in flushed:
        model = type(instance)
        texts = [getattr(instance, source.key) for source in _FOLLOWERS[model].sources]
        written.setdefault((new, model), {})[cast("Any", instance).id] = texts
    flushed.clear()
    for (new, model), rows in written.items():
        follow(session, model, rows, new=new)


def _is_changed(instance: Base, follower: _Follower) -> bool:
    attributes = sa.inspect(instance).attrs
    return any(attributes[source.key].history.has_changes() for source in follower.sources)


for _model in _FOLLOWERS:
    event.listen(_model, "after_insert", _note_new)
    event.listen(_model, "after_update", _note_changed)
_listen(AragoraSession)
