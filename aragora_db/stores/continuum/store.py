"""`ContinuumStore`: memories added, learned from, found, moved between tiers, archived and restored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from aragora_db.engine.dialects import insert
from aragora_db.errors import ConflictError, InvalidValue, NotFoundError
from aragora_db.models import (
    Base,
    ContinuumEmbedding,
    ContinuumMemory,
    ContinuumMemoryArchive,
    Tier,
    TierTransition,
)
from aragora_db.rules import continuum, retrieval
from aragora_db.search.index import follow
from aragora_db.search.nearest_vectors import nearest_embeddings
from aragora_db.sql.archive import archive
from aragora_db.sql.best_memories import MemoryQuery, best_by_keywords, best_memories
from aragora_db.sql.consolidation import consolidate
from aragora_db.sql.memory_score import of_tenant
from aragora_db.stores import checks
from aragora_db.stores.base import Store
from aragora_db.stores.continuum.archive import (
    archive_selected,
    beyond_limits,
    expired,
    restored_row,
    serialize_archiving,
)
from aragora_db.stores.continuum.inputs import NewMemory, checked_tiers, checked_vector
from aragora_db.stores.continuum.moves import is_faster, is_slower, move, target_tier
from aragora_db.stores.continuum.results import RetrievedMemory, TierStats
from aragora_db.stores.continuum.writes import upsert_embeddings, upsert_memories
from aragora_db.stores.paging import DEFAULT_LIMIT, MAX_LIMIT, Keyset, Page, check_limit
from aragora_db.stores.rows import check_rows
from aragora_db.types import Double
from aragora_db.types.vector import Floats

__all__ = ["ContinuumStore"]

_SLICE = 1_000  # memories written by one statement
_TABLE = Base.metadata.tables["continuum_memory"]

_NEWEST = Keyset(ContinuumMemory.created_at.desc(), ContinuumMemory.id.desc())
_OLDEST = Keyset(ContinuumMemory.created_at, ContinuumMemory.id)
_LAST_UPDATED = Keyset(ContinuumMemory.updated_at.desc(), ContinuumMemory.id)
_LAST_MOVED = Keyset(TierTransition.created_at.desc(), TierTransition.id.desc())
_LAST_ARCHIVED = Keyset(ContinuumMemoryArchive.archived_at.desc(), ContinuumMemoryArchive.archive_id.desc())

# The session may hold objects in an older state: Core updates do not tell it.
_FRESH: dict[str, Any] = {"populate_existing": True}


class ContinuumStore(Store):
    """What agents remember; see `Store` for its arguments.

    A memory's tenant is the ``tenant_id`` of its metadata. There is no column, so a store cannot be confined to one:
    pass `tenant_id` to the verbs that search. `now` is the clock of the continuum: memories age by it.
    """

    # -- single memories ----------------------------------------------------------------------------------------------

    def add(self, new: NewMemory, *, now: datetime | None = None) -> ContinuumMemory:
        """Add a memory, or replace what an existing one says.

        Of a memory that exists, content, tier, importance, metadata and date of expiry are replaced, the surprise if
        it is given, and it counts as updated now. Its counters, consolidation, creation, last promotion, transitions
        and embedding stay; of a red-lined one also tier, importance and the red line itself. Aragora replaces the
        whole row, and with it the protection (2.8.0, memory/continuum/crud.py:71).

        Args:
            new: the memory.
            now: the time; None is the clock's.

        Returns:
            The memory as it is now.

        Raises:
            InvalidValue: a value is out of range; nothing is written.
        """
        self.add_many([new], now=now)
        return self.session.get_one(ContinuumMemory, new.id, populate_existing=True)

    def add_many(self, memories: Iterable[NewMemory], *, now: datetime | None = None) -> int:
        """Add several memories, each as `add` does, in three statements for a thousand.

        Args:
            memories: the memories.
            now: the time; None is the clock's.

        Returns:
            How many.

        Raises:
            InvalidValue: a value is out of range, or an id is given twice; nothing is written.
        """
        now, given = self._now(now), list(memories)
        checks.names("memories", [memory.id for memory in given])
        # In key order, so that two callers that add the same memories cannot deadlock.
        rows = [memory.row(now) for memory in sorted(given, key=lambda memory: memory.id)]
        check_rows(self.session, ContinuumMemory, rows)
        keep_surprise = {memory.id for memory in given if memory.surprise_score is None}
        self.session.flush()
        for begin in range(0, len(rows), _SLICE):
            upsert_memories(self.session, rows[begin : begin + _SLICE], keep_surprise)
        return len(rows)

    def get(self, memory_id: str) -> ContinuumMemory | None:
        """Return a memory by its id, or None."""
        return self._get(ContinuumMemory, checks.key("memory_id", memory_id))

    def get_many(self, memory_ids: Iterable[str]) -> dict[str, ContinuumMemory]:
        """Return several memories by id, in the order asked for; those that do not exist are left out.

        Raises:
            InvalidValue: more than 10,000 ids (Aragora takes 200), or one text instead of ids.
        """
        return self._get_many(ContinuumMemory, "memory_ids", memory_ids)

    def update_outcome(
        self,
        memory_id: str,
        *,
        success: bool,
        prediction_error: float | None = None,
        normalised: bool = True,
        now: datetime | None = None,
    ) -> ContinuumMemory:
        """Learn from a use of a memory; the scores are those of `aragora_db.rules.continuum.after_outcome`.

        Args:
            memory_id: the memory, which is locked: no outcome is lost.
            success: whether it helped.
            prediction_error: how far off the prediction was that it gave rise to, 0 to 1; None if there was none.
            normalised: False computes what Aragora does, by which nothing is ever promoted.
            now: the time; None is the clock's.

        Returns:
            The memory as it is now.

        Raises:
            InvalidValue: an argument is out of range.
            NotFoundError: there is no such memory.
        """
        now = self._now(now)
        checks.flag("success", success)
        error = None if prediction_error is None else checks.share("prediction_error", prediction_error)
        memory = self._locked(memory_id)
        memory.surprise_score, memory.consolidation_score = continuum.after_outcome(
            memory.surprise_score,
            memory.success_count,
            memory.failure_count,
            succeeded=success,
            prediction_error=error,
            normalised=normalised,
        )
        memory.success_count += success
        memory.failure_count += not success
        memory.update_count += 1
        memory.updated_at = max(memory.updated_at, now)
        self.session.flush()
        return memory

    def mark_red_line(
        self, memory_id: str, red_line_reason: str, *, promote_to_glacial: bool = True, now: datetime | None = None
    ) -> ContinuumMemory:
        """Protect a memory from deletion, expiry, limits and moves. Its importance becomes 1.

        Args:
            memory_id: the memory.
            red_line_reason: why; a second call replaces it.
            promote_to_glacial: whether to put it into the glacial tier. This writes no transition.
            now: the time; None is the clock's.

        Returns:
            The memory as it is now.

        Raises:
            InvalidValue: the reason is blank.
            NotFoundError: there is no such memory.
        """
        now = self._now(now)
        row = {"red_line_reason": checks.name("red_line_reason", red_line_reason)}
        check_rows(self.session, ContinuumMemory, [row])
        memory = self._locked(memory_id)
        memory.red_line, memory.red_line_reason, memory.importance = True, red_line_reason, 1.0
        if promote_to_glacial:
            memory.tier = Tier.GLACIAL
        memory.updated_at = max(memory.updated_at, now)
        self.session.flush()
        return memory

    # -- embeddings ---------------------------------------------------------------------------------------------------

    def set_embedding(self, memory_id: str, embedding: Iterable[float], *, now: datetime | None = None) -> None:
        """Set, or replace, the vector of a memory's content. It stays if the content changes: set it again then.

        Args:
            memory_id: the memory.
            embedding: 1 to 16,000 numbers, kept as float32.
            now: the time; None is the clock's.

        Raises:
            InvalidValue: the vector has no direction, or float32 cannot hold it.
            NotFoundError: there is no such memory.
        """
        self.set_embeddings({memory_id: embedding}, now=now)

    def set_embeddings(self, embeddings: Mapping[str, Iterable[float]], *, now: datetime | None = None) -> None:
        """Set the vectors of up to 10,000 memories, each as `set_embedding` does, in two statements; all or none.

        Args:
            embeddings: vectors by the id of their memory.
            now: the time; None is the clock's.

        Raises:
            InvalidValue: a vector has no direction, or float32 cannot hold it.
            NotFoundError: a memory does not exist.
        """
        now = self._now(now)
        if len(embeddings) > MAX_LIMIT:
            raise InvalidValue(f"embeddings has {len(embeddings)} vectors; set at most {MAX_LIMIT} at a time")
        rows: list[dict[str, Any]] = [
            {
                "memory_id": checks.key("memory_id", memory_id),
                "embedding": checked_vector(embeddings[memory_id]),
                "updated_at": now,
            }
            for memory_id in sorted(embeddings)
        ]
        if not rows:
            return
        self.session.flush()
        # Locked against removal, as the foreign key would do, and in key order.
        exists = sa.select(ContinuumMemory.id).where(ContinuumMemory.id.in_(embeddings)).order_by(ContinuumMemory.id)
        found = set(self.session.scalars(exists.with_for_update(read=True, key_share=True)))
        for row in rows:
            if row["memory_id"] not in found:
                raise _no_memory(row["memory_id"])
        upsert_embeddings(self.session, rows)

    def get_embedding(self, memory_id: str) -> Floats | None:
        """Return a memory's vector as ``array('f')``, or None if it has none."""
        row = self._get(ContinuumEmbedding, checks.key("memory_id", memory_id))
        return None if row is None else row.embedding

    # -- searches -----------------------------------------------------------------------------------------------------

    def retrieve(
        self,
        *,
        tiers: Iterable[Tier | str] | None = None,
        min_importance: float | None = None,
        tenant_id: str | None = None,
        keywords: Sequence[str] | None = None,
        limit: int = DEFAULT_LIMIT,
        now: datetime | None = None,
    ) -> Page[RetrievedMemory]:
        """Return the memories with the highest scores, best first, then by id.

        The score is `aragora_db.rules.retrieval.score`: importance and surprise, faded by age. It is the same, bit for
        bit, on both databases. Two statements, or three, however many memories there are; with keywords one, whose time
        grows with the number of matches.

        Scores change with time, so there is no next page: `next` of the page is None. Ask for more with `limit`.

        Args:
            tiers: only these; None is all.
            min_importance: only memories at least this important.
            tenant_id: only memories whose metadata have this ``tenant_id``.
            keywords: only memories that have any of these words, see `aragora_db.search.keywords.matches`; an empty
                list matches nothing.
            limit: the most memories to return.
            now: the time that ages are computed at; None is the clock's.

        Raises:
            InvalidValue: an argument is out of range.
        """
        query = MemoryQuery(
            checked_tiers(tiers),
            None if min_importance is None else checks.finite("min_importance", min_importance),
            None if tenant_id is None else checks.key("tenant_id", tenant_id),
            check_limit(limit),
            self._now(now),
        )
        if keywords is None:
            rows = best_memories(self.session, query)
        else:
            rows = best_by_keywords(self.session, query, keywords)
        return Page(tuple(RetrievedMemory(*row) for row in rows), None)

    def similar(
        self,
        embedding: Iterable[float],
        *,
        tiers: Iterable[Tier | str] | None = None,
        tenant_id: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[RetrievedMemory]:
        """Return the memories of most similar meaning: by the cosine of their vectors, -1 to 1, then by id.

        All vectors are compared, those of another length left out. Where the extension ``vector`` (pgvector) is
        installed in the database it does most of the work, elsewhere Python; the result is the same.

        A next page would compare all vectors again, so there is none: `next` of the page is None.

        Args:
            embedding: the vector to compare with, not all zeros.
            tiers: only these; None is all.
            tenant_id: only memories whose metadata have this ``tenant_id``.
            limit: the most memories to return.

        Raises:
            InvalidValue: an argument is out of range.
        """
        vector, among = checked_vector(embedding), checked_tiers(tiers)
        check_limit(limit)
        conditions: list[Any] = []
        if len(among) < len(Tier):
            conditions.append(ContinuumMemory.tier.in_(among))
        if tenant_id is not None:
            conditions.append(of_tenant(checks.key("tenant_id", tenant_id)))
        cosines = dict(nearest_embeddings(self.session, conditions, vector, limit))
        statement = sa.select(ContinuumMemory).where(ContinuumMemory.id.in_(cosines))
        memories = {memory.id: memory for memory in self.session.scalars(statement, execution_options=_FRESH)}
        # Another transaction may have archived one between the two statements.
        found = (RetrievedMemory(memories[key], cosine) for key, cosine in cosines.items() if key in memories)
        return Page(tuple(found), None)

    def hybrid(
        self,
        keywords: Sequence[str],
        embedding: Iterable[float],
        *,
        tiers: Iterable[Tier | str] | None = None,
        tenant_id: str | None = None,
        limit: int = DEFAULT_LIMIT,
        now: datetime | None = None,
    ) -> Page[RetrievedMemory]:
        """Return memories found by keywords or by meaning, their ranks fused by `aragora_db.rules.retrieval.fuse`.

        Each search contributes its best ``3 * limit``. Keyword matches are ranked by `retrieve`, where Aragora ranks
        them by BM25. Fused ranks depend on `limit`, so there is no next page: `next` of the page is None.

        Args:
            keywords: see `retrieve`.
            embedding: see `similar`.
            tiers: only these; None is all.
            tenant_id: only memories whose metadata have this ``tenant_id``.
            limit: the most memories to return.
            now: the time that ages are computed at; None is the clock's.

        Raises:
            InvalidValue: an argument is out of range.
        """
        each = min(MAX_LIMIT, 3 * check_limit(limit))
        among = checked_tiers(tiers)
        by_meaning = self.similar(embedding, tiers=among, tenant_id=tenant_id, limit=each)
        by_keyword = self.retrieve(keywords=keywords, tiers=among, tenant_id=tenant_id, limit=each, now=now)
        fused = retrieval.fuse(
            (share, [found.memory.id for found in ranking])
            for share, ranking in ((retrieval.VECTOR_WEIGHT, by_meaning), (retrieval.KEYWORD_WEIGHT, by_keyword))
        )
        memories = {found.memory.id: found.memory for found in [*by_meaning, *by_keyword]}
        return Page(tuple(RetrievedMemory(memories[key], score) for key, score in list(fused.items())[:limit]), None)

    # -- moves between tiers ------------------------------------------------------------------------------------------

    def promote(self, memory_id: str, *, now: datetime | None = None) -> Tier | None:
        """Move a memory one tier faster if it is surprising enough, and was not promoted within 24 hours.

        A move counts as an update: the memory lives for its new tier's time from now on. A red-lined memory stays.

        Args:
            memory_id: the memory.
            now: the time; None is the clock's.

        Returns:
            Its new tier; None if it stays.

        Raises:
            NotFoundError: there is no such memory.
        """
        now, memory = self._now(now), self._locked(memory_id)
        last = memory.last_promotion_at
        if last is not None and last > now - timedelta(hours=continuum.PROMOTION_COOLDOWN_HOURS):
            return None
        target = target_tier(memory)
        return move(self.session, memory, target, now) if is_faster(target, memory.tier) else None

    def demote(self, memory_id: str, *, now: datetime | None = None) -> Tier | None:
        """Move a memory one tier slower if it is stable enough, after 10 updates. Otherwise as `promote`.

        Args:
            memory_id: the memory.
            now: the time; None is the clock's.

        Returns:
            Its new tier; None if it stays.

        Raises:
            NotFoundError: there is no such memory.
        """
        now, memory = self._now(now), self._locked(memory_id)
        target = target_tier(memory)
        return move(self.session, memory, target, now) if is_slower(target, memory.tier) else None

    def consolidate(self, *, now: datetime | None = None) -> dict[tuple[Tier, Tier], int]:
        """Move every memory that `promote` or `demote` would move, each by one tier.

        One statement on PostgreSQL, four on SQLite. Aragora takes at most 1,000 memories of each pair of tiers, can
        move one twice in a pass, and notes moves that did not happen (2.8.0, memory/continuum_consolidation.py:298).

        Args:
            now: the time; None is the clock's.

        Returns:
            How many moved, by (from, to).
        """
        return consolidate(self.session, self._now(now))

    def transitions(
        self, memory_id: str, *, limit: int = DEFAULT_LIMIT, after: str | None = None
    ) -> Page[TierTransition]:
        """Return a memory's moves, newest first. They are deleted when the memory is archived.

        Args:
            memory_id: the memory.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or ``after`` is not a token of this listing.
        """
        statement = sa.select(TierTransition).where(TierTransition.memory_id == checks.key("memory_id", memory_id))
        return self._page(_LAST_MOVED, statement.execution_options(**_FRESH), limit=limit, after=after)

    # -- the archive --------------------------------------------------------------------------------------------------

    def delete(self, memory_id: str, *, force: bool = False, now: datetime | None = None) -> None:
        """Archive a memory with its embedding, as ``user_deleted``.

        Args:
            memory_id: the memory.
            force: whether to delete it even if it is red-lined.
            now: the time; None is the clock's.

        Raises:
            NotFoundError: there is no such memory.
            ConflictError: it is red-lined.
        """
        now, memory = self._now(now), self._locked(memory_id)
        if memory.red_line and not force:
            raise ConflictError(f"memory {memory_id!r} is red-lined; to delete it all the same, pass force=True")
        self.session.flush()
        archive(self.session, [memory_id], "user_deleted", now)
        self.session.expunge(memory)

    def expire(self, *, now: datetime | None = None) -> dict[Tier, int]:
        """Archive what was not updated for two half-lives of its tier, or whose `expires_at` has come.

        Red-lined memories stay. An id may be archived any number of times; in Aragora the second time makes the whole
        clean-up fail.

        Args:
            now: the time; None is the clock's.

        Returns:
            How many were archived as ``expired``, by tier.
        """
        now = self._now(now)
        return archive_selected(self.session, expired(now), "expired", now)

    def enforce_limits(self, *, now: datetime | None = None) -> dict[Tier, int]:
        """Archive what tiers hold beyond `rules.continuum.MAX_ENTRIES`: the least important first, then the stalest.

        Red-lined memories count, and stay.

        Args:
            now: the time; None is the clock's.

        Returns:
            How many were archived as ``tier_limit``, by tier.
        """
        now = self._now(now)
        serialize_archiving(self.session)  # before the count: two callers would archive the surplus twice
        counts = sa.select(ContinuumMemory.tier, sa.func.count()).group_by(ContinuumMemory.tier)
        surplus = beyond_limits({row[0]: row[1] for row in self.session.execute(counts)})
        return {} if surplus is None else archive_selected(self.session, surplus, "tier_limit", now)

    def archived(
        self, *, memory_id: str | None = None, limit: int = DEFAULT_LIMIT, after: str | None = None
    ) -> Page[ContinuumMemoryArchive]:
        """Return rows of the archive, newest first.

        Args:
            memory_id: only what was archived of this memory.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or ``after`` is not a token of this listing.
        """
        statement = sa.select(ContinuumMemoryArchive)
        if memory_id is not None:
            statement = statement.where(ContinuumMemoryArchive.id == checks.key("memory_id", memory_id))
        return self._page(_LAST_ARCHIVED, statement.execution_options(**_FRESH), limit=limit, after=after)

    def restore(self, archive_id: int, *, now: datetime | None = None) -> ContinuumMemory:
        """Bring an archived memory back, as updated now, or it would expire at once. Its row in the archive stays.

        A date of expiry that has passed is left out; transitions are gone.

        Args:
            archive_id: the row of the archive, see `archived`.
            now: the time; None is the clock's.

        Returns:
            The memory as it is now.

        Raises:
            NotFoundError: there is no such row.
            ConflictError: there is a memory with this id.
        """
        now = self._now(now)
        kept = self._get(ContinuumMemoryArchive, checks.count("archive_id", archive_id))
        if kept is None:
            raise NotFoundError(f"the archive has no row {archive_id}; look for it with archived()")
        added = self.session.connection().execute(
            insert(self.session, _TABLE)
            .values(**restored_row(kept, now))
            .on_conflict_do_nothing()
            .returning(_TABLE.c.id)
        )
        if added.one_or_none() is None:
            raise ConflictError(f"there is a memory {kept.id!r}; delete it before you restore an older one")
        follow(self.session, ContinuumMemory, {kept.id: (kept.content,)}, new=True)
        if kept.embedding is not None:
            embedding = {"memory_id": kept.id, "embedding": kept.embedding, "updated_at": now}
            self.session.connection().execute(insert(self.session, ContinuumEmbedding).values(**embedding))
        return self.session.get_one(ContinuumMemory, kept.id, populate_existing=True)

    # -- all memories -------------------------------------------------------------------------------------------------

    def timeline(
        self,
        *,
        since: datetime | None = None,
        before: datetime | None = None,
        tenant_id: str | None = None,
        oldest_first: bool = False,
        limit: int = DEFAULT_LIMIT,
        after: str | None = None,
    ) -> Page[ContinuumMemory]:
        """Return memories in the order in which they were created, newest first; then by id.

        Args:
            since: only those created then or later.
            before: only those created earlier.
            tenant_id: only memories whose metadata have this ``tenant_id``.
            oldest_first: whether to return the oldest first instead.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: an argument is out of range, or ``after`` is not a token of this listing.
        """
        statement = sa.select(ContinuumMemory)
        if since is not None:
            statement = statement.where(ContinuumMemory.created_at >= checks.instant("since", since))
        if before is not None:
            statement = statement.where(ContinuumMemory.created_at < checks.instant("before", before))
        if tenant_id is not None:
            statement = statement.where(of_tenant(checks.key("tenant_id", tenant_id)))
        order = _OLDEST if oldest_first else _NEWEST
        return self._page(order, statement.execution_options(**_FRESH), limit=limit, after=after)

    def red_lined(self, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[ContinuumMemory]:
        """Return red-lined memories, the last updated first.

        Args:
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or ``after`` is not a token of this listing.
        """
        statement = sa.select(ContinuumMemory).where(ContinuumMemory.red_line)
        return self._page(_LAST_UPDATED, statement.execution_options(**_FRESH), limit=limit, after=after)

    def stats(self, *, tenant_id: str | None = None) -> dict[Tier, TierStats]:
        """Return counts and averages of every tier, in one statement that reads all memories.

        Args:
            tenant_id: only memories whose metadata have this ``tenant_id``.

        Raises:
            InvalidValue: the tenant is blank.
        """
        memory = ContinuumMemory

        def average(column: Any) -> Any:
            return sa.func.avg(column, type_=Double())

        statement: Any = sa.select(
            memory.tier,
            sa.func.count(),
            sa.func.count(sa.case((memory.red_line, 1))),
            average(memory.importance),
            average(memory.surprise_score),
            average(memory.consolidation_score),
        ).group_by(memory.tier)
        if tenant_id is not None:
            statement = statement.where(of_tenant(checks.key("tenant_id", tenant_id)))
        found = {tier: TierStats(*numbers) for tier, *numbers in self.session.execute(statement)}
        return {tier: found.get(tier, TierStats()) for tier in Tier}

    def _locked(self, memory_id: str) -> ContinuumMemory:
        """Lock a memory until the transaction ends, and return it as it is now.

        Not FOR UPDATE: that would make others wait that add a transition or an embedding, whose foreign keys share
        the key.

        Raises:
            NotFoundError: it does not exist.
        """
        memory = self.session.get(
            ContinuumMemory,
            checks.key("memory_id", memory_id),
            with_for_update={"key_share": True},
            populate_existing=True,
        )
        if memory is None:
            raise _no_memory(memory_id)
        return memory


def _no_memory(memory_id: str) -> NotFoundError:
    return NotFoundError(f"there is no memory {memory_id!r}; add it first. It may be in the archive: see archived()")
