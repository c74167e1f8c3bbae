"""The statement behind `similar`: the best of all topics that share a word, without counting what cannot be the best.

What bounds the work is how many topics share one of the words. Half of them share nothing but words like "for", which
is in every topic: counting those costs more than everything else. So words are common or rare. Topics that share a
rare word are counted (`rare`). The best of them get their whole score, and the worst of these, `least`, is one that
every result must reach. After that

* a topic of `rare` can share all common words at most; whoever cannot reach `least` so is left out;
* a topic that shares nothing but the k common words has ``k / (n + size - k)`` at most (n words were asked for); these
  are looked at only when that reaches `least`.

Which words are called common has no influence on the result, only on the time.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from aragora_db.models import Consensus, ConsensusTopicWord
from aragora_db.rules import consensus as rules
from aragora_db.types import Double

__all__ = ["frequencies", "most_similar"]

_Word = ConsensusTopicWord


def frequencies(words: Sequence[str], most: int) -> Any:
    """In how many topics each word is, counted to `most` only; one row, a column per word."""
    counts: list[Any] = [
        sa.select(sa.func.count())
        .select_from(sa.select(sa.literal(1)).where(_Word.word == word).limit(most).subquery())
        .scalar_subquery()
        for word in words
    ]
    return sa.select(*counts)


def most_similar(
    words: Collection[str], common: Collection[str], conditions: Sequence[sa.ColumnElement[bool]], limit: int
) -> sa.Select[Consensus, Any]:
    """Consensus rows and their scores, best first, then newest, then by id.

    Args:
        words: of the topic, at least one.
        common: some of them, not all.
        conditions: on `Consensus`.
        limit: how many rows.
    """
    size = len(words)

    def score(shared: Any, topic_size: Any) -> sa.ColumnElement[float]:
        return sa.cast(shared, Double()) / sa.cast(topic_size + size - shared, Double())

    rare = _sharing(set(words) - set(common), conditions).cte("rare")
    found = rare
    if common:
        top = sa.select(rare).order_by(score(rare.c.shared, rare.c.topic_size).desc()).limit(limit).subquery()
        whole = score(top.c.shared + _more(top, common), top.c.topic_size)
        scores = sa.select(whole.label("score")).subquery()
        # Fewer than wanted: everything counts.
        all_there = sa.case((sa.func.count() == limit, sa.func.min(scores.c.score)), else_=sa.literal(0.0, Double()))
        least_row = sa.select(all_there.label("score")).select_from(scores).cte("least")
        least = sa.select(least_row.c.score).scalar_subquery()
        promising = sa.select(
            rare.c.consensus_id, rare.c.topic_size, (rare.c.shared + _more(rare, common)).label("shared")
        ).where(score(rare.c.shared + len(common), rare.c.topic_size) >= least)
        # The join puts the first condition before the scan on SQLite too.
        only_common = (
            _sharing(common, conditions)
            .join(least_row, sa.literal(len(common) / size, Double()) >= least_row.c.score)
            .where(
                score(sa.literal(len(common)), _Word.topic_size) >= least_row.c.score,
                ~sa.exists().where(rare.c.consensus_id == _Word.consensus_id),
            )
        )
        # Else PostgreSQL looks the common words up again for each use of `shared`.
        found = sa.union_all(promising, only_common).cte("found").prefix_with("MATERIALIZED", dialect="postgresql")
    value = score(found.c.shared, found.c.topic_size)
    scored = sa.select(found.c.consensus_id, value.label("score")).where(value > rules.SIMILAR_ABOVE).cte("scored")
    last = sa.select(scored.c.score).order_by(scored.c.score.desc()).offset(limit - 1).limit(1).scalar_subquery()
    # Looked up for the few that are left: a join would be planned for all.
    when = sa.select(Consensus.timestamp).where(Consensus.id == scored.c.consensus_id).scalar_subquery()
    best = (
        sa.select(scored, when.label("timestamp"))
        .where(scored.c.score >= sa.func.coalesce(last, sa.literal(0.0, Double())))
        .order_by(scored.c.score.desc(), when.desc().nulls_last(), scored.c.consensus_id)
        .limit(limit)
        .subquery()
    )
    return (
        sa.select(Consensus, best.c.score)
        .join(best, best.c.consensus_id == Consensus.id)
        .order_by(best.c.score.desc(), Consensus.timestamp.desc().nulls_last(), Consensus.id)
    )


def _sharing(words: Collection[str], eligible: Sequence[sa.ColumnElement[bool]]) -> Any:
    """Topics that share some of these words, and how many."""
    statement: Any = sa.select(_Word.consensus_id, _Word.topic_size, sa.func.count().label("shared"))
    if eligible:
        statement = statement.join(Consensus, Consensus.id == _Word.consensus_id).where(*eligible)
    return statement.where(_Word.word.in_(sorted(words))).group_by(_Word.consensus_id, _Word.topic_size)


def _more(topics: sa.FromClause, common: Collection[str]) -> sa.ColumnElement[int]:
    """How many of the common words a topic has."""
    word = aliased(_Word)
    same = (word.consensus_id == topics.c.consensus_id, word.word.in_(sorted(common)))
    return sa.select(sa.func.count()).select_from(word).where(*same).scalar_subquery()
