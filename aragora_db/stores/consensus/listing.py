"""What was concluded before: by domain, about the same topic, about similar ones, and in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from aragora_db.errors import InvalidValue
from aragora_db.models import Consensus, ConsensusStrength, Dissent, DissentType, VerifiedProof
from aragora_db.rules import consensus as rules
from aragora_db.search.similar_topics import frequencies, most_similar
from aragora_db.stores import checks
from aragora_db.stores.consensus.base import Part
from aragora_db.stores.paging import Keyset, Page, check_limit
from aragora_db.stores.rows import check_rows
from aragora_db.types import Double

__all__ = ["Listing", "Similar", "Statistics"]

MAX_WORDS: Final = 1_000
"""The most different words of a topic that is looked for."""

# Topics that have a word, from which on it may be called common; below that, counting all of them costs a millisecond.
_COMMON = 5_000

# Words of a topic, the shortest ones, that are counted to find the common ones.
_SHORT = 32

_NEWEST = Keyset(Consensus.timestamp.desc().nulls_last(), Consensus.id)


class Similar(NamedTuple):
    """A consensus about a similar topic; the score is 1 for the same words, and more than 0.1."""

    consensus: Consensus
    score: float


@dataclass(frozen=True)
class Statistics:
    """How much there is.

    Attributes:
        consensus: rows that are not archived.
        dissents: of these.
        proofs: of these.
        average_confidence: 0 to 1; rows without one do not count, None when none has one.
        by_strength: consensus rows.
        by_domain: consensus rows; None stands for those without a domain.
        by_dissent_type: dissents.
    """

    consensus: int
    dissents: int
    proofs: int
    average_confidence: float | None
    by_strength: Mapping[ConsensusStrength, int]
    by_domain: Mapping[str | None, int]
    by_dissent_type: Mapping[DissentType, int]


class Listing(Part):
    """The part of `ConsensusStore` that looks back."""

    def history(
        self, domain: str | None = None, *, topic: str | None = None, limit: int = 100, after: str | None = None
    ) -> Page[Consensus]:
        """Consensus rows, newest first; those without a time come last, then by id.

        Args:
            domain: only of this one.
            topic: only about the same topic: the same words, in any order.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or ``after`` is no token of this listing.
        """
        statement = sa.select(Consensus)
        if domain is not None:
            statement = statement.where(Consensus.domain == checks.key("domain", domain))
        if topic is not None:
            check_rows(self._session, Consensus, [{"topic": topic}])
            statement = statement.where(Consensus.topic_hash == rules.topic_hash(topic))
        return _NEWEST.page(
            self._session,
            statement.execution_options(populate_existing=True),
            limit=limit,
            after=after,
        )

    def similar(
        self, topic: str, *, limit: int = 10, min_confidence: float | None = None, domain: str | None = None
    ) -> list[Similar]:
        """Consensus rows about similar topics: best score first, then newest, then by id.

        The score is `aragora_db.rules.consensus.similarity`; what has more than 0.1 is kept. All rows are looked at,
        where Aragora looks at the newest ``3 * limit`` (2.8.0, memory/consensus.py:860).

        Time grows with the number of topics that share a word with this one, whatever the size of the table; words
        that very many topics have are counted only for topics that can be among the best, see
        `aragora_db.search.similar_topics`. Two statements, one for topics whose words are all rare.

        Args:
            topic: the topic, of at most 1,000 different words.
            limit: how many at most.
            min_confidence: only rows at least that sure, 0 to 1; those without a confidence are left out then.
            domain: only of this one.

        Raises:
            InvalidValue: an argument is out of range.
        """
        check_limit(limit)
        checks.name("topic", topic)
        check_rows(self._session, Consensus, [{"topic": topic}])
        words = rules.indexed_words(topic)
        if len(words) > MAX_WORDS:
            raise InvalidValue(f"topic has {len(words)} different words; look for at most {MAX_WORDS}")
        conditions: list[sa.ColumnElement[bool]] = []
        if min_confidence is not None:
            conditions.append(Consensus.confidence >= checks.share("min_confidence", min_confidence))
        if domain is not None:
            conditions.append(Consensus.domain == checks.key("domain", domain))
        statement = most_similar(words, self._common(words), conditions, limit)
        rows = self._session.execute(statement, execution_options={"populate_existing": True})
        return [Similar(consensus, score) for consensus, score in rows]

    def statistics(self) -> Statistics:
        """Counts by strength, domain and type of dissent, and the average confidence: three statements."""
        groups = sa.select(
            Consensus.strength,
            Consensus.domain,
            sa.func.count(),
            sa.func.count(Consensus.confidence),
            sa.cast(sa.func.sum(Consensus.confidence), Double()),
        ).group_by(Consensus.strength, Consensus.domain)
        by_strength, by_domain = Counter[ConsensusStrength](), Counter[str | None]()
        known, total = 0, 0.0
        for strength, domain, rows, sure, confidence in self._session.execute(groups):
            by_strength[strength] += rows
            by_domain[domain] += rows
            known += sure
            total += confidence or 0.0
        types = sa.select(Dissent.dissent_type, sa.func.count()).group_by(Dissent.dissent_type)
        by_type = {row[0]: row[1] for row in self._session.execute(types)}
        proofs = self._session.scalar(sa.select(sa.func.count()).select_from(VerifiedProof))
        return Statistics(
            consensus=by_strength.total(),
            dissents=sum(by_type.values()),
            proofs=proofs or 0,
            average_confidence=total / known if known else None,
            by_strength=dict(by_strength),
            by_domain=dict(by_domain),
            by_dissent_type=by_type,
        )

    def _common(self, words: list[str]) -> list[str]:
        """A third of the words at most: more would leave too little to tell topics apart by."""
        if len(words) < 3:  # noqa: PLR2004 -- a third of them is none
            return []
        # How common they are is not counted to the end; in all languages the most frequent words are short.
        short = sorted(words, key=lambda word: (len(word), word))[:_SHORT]
        counts: Any = self._session.execute(frequencies(short, _COMMON)).one()
        common = [word for word, count in zip(short, counts, strict=True) if count == _COMMON]
        return common[: len(words) // 3]
