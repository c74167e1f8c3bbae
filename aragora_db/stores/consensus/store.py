"""`ConsensusStore`: conclusions stored exactly once, dissents and proofs, chains, similar topics and clean-up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from aragora_db.errors import ConflictError, InvalidValue, NotFoundError
from aragora_db.models import Consensus, ConsensusArchive, ConsensusStrength, Dissent, DissentType, VerifiedProof
from aragora_db.rules import consensus as rules
from aragora_db.search.index import follow
from aragora_db.search.similar_topics import most_similar
from aragora_db.stores import checks
from aragora_db.stores.base import Store
from aragora_db.stores.consensus.chains import bypass, in_order, links_of, serialize_chains
from aragora_db.stores.consensus.inputs import NewConsensus, NewDissent, NewProof
from aragora_db.stores.consensus.results import ArchivedCounts, ChainLink, ConsensusStats, SimilarConsensus
from aragora_db.stores.consensus.retention import archive_consensus, cutoff, lock_older
from aragora_db.stores.consensus.topics import common_words
from aragora_db.stores.consensus.writes import insert_if_absent
from aragora_db.stores.paging import DEFAULT_LIMIT, Keyset, Page, check_limit
from aragora_db.stores.rows import check_rows, same_json
from aragora_db.types import Double

__all__ = ["ConsensusStore"]

MAX_WORDS: Final = 1_000
"""The most different words of a topic that `similar` takes."""

_SLICE = 1_000  # consensus rows that clean-up moves with one statement for each table

_NEWEST = Keyset(Consensus.timestamp.desc().nulls_last(), Consensus.id)
_NEWEST_DISSENT = Keyset(Dissent.timestamp.desc().nulls_last(), Dissent.id)
_NEWEST_PROOF = Keyset(VerifiedProof.timestamp.desc(), VerifiedProof.id)

# The session may hold objects in an older state: Core updates do not tell it.
_FRESH: dict[str, Any] = {"populate_existing": True}


class ConsensusStore(Store):
    """What debates concluded; see `Store` for its arguments.

    A consensus, a dissent or a proof with an id of its own is stored once: the same call again changes nothing, so a
    retry after a timeout is safe.
    """

    # -- consensus ----------------------------------------------------------------------------------------------------

    def store(self, new: NewConsensus, *, timestamp: datetime | None = None) -> Consensus:
        """Store what a debate concluded.

        What other verbs write (dissents, the chain) and the time do not count as content when a call is repeated.

        Args:
            new: the consensus.
            timestamp: its time; None is the clock's.

        Returns:
            The stored consensus.

        Raises:
            InvalidValue: a value is out of range; nothing is written.
            ConflictError: the id is stored with other content.
        """
        row = new.row(self._now(timestamp, "timestamp"))
        check_rows(self.session, Consensus, [row])
        added = insert_if_absent(self.session, Consensus, row)
        if added is not None:
            follow(self.session, Consensus, {added.id: (added.topic,)}, new=True)
            return added
        stored = self._get(Consensus, row["id"])
        if stored is None or not same_json(rules.consensus_content(stored.data), rules.consensus_content(row["data"])):
            raise ConflictError(
                f"consensus {row['id']} is stored with other content; read it with get(id), replace it with supersede()"
            )
        return stored

    def get(self, consensus_id: str) -> Consensus | None:
        """Return a consensus by its id, or None."""
        return self._get(Consensus, checks.key("consensus_id", consensus_id))

    def get_many(self, consensus_ids: Iterable[str]) -> dict[str, Consensus]:
        """Return several by id, in the order asked for; those that do not exist are left out.

        Raises:
            InvalidValue: more than 10,000 ids, or one text instead of ids.
        """
        return self._get_many(Consensus, "consensus_ids", consensus_ids)

    def history(
        self,
        *,
        domain: str | None = None,
        topic: str | None = None,
        limit: int = DEFAULT_LIMIT,
        after: str | None = None,
    ) -> Page[Consensus]:
        """Return consensus rows, newest first; those without a time come last, then by id.

        Args:
            domain: only of this one.
            topic: only about the same topic: the same words, in any order.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: an argument is out of range, or ``after`` is not a token of this listing.
        """
        statement = sa.select(Consensus)
        if domain is not None:
            statement = statement.where(Consensus.domain == checks.key("domain", domain))
        if topic is not None:
            check_rows(self.session, Consensus, [{"topic": topic}])
            statement = statement.where(Consensus.topic_hash == rules.topic_hash(topic))
        return self._page(_NEWEST, statement.execution_options(**_FRESH), limit=limit, after=after)

    def similar(
        self,
        topic: str,
        *,
        min_confidence: float | None = None,
        domain: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[SimilarConsensus]:
        """Return consensus rows about similar topics: best score first, then newest, then by id.

        The score is `aragora_db.rules.consensus.similarity`; rows with more than 0.1 are returned. All rows are
        compared, where Aragora compares the newest ``3 * limit`` (2.8.0, memory/consensus.py:860).

        Time grows with the number of topics that share a word with this one, whatever the size of the table; words
        that very many topics have are counted only for topics that can be among the best, see
        `aragora_db.search.similar_topics`. Two statements; one for topics of one or two words.

        A next page would score all topics again, so there is none: `next` of the page is None.

        Args:
            topic: the topic, of at most 1,000 different words.
            min_confidence: only rows with at least this confidence, 0 to 1; those without one are left out then.
            domain: only of this one.
            limit: the most rows to return.

        Raises:
            InvalidValue: an argument is out of range.
        """
        check_limit(limit)
        checks.name("topic", topic)
        check_rows(self.session, Consensus, [{"topic": topic}])
        words = rules.indexed_words(topic)
        if len(words) > MAX_WORDS:
            raise InvalidValue(f"topic has {len(words)} different words; look for at most {MAX_WORDS}")
        conditions: list[sa.ColumnElement[bool]] = []
        if min_confidence is not None:
            conditions.append(Consensus.confidence >= checks.share("min_confidence", min_confidence))
        if domain is not None:
            conditions.append(Consensus.domain == checks.key("domain", domain))
        statement = most_similar(words, common_words(self.session, words), conditions, limit)
        rows = self.session.execute(statement, execution_options=_FRESH)
        return Page(tuple(SimilarConsensus(consensus, score) for consensus, score in rows), None)

    def stats(self) -> ConsensusStats:
        """Return counts by strength, domain and type of dissent, and the average confidence, in three statements."""
        groups = sa.select(
            Consensus.strength,
            Consensus.domain,
            sa.func.count(),
            sa.func.count(Consensus.confidence),
            sa.cast(sa.func.sum(Consensus.confidence), Double()),
        ).group_by(Consensus.strength, Consensus.domain)
        by_strength, by_domain = Counter[ConsensusStrength](), Counter[str | None]()
        with_confidence, total = 0, 0.0
        for strength, domain, rows, confident, confidence in self.session.execute(groups):
            by_strength[strength] += rows
            by_domain[domain] += rows
            with_confidence += confident
            total += confidence or 0.0
        types = sa.select(Dissent.dissent_type, sa.func.count()).group_by(Dissent.dissent_type)
        by_type = {row[0]: row[1] for row in self.session.execute(types)}
        proofs = self.session.scalar(sa.select(sa.func.count()).select_from(VerifiedProof))
        return ConsensusStats(
            consensus=by_strength.total(),
            dissents=sum(by_type.values()),
            proofs=proofs or 0,
            average_confidence=total / with_confidence if with_confidence else None,
            by_strength=dict(by_strength),
            by_domain=dict(by_domain),
            by_dissent_type=by_type,
        )

    # -- chains -------------------------------------------------------------------------------------------------------

    def supersede(self, old_id: str, new: str | NewConsensus, *, timestamp: datetime | None = None) -> Consensus:
        """Replace a consensus by another: ``superseded_by`` in the old record, ``supersedes`` in the new one.

        Aragora writes the second as ``metadata.supersedes`` only, lets a second successor silently replace the first,
        and makes circles. Repeating a call whose new consensus has an id changes nothing.

        Args:
            old_id: the consensus to supersede.
            new: the id of a stored one, or one to store.
            timestamp: the time of one to store; None is the clock's.

        Returns:
            The new consensus.

        Raises:
            InvalidValue: an argument is out of range; nothing is written.
            NotFoundError: one of them does not exist; clean-up may have archived it.
            ConflictError: the old one is superseded by another already, the new one supersedes another already or is
                an older link of the same chain, or its id is stored with other content.
        """
        checks.key("old_id", old_id)
        serialize_chains(self.session)
        if isinstance(new, NewConsensus):
            # Before anything is written. It stays true: only the holder of the lock changes chains.
            self._check_last(old_id, new.id)
            new_id = self.store(new, timestamp=timestamp).id
        else:
            new_id = checks.key("new", new)
            self._check_last(old_id, new_id)
        rows = self._locked([old_id, new_id])
        older, newer = rows[old_id], rows[new_id]
        before, after = rules.predecessor(newer.data), rules.successor(older.data)
        if (before, after) == (old_id, new_id):
            return newer
        if before not in {None, old_id}:
            raise ConflictError(f"consensus {new_id} supersedes {before} already; give the new one an id of its own")
        if after is None and new_id in links_of(self.session, old_id):
            raise ConflictError(f"consensus {new_id} is an older link of the chain of {old_id}; store a new one")
        older.data = rules.linked(older.data, before=rules.predecessor(older.data), after=new_id)
        newer.data = rules.linked(newer.data, before=old_id, after=rules.successor(newer.data))
        self.session.flush()
        return newer

    def chain(self, consensus_id: str) -> tuple[ChainLink, ...]:
        """Return the whole chain of a consensus, oldest first; one that is in no chain is alone.

        Links that clean-up moved are rows of the archive. A link that is missing (Aragora deletes without fixing
        chains) ends the chain; a circle in imported rows is passed once.

        Raises:
            NotFoundError: there is no such consensus, not even in the archive.
        """
        links = links_of(self.session, checks.key("consensus_id", consensus_id))
        if consensus_id not in links:
            raise _no_consensus(consensus_id)
        return in_order(links[consensus_id], links)

    def delete(self, consensus_id: str) -> None:
        """Delete a consensus with its dissents, proofs and topic words, and close the gap in its chain.

        Its neighbours become each other's; if it was the newest, the one before it can be superseded again.

        Raises:
            NotFoundError: there is no such consensus.
        """
        checks.key("consensus_id", consensus_id)
        serialize_chains(self.session)
        found = self._get(Consensus, consensus_id)
        if found is None:
            raise _no_consensus(consensus_id)
        before, after = rules.predecessor(found.data), rules.successor(found.data)
        neighbours = {each for each in (before, after) if each is not None} - {consensus_id}
        live = self._lock(Consensus, [consensus_id, *neighbours])
        archived = self._lock(ConsensusArchive, neighbours)
        removed = live.pop(consensus_id, None)
        if removed is None:
            raise _no_consensus(consensus_id)
        bypass([*live.values(), *archived.values()], removed)
        self.session.delete(removed)
        self.session.flush()

    # -- dissents -----------------------------------------------------------------------------------------------------

    def store_dissent(self, new: NewDissent, *, timestamp: datetime | None = None) -> Dissent:
        """Store an objection to a consensus, and its id in the consensus's `dissent_ids`, both exactly once.

        Aragora stores dissents whose consensus does not exist, and of two stored at the same time loses one of the
        ids. Answers and the time do not count as content when a call is repeated.

        Args:
            new: the dissent.
            timestamp: its time; None is the clock's.

        Returns:
            The stored dissent.

        Raises:
            InvalidValue: a value is out of range; nothing is written.
            NotFoundError: there is no such consensus.
            ConflictError: the id is stored with other content, or for another consensus.
        """
        row = new.row(self._now(timestamp, "timestamp"))
        check_rows(self.session, Dissent, [row])
        consensus = self._locked([row["debate_id"]])[row["debate_id"]]
        stored = insert_if_absent(self.session, Dissent, row) or self._get(Dissent, row["id"])
        if stored is None or not same_json(rules.dissent_content(stored.data), rules.dissent_content(row["data"])):
            raise ConflictError(f"dissent {row['id']} is stored with other content; give this one an id of its own")
        ids: list[str] = consensus.data.get("dissent_ids") or []
        if stored.id not in ids:
            consensus.data = {**consensus.data, "dissent_ids": [*ids, stored.id]}
            self.session.flush()
        return stored

    def dissent(self, dissent_id: str) -> Dissent | None:
        """Return a dissent by its id, or None."""
        return self._get(Dissent, checks.key("dissent_id", dissent_id))

    def acknowledge(self, dissent_id: str) -> Dissent:
        """Mark a dissent as acknowledged. Repeating it changes nothing.

        Raises:
            NotFoundError: there is no such dissent.
        """
        return self._answer(dissent_id, {"acknowledged": True})

    def rebut(self, dissent_id: str, rebuttal: str) -> Dissent:
        """Answer a dissent; a later answer replaces an earlier one.

        Args:
            dissent_id: the dissent.
            rebuttal: the answer.

        Raises:
            InvalidValue: the answer is blank, or a database cannot store it.
            NotFoundError: there is no such dissent.
        """
        answer = {"rebuttal": checks.name("rebuttal", rebuttal)}
        check_rows(self.session, Dissent, [{"data": answer}])
        return self._answer(dissent_id, answer)

    def dissents(
        self,
        *,
        debate_id: str | None = None,
        agent_id: str | None = None,
        dissent_type: DissentType | str | None = None,
        limit: int = DEFAULT_LIMIT,
        after: str | None = None,
    ) -> Page[Dissent]:
        """Return dissents, newest first; those without a time come last, then by id.

        Args:
            debate_id: only of this consensus.
            agent_id: only of this agent.
            dissent_type: only of this type, such as ``risk_warning``.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: there is no such type, the limit is out of range, or ``after`` is not a token of this
                listing.
        """
        statement = sa.select(Dissent)
        if debate_id is not None:
            statement = statement.where(Dissent.debate_id == checks.key("debate_id", debate_id))
        if agent_id is not None:
            statement = statement.where(Dissent.agent_id == checks.key("agent_id", agent_id))
        if dissent_type is not None:
            kind = checks.member("dissent_type", DissentType, dissent_type)
            statement = statement.where(Dissent.dissent_type == kind)
        return self._page(_NEWEST_DISSENT, statement.execution_options(**_FRESH), limit=limit, after=after)

    # -- proofs -------------------------------------------------------------------------------------------------------

    def store_proof(self, new: NewProof, *, timestamp: datetime | None = None) -> VerifiedProof:
        """Store a prover's attempt at a formal statement about a consensus.

        Args:
            new: the proof, or the failure to find one.
            timestamp: its time; None is the clock's. It does not count as content when a call is repeated.

        Returns:
            The stored proof.

        Raises:
            InvalidValue: a value is out of range; nothing is written.
            NotFoundError: there is no such consensus.
            ConflictError: the id is stored with other content, or for another consensus.
        """
        row = new.row(self._now(timestamp, "timestamp"))
        check_rows(self.session, VerifiedProof, [row])
        # FOR KEY SHARE, as the foreign key does: only a transaction that deletes the consensus waits.
        self._locked([row["debate_id"]], read=True)
        added = insert_if_absent(self.session, VerifiedProof, row)
        if added is not None:
            return added
        stored = self._get(VerifiedProof, row["id"])
        if stored is None or stored.debate_id != row["debate_id"] or not same_json(stored.data, row["data"]):
            raise ConflictError(f"proof {row['id']} is stored with other content; give this one an id of its own")
        return stored

    def latest_proof(self, debate_id: str) -> VerifiedProof | None:
        """Return the newest proof of a consensus by its time, or None."""
        items = self.proofs(debate_id=debate_id, limit=1).items
        return items[0] if items else None

    def proofs(
        self,
        *,
        debate_id: str | None = None,
        proof_status: str | None = None,
        is_verified: bool | None = None,
        limit: int = DEFAULT_LIMIT,
        after: str | None = None,
    ) -> Page[VerifiedProof]:
        """Return proofs, newest first, then by id.

        Args:
            debate_id: only of this consensus.
            proof_status: only of this status, such as ``proof_failed``.
            is_verified: only those that succeeded (True) or did not (False); None is both.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or ``after`` is not a token of this listing.
        """
        statement = sa.select(VerifiedProof)
        if debate_id is not None:
            statement = statement.where(VerifiedProof.debate_id == checks.key("debate_id", debate_id))
        if proof_status is not None:
            statement = statement.where(VerifiedProof.proof_status == checks.key("proof_status", proof_status))
        if is_verified is not None:
            statement = statement.where(VerifiedProof.is_verified.is_(is_verified))
        return self._page(_NEWEST_PROOF, statement.execution_options(**_FRESH), limit=limit, after=after)

    # -- retention ----------------------------------------------------------------------------------------------------

    def clean_up(
        self, *, older_than_days: float = rules.KEEP_DAYS, limit: int | None = None, now: datetime | None = None
    ) -> ArchivedCounts:
        """Move old consensus rows to the archive with their dissents and proofs, and delete their topic words.

        A consensus and what belongs to it move together, by the age of the consensus; Aragora moves dissents by their
        own age and leaves proofs behind, which made most of the orphans in real files. Rows without a time stay.
        Chains survive: the records keep the ids of their neighbours, and `chain` reads the archive too.

        An id that is in the archive already is overwritten: the archive holds what was moved last. (Aragora keeps the
        first, and loses what was stored since.)

        Args:
            older_than_days: the age from which on rows are moved; the default is Aragora's 90.
            limit: the most consensus rows to move, to keep the transaction short; call again until none is moved.
                None is no limit.
            now: the time that ages are computed at; None is the clock's.

        Returns:
            How many rows were moved.

        Raises:
            InvalidValue: an argument is out of range.
        """
        now = self._now(now)
        days = checks.finite("older_than_days", older_than_days)
        if limit is not None:
            checks.count("limit", limit)
        older_than = cutoff(now, days)
        total = ArchivedCounts(0, 0, 0)
        last = ""
        while True:
            some = _SLICE if limit is None else min(_SLICE, limit - total.consensus)
            ids = lock_older(self.session, older_than, after_id=last, limit=some)
            if not ids:
                return total
            last = ids[-1]
            moved = archive_consensus(self.session, ids, now)
            total = ArchivedCounts(*map(sum, zip(total, moved, strict=True)))

    # -- what the verbs share -----------------------------------------------------------------------------------------

    def _locked(self, consensus_ids: Iterable[str], *, read: bool = False) -> dict[str, Consensus]:
        """Lock consensus rows in key order, and return them.

        Not FOR UPDATE: that would make transactions wait that add a proof, whose foreign key shares the key.

        Args:
            consensus_ids: the rows.
            read: lock them against deletion only, as a foreign key does.

        Raises:
            NotFoundError: one does not exist.
        """
        wanted = sorted(set(consensus_ids))
        found = self._lock(Consensus, wanted, read=read, key_share=True)
        for consensus_id in wanted:
            if consensus_id not in found:
                raise _no_consensus(consensus_id)
        return found

    def _check_last(self, old_id: str, new_id: str | None) -> None:
        """Raise if a consensus is superseded by another one than `new_id`."""
        old = self._get(Consensus, old_id)
        if old is None:
            raise _no_consensus(old_id)
        after = rules.successor(old.data)
        if after not in {None, new_id}:
            raise ConflictError(
                f"consensus {old_id} is superseded by {after} already; supersede the last of chain({old_id!r})"
            )

    def _answer(self, dissent_id: str, answer: dict[str, Any]) -> Dissent:
        """Write an answer into a dissent's record. The lock order everywhere is consensus, then dissent."""
        dissent = self.session.get(
            Dissent, checks.key("dissent_id", dissent_id), with_for_update={"key_share": True}, populate_existing=True
        )
        if dissent is None:
            raise NotFoundError(f"there is no dissent {dissent_id!r}; store it with store_dissent first")
        dissent.data = {**dissent.data, **answer}
        self.session.flush()
        return dissent


def _no_consensus(consensus_id: str) -> NotFoundError:
    return NotFoundError(f"there is no consensus {consensus_id!r}; store it first. Clean-up may have archived it")
