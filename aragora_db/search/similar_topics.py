"""Find the topics most similar to one, without counting shared words of topics that cannot be among the best.

The cost grows with the number of topics that share one of the words. A word like "for" is in every topic, and counting
those topics costs more than everything else. Therefore the words of the topic are divided into common and rare ones:

1. Topics that share a rare word are counted (`sharing_rare`).
2. The best of them get their whole score, common words included. The lowest of these scores is one that every result
   must reach (`threshold`).
3. A topic that shares a rare word shares all common words at most; it is left out if even then it stays below the
   threshold (`candidates`).
4. A topic that shares nothing but the k common words scores ``k / (n + size - k)`` at most, n being the number of words
   asked for. Such topics are read only if that reaches the threshold (`sharing_only_common`).

Which words are called common changes the time, never the result.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from aragora_db.models import Consensus, ConsensusTopicWord
from aragora_db.rules import consensus as rules
from aragora_db.types import Double

__all__ = ["most_similar", "topics_per_word"]

_Word = ConsensusTopicWord


def topics_per_word(words: Sequence[str], most: int) -> Any:
    """Return a statement that counts the topics of each word: one row, a column per word.

    Args:
        words: the words.
        most: counting a word ends here.
    """
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
    """Return a statement for consensus rows and their scores, best first, then newest, then by id.

    Args:
        words: the words of the topic, at least one.
        common: some of them, not all.
        conditions: on `Consensus`.
        limit: the most rows to return.
    """
    size = len(words)

    def score(shared: Any, topic_size: Any) -> sa.ColumnElement[float]:
        """Jaccard similarity: words in both topics divided by words in either."""
        return sa.cast(shared, Double()) / sa.cast(topic_size + size - shared, Double())

    sharing_rare = _count_shared(set(words) - set(common), conditions).cte("sharing_rare")
    found = sharing_rare
    if common:
        rare_score = score(sharing_rare.c.shared, sharing_rare.c.topic_size)
        top = sa.select(sharing_rare).order_by(rare_score.desc()).limit(limit).subquery()
        whole_score = score(top.c.shared + _count_common(top, common), top.c.topic_size)
        scores = sa.select(whole_score.label("score")).subquery()
        # With fewer topics than the limit every topic may be a result, so that the threshold is 0.
        lowest = sa.case((sa.func.count() == limit, sa.func.min(scores.c.score)), else_=sa.literal(0.0, Double()))
        threshold_row = sa.select(lowest.label("score")).select_from(scores).cte("threshold")
        threshold = sa.select(threshold_row.c.score).scalar_subquery()
        candidates = sa.select(
            sharing_rare.c.consensus_id,
            sharing_rare.c.topic_size,
            (sharing_rare.c.shared + _count_common(sharing_rare, common)).label("shared"),
        ).where(score(sharing_rare.c.shared + len(common), sharing_rare.c.topic_size) >= threshold)
        # The best possible score, of a topic that is the common words and nothing else, is a condition of the join, so
        # that SQLite too evaluates it before it scans the words.
        sharing_only_common = (
            _count_shared(common, conditions)
            .join(threshold_row, sa.literal(len(common) / size, Double()) >= threshold_row.c.score)
            .where(
                score(sa.literal(len(common)), _Word.topic_size) >= threshold_row.c.score,
                ~sa.exists().where(sharing_rare.c.consensus_id == _Word.consensus_id),
            )
        )
        # Materialised, or PostgreSQL would run the subqueries of `shared` for each use of it.
        found = (
            sa.union_all(candidates, sharing_only_common).cte("found").prefix_with("MATERIALIZED", dialect="postgresql")
        )
    found_score = score(found.c.shared, found.c.topic_size)
    scored = (
        sa.select(found.c.consensus_id, found_score.label("score"))
        .where(found_score > rules.SIMILAR_ABOVE)
        .cte("scored")
    )
    # The score of the last result, NULL if there are fewer; everything with this score competes by time and id.
    last_score = sa.select(scored.c.score).order_by(scored.c.score.desc()).offset(limit - 1).limit(1).scalar_subquery()
    # A subquery for the few rows that are left: a join would be planned for all of `scored`.
    timestamp = sa.select(Consensus.timestamp).where(Consensus.id == scored.c.consensus_id).scalar_subquery()
    best = (
        sa.select(scored, timestamp.label("timestamp"))
        .where(scored.c.score >= sa.func.coalesce(last_score, sa.literal(0.0, Double())))
        .order_by(scored.c.score.desc(), timestamp.desc().nulls_last(), scored.c.consensus_id)
        .limit(limit)
        .subquery()
    )
    return (
        sa.select(Consensus, best.c.score)
        .join(best, best.c.consensus_id == Consensus.id)
        .order_by(best.c.score.desc(), Consensus.timestamp.desc().nulls_last(), Consensus.id)
    )


def _count_shared(words: Collection[str], conditions: Sequence[sa.ColumnElement[bool]]) -> Any:
    """Select the topics that have any of these words, their size, and how many of the words they share."""
    statement: Any = sa.select(_Word.consensus_id, _Word.topic_size, sa.func.count().label("shared"))
    if conditions:
        statement = statement.join(Consensus, Consensus.id == _Word.consensus_id).where(*conditions)
    return statement.where(_Word.word.in_(sorted(words))).group_by(_Word.consensus_id, _Word.topic_size)


def _count_common(topics: sa.FromClause, common: Collection[str]) -> sa.ColumnElement[int]:
    """Return a subquery that counts how many of the common words a topic has."""
    word = aliased(_Word)
    same_topic = (word.consensus_id == topics.c.consensus_id, word.word.in_(sorted(common)))
    return sa.select(sa.func.count()).select_from(word).where(*same_topic).scalar_subquery()
