"""Which table of ours a source table is: told by its name and its columns, never by the file's name.

The same name means different things in different files, and the columns of one table vary with the file's age. So
each name has the targets it can mean, in order of precedence, and the columns that tell one from the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import sqlalchemy as sa

from aragora_db.models import Base
from aragora_db.transfer.source.snapshot import SourceTable

__all__ = ["DERIVED", "Shape", "is_excluded", "shape_of"]


@dataclass(frozen=True)
class Shape:
    """What a source table is.

    Attributes:
        target: our table.
        columns: the source's column for each of ours that the source has.
        unknown: the source's columns that have no place in ours, nor are taken apart into rows.
        parts: tables that other rows of the same source row go to.
    """

    target: str
    columns: Mapping[str, str]
    unknown: tuple[str, ...] = ()
    parts: tuple[str, ...] = field(default=())


DERIVED = frozenset(
    {"consensus_topic_words", "continuum_keywords", "debate_keywords", "elo_head_to_head", "insight_keywords"}
)
"""Tables of ours whose rows follow from others: computed again after the move."""

_BOOKKEEPING: Mapping[str, frozenset[str]] = {
    "_schema_versions": frozenset({"module", "version", "updated_at"}),
    "aragora_schema_version": frozenset({"version_num"}),
    "schema_history": frozenset(Base.metadata.tables["schema_history"].columns.keys()),
    "import_ledger": frozenset(Base.metadata.tables["import_ledger"].columns.keys()),
}
"""Tables that say nothing but how the source was made, and their columns."""


def is_excluded(table: SourceTable) -> bool:
    """Whether a table is not imported, by name and columns: bookkeeping, or derived from other tables."""
    columns = frozenset(table.columns)
    if table.name in DERIVED:
        return columns == frozenset(Base.metadata.tables[table.name].columns.keys())
    return columns == _BOOKKEEPING.get(table.name)


# A candidate: our table, and the source's columns that show it. The first whose columns are all there is taken.
_Candidate = tuple[str, frozenset[str]]


def _candidate(target: str, *shown_by: str) -> _Candidate:
    return target, frozenset(shown_by)


_BY_NAME: Mapping[str, tuple[_Candidate, ...]] = {
    "ratings": (_candidate("elo_ratings", "agent_name", "elo"),),
    "matches": (
        _candidate("elo_matches", "id", "debate_id", "participants"),
        _candidate("tournament_matches", "match_id", "tournament_id", "agent1", "agent2"),
    ),
    "calibration_predictions": (
        _candidate("elo_calibration_predictions", "tournament_id", "predictor_agent", "created_at"),
        _candidate("agent_predictions", "agent", "confidence", "correct"),
    ),
    "predictions": (_candidate("agent_predictions", "agent", "confidence", "correct"),),
    "domain_calibration": (_candidate("elo_domain_calibration", "agent_name", "domain", "total_predictions"),),
    "calibration_buckets": (_candidate("elo_calibration_buckets", "agent_name", "bucket_key"),),
    "agent_relationships": (_candidate("elo_agent_relationships", "agent_a", "agent_b", "debate_count"),),
    "memories": (
        _candidate("agent_memories", "agent_name", "memory_type", "content"),
        _candidate("continuum_memory", "id", "tier", "content"),
    ),
    "debates": (
        _candidate("debates", "slug", "artifact_json"),
        _candidate("debate_results", "task", "final_answer"),
    ),
    "patterns": (_candidate("critique_patterns", "issue_type", "issue_text"),),
    "pattern_embeddings": (_candidate("critique_pattern_embeddings", "pattern_id", "embedding"),),
    "patterns_archive": (_candidate("critique_patterns_archive", "issue_type", "issue_text"),),
    "embeddings": (_candidate("debate_embeddings", "text_hash", "embedding"),),
    "evolution_history": (
        _candidate("evolution_history", "mutation_type", "before_state"),
        _candidate("prompt_evolution_history", "from_version", "to_version"),
    ),
    "agent_evolution_history": (_candidate("evolution_history", "mutation_type", "before_state"),),
    "reflection_schedule": (_candidate("reflection_schedule", "agent_name", "memories_since_reflection"),),
    "agent_performance_history": (_candidate("agent_performance_history", "debate_id", "contribution_score"),),
    "debate_summaries": (_candidate("debate_summaries", "debate_id", "total_insights"),),
    "pattern_clusters": (_candidate("pattern_clusters", "category", "pattern_text"),),
    "prompt_versions": (_candidate("prompt_versions", "agent_name", "version", "prompt"),),
    "extracted_patterns": (_candidate("extracted_patterns", "pattern_type", "pattern_text"),),
    "meta_hyperparams": (_candidate("meta_hyperparams", "hyperparams"),),
    "meta_efficiency_log": (_candidate("meta_efficiency_log", "metrics"),),
}
"""What Aragora's names mean. Every other name means our table of that name, if there is one."""

_SPLIT: Mapping[str, tuple[frozenset[str], tuple[str, ...]]] = {
    "elo_ratings": (frozenset({"domain_elos"}), ("elo_domain_ratings",)),
    "elo_matches": (frozenset({"participants", "scores", "elo_changes"}), ("elo_match_participants",)),
}


def shape_of(table: SourceTable) -> Shape | None:
    """What a table is, or None when we do not know it."""
    return _shape(table.name, table.columns)


@cache
def _shape(name: str, columns: tuple[str, ...]) -> Shape | None:
    there = frozenset(columns)
    for target, shown_by in _BY_NAME.get(name, ()) or ((name, frozenset[str]()),):
        if target in DERIVED or target in _BOOKKEEPING or target not in Base.metadata.tables:
            continue
        table = Base.metadata.tables[target]
        if shown_by <= there and _needed(table) <= there:
            apart, parts = _SPLIT.get(target, (frozenset[str](), ()))
            apart &= there
            known = {column.name: column.name for column in table.columns if column.name in there}
            unknown = tuple(each for each in columns if each not in known and each not in apart)
            return Shape(target, known, unknown, parts if apart else ())
    own = _BY_NAME.get(name)
    # A table of our own name in a file of our own schema, where Aragora's name means something else as well.
    return _shape_of_own(name, columns) if own and name in Base.metadata.tables else None


def _shape_of_own(name: str, columns: tuple[str, ...]) -> Shape | None:
    table = Base.metadata.tables[name]
    own = {column.name for column in table.columns}
    return Shape(name, {each: each for each in columns}) if set(columns) == own else None


def _needed(table: sa.Table) -> frozenset[str]:
    """Columns without which no row of the table can be made."""
    return frozenset(
        column.name
        for column in table.columns
        if not column.nullable
        and column.server_default is None
        and column.identity is None
        and column.name not in _MADE_UP
    )


_MADE_UP = frozenset({"updated_at", "created_at"})
