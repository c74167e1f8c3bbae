"""Merge staged rows into a table: decide what becomes of each row, then write it. The same statements on both dialects.

| decision   | meaning                                                                               | counts as |
|------------|---------------------------------------------------------------------------------------|-----------|
| (none)     | no row has its key                                                                    | carried   |
| renumbered | another row has its id, and no row refers to it: it gets the next id                  | carried   |
| newer      | the row exists and is older: it is replaced                                           | carried   |
| same       | the row exists already                                                                | merged    |
| older      | the row exists and is newer                                                           | merged    |
| conflict   | another row has its key, and neither is known to be newer                             | parked    |
| orphan     | its parent row does not exist                                                         | parked    |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.sql.selectable import FromClause

from aragora_db.engine.dialects import insert_into

__all__ = ["CARRIED", "MERGED", "PARKED", "RowSources", "StagedTable", "decide", "final_columns", "is_any", "write"]

CARRIED = (None, "renumbered", "newer")
MERGED = ("same", "older")
PARKED = ("conflict", "orphan")


@dataclass(frozen=True)
class StagedTable:
    """A table of ours and its staging table.

    Attributes:
        target: the table.
        staging: the staging table, which holds the source's rows.
        columns: the columns that the source's rows have.
        existing: the rows to compare with: the table; in a dry run, the table and the rows that would be in it.
        parent: in a part, the column that refers to the main row; else None.
        keeps_ids: whether other tables refer to its ids, so that a row cannot be renumbered.
    """

    target: sa.Table
    staging: sa.Table
    columns: tuple[str, ...]
    existing: FromClause
    parent: str | None = None
    keeps_ids: bool = False

    @property
    def key(self) -> tuple[str, ...]:
        """Return the primary key's columns; none if the database assigns the ids and the source has none."""
        names = tuple(each.name for each in self.target.primary_key)
        return names if set(names) <= set(self.columns) else ()

    @property
    def serial(self) -> str | None:
        """Return the identity column, or None."""
        return next((each.name for each in self.target.columns if each.identity is not None), None)

    @property
    def uniques(self) -> list[tuple[str, ...]]:
        """Return the columns of each unique constraint whose columns the source all has."""
        named = [
            tuple(column.name for column in constraint.columns)
            for constraint in self.target.constraints
            if isinstance(constraint, sa.UniqueConstraint)
        ]
        return sorted(each for each in named if set(each) <= set(self.columns))


def final_columns(main: StagedTable, staged: StagedTable) -> Iterator[Any]:
    """Yield the columns of `main` or of a part, with the id that the main row gets in the target."""
    number = main.serial if staged is main else staged.parent
    for name in staged.columns:
        column = staged.staging.c[name]
        is_number = main.serial is not None and main.serial in main.columns and name == number
        yield sa.func.coalesce(main.staging.c.target_id, column).label(name) if is_number else column


def is_any(staging: sa.Table, *decisions: str | None) -> sa.ColumnElement[bool]:
    """Whether a row's decision is one of these; None is no decision."""
    found = staging.c.decision.in_([each for each in decisions if each is not None])
    return sa.or_(staging.c.decision.is_(None), found) if None in decisions else found


# -- decide ------------------------------------------------------------------------------------------------------------

_MODIFIED_COLUMNS = ("updated_at", "last_seen", "last_tuned", "last_reflection")
"""Columns that hold the time of a row's last change, in order of preference."""

_CANDIDATE = "candidate"  # a temporary decision, while rows with equal content are matched

_HIGHEST_ID = 2**62
"""Ids from here on are ignored for the next id; a sequence stays below."""

RowSources = Mapping[str, FromClause]
"""The rows of each table, by its name; in a dry run, with the rows that would be in it."""


def decide(
    connection: Connection, main: StagedTable, parts: Sequence[StagedTable], others: RowSources, parked: Any = None
) -> None:
    """Write a decision beside each staged row of `main`; its parts follow it.

    Args:
        connection: in the transaction of the table's import.
        main: the staged rows.
        parts: the staged rows of other tables that belong to them.
        others: the rows of other tables, where parents are looked up.
        parked: given a table, selects the ids of this source's rows that were parked; None if parents may be parked.
    """
    _find_orphans(connection, main, others, parked)
    for unique in [main.key, *main.uniques]:
        _find_repeated(connection, main, unique)
    if main.serial is None:
        _compare_by_key(connection, main)
        for unique in main.uniques:
            _assign(connection, main, "conflict", _is_taken(main, unique))
    else:
        _compare_by_content(connection, main)
    for part in parts:
        _compare_part(connection, main, part)
    _renumber(connection, main)


def _assign(connection: Connection, staged: StagedTable, decision: str, *where: Any, **values: Any) -> int:
    undecided = staged.staging.c.decision.is_(None)
    statement = sa.update(staged.staging).where(undecided, *where).values(decision=decision, **values)
    return connection.execute(statement).rowcount


def _find_orphans(connection: Connection, main: StagedTable, others: RowSources, parked: Any) -> None:
    """Find rows whose parent neither exists nor is staged."""
    for constraint in main.target.foreign_key_constraints:
        pairs = [
            (main.staging.c[e.parent.name], e.column) for e in constraint.elements if e.parent.name in main.columns
        ]
        if not pairs:
            continue
        referred = others[constraint.referred_table.name]
        there = sa.exists().where(*(referred.c[column.name] == child for child, column in pairs))
        missing = [*(child.is_not(None) for child, _ in pairs), ~there]
        if constraint.referred_table is main.target:
            ((child, column),) = pairs
            _find_orphans_in_tree(connection, main, child.name, column.name, *missing)
        else:
            _assign(connection, main, "orphan", *missing)
        if parked is not None and all(column.identity is not None for _, column in pairs):
            ((child, _),) = pairs
            _assign(connection, main, "orphan", sa.cast(child, sa.Text).in_(parked(constraint.referred_table.name)))


def _find_orphans_in_tree(connection: Connection, main: StagedTable, child: str, key: str, *missing: Any) -> None:
    """Find orphans in a table that refers to itself: rows without a parent, and all their descendants."""
    staging, coming = main.staging, main.staging.alias()
    for name in (child, key):  # each generation is looked up
        sa.Index(f"ix_{staging.name}_{name}", staging.c[name]).create(connection)
    comes = sa.exists().where(coming.c[key] == staging.c[child])
    first: Any = sa.select(staging.c.source_key, staging.c[key]).where(*missing, ~comes)
    lost: Any = first.cte("lost", recursive=True)
    following: Any = sa.select(coming.c.source_key, coming.c[key])
    lost = lost.union(following.join(lost, coming.c[child] == lost.c[key]))
    _assign(connection, main, "orphan", staging.c.source_key.in_(sa.select(lost.c.source_key)))


def _find_repeated(connection: Connection, main: StagedTable, unique: tuple[str, ...]) -> None:
    """Find rows that repeat the key of an earlier row of the same source."""
    if not unique:
        return
    staging = main.staging
    columns = [staging.c[name] for name in unique]
    place = sa.func.row_number().over(partition_by=columns, order_by=staging.c.source_key).label("place")
    numbered = (
        sa.select(staging.c.source_key, place)
        .where(staging.c.decision.is_(None), *(column.is_not(None) for column in columns))
        .subquery()
    )
    later = sa.select(numbered.c.source_key).where(numbered.c.place > 1)
    _assign(connection, main, "conflict", staging.c.source_key.in_(later))


def _is_taken(main: StagedTable, unique: tuple[str, ...]) -> Any:
    return sa.exists().where(*(main.existing.c[name] == main.staging.c[name] for name in unique))


def _compare_by_key(connection: Connection, main: StagedTable) -> None:
    existing, staging = main.existing, main.staging
    meets = [existing.c[name] == staging.c[name] for name in main.key]
    rest = [_equal(main, name) for name in main.columns if name not in main.key]
    _assign(connection, main, "same", sa.exists().where(*meets, *rest))
    clock = _modified_column(main)
    if clock is not None:
        _assign(connection, main, "older", sa.exists().where(*meets, existing.c[clock] > staging.c[clock]))
        _assign(connection, main, "newer", sa.exists().where(*meets, existing.c[clock] < staging.c[clock]))
    _assign(connection, main, "conflict", sa.exists().where(*meets))


def _modified_column(main: StagedTable) -> str | None:
    return next((each for each in _MODIFIED_COLUMNS if each in main.columns), None)


def _compare_by_content(connection: Connection, main: StagedTable) -> None:
    """Compare rows whose ids the database assigns: equal content, not an equal id, makes two rows the same."""
    existing, staging, serial = main.existing, main.staging, str(main.serial)
    content = [_equal(main, name) for name in main.columns if name != serial]
    if serial in main.columns:
        by_number = existing.c[serial] == staging.c[serial]
        _assign(connection, main, "same", sa.exists().where(by_number, *content))
    if main.keeps_ids:  # what refers to it would find another row under its number
        _assign(connection, main, "conflict", sa.exists().where(*content))
    elif _assign(connection, main, _CANDIDATE, sa.exists().where(*content)):
        _match_equal_rows(connection, main)
    clock = _modified_column(main)
    for unique in main.uniques:
        if clock is not None and serial in main.columns:
            meets = [existing.c[name] == staging.c[name] for name in unique]
            stored = sa.select(existing.c[serial]).where(*meets).scalar_subquery()
            _assign(connection, main, "older", sa.exists().where(*meets, existing.c[clock] > staging.c[clock]))
            _assign(
                connection,
                main,
                "newer",
                sa.exists().where(*meets, existing.c[clock] < staging.c[clock]),
                target_id=stored,
            )
        _assign(connection, main, "conflict", _is_taken(main, unique))
    if serial in main.columns:
        taken = "conflict" if main.keeps_ids else "renumbered"
        _assign(connection, main, taken, sa.exists().where(existing.c[serial] == staging.c[serial]))


def _match_equal_rows(connection: Connection, main: StagedTable) -> None:
    """Match rows with existing rows of equal content but other ids, one to one.

    An existing row that is matched by its id already is not matched again.
    """
    existing, staging, serial = main.existing, main.staging, str(main.serial)
    names = [name for name in main.columns if name != serial]
    coming = staging.alias()
    equal = [_equals(main, name, existing.c[name], coming.c[name]) for name in names]
    free: list[Any] = [sa.exists().where(coming.c.decision == _CANDIDATE, *equal)]
    if serial in main.columns:
        other = staging.alias()
        free.append(~sa.exists().where(other.c.decision == "same", other.c[serial] == existing.c[serial]))
    present = (
        _counted(existing, names, existing.c[serial].label("number"), order_by=existing.c[serial])
        .where(*free)
        .subquery()
    )
    own = _counted(staging, names, staging.c.source_key, order_by=staging.c.source_key)
    mine = own.where(staging.c.decision == _CANDIDATE).subquery()
    same = [_equals(main, name, present.c[name], mine.c[name]) for name in names]
    pairs = sa.select(mine.c.source_key, present.c.number).where(present.c.place == mine.c.place, *same).subquery()
    _assign_joined(connection, main, pairs, decision="same", target_id=pairs.c.number)
    connection.execute(sa.update(staging).where(staging.c.decision == _CANDIDATE).values(decision=None))


def _counted(rows: FromClause, names: Sequence[str], number: Any, order_by: Any) -> Any:
    """Select rows with their content and their ordinal among rows of equal content."""
    content = [rows.c[name] for name in names]
    place = sa.func.row_number().over(partition_by=content, order_by=order_by).label("place")
    return sa.select(number, place, *content)


def _equal(main: StagedTable, name: str) -> Any:
    return _equals(main, name, main.existing.c[name], main.staging.c[name])


def _equals(main: StagedTable, name: str, one: Any, other: Any) -> Any:
    # What cannot be NULL is compared with =, which both databases can look up and hash.
    return one.is_not_distinct_from(other) if main.target.c[name].nullable else one == other


def _compare_part(connection: Connection, main: StagedTable, part: StagedTable) -> None:
    """Change "same" to "conflict" for main rows whose parts differ."""
    staging, existing = part.staging, part.existing
    named = zip(part.columns, final_columns(main, part), strict=True)
    found = sa.exists().where(
        *(
            existing.c[name].is_not_distinct_from(value) if part.target.c[name].nullable else existing.c[name] == value
            for name, value in named
        )
    )
    differs = sa.exists().where(
        staging.c.source_key == main.staging.c.source_key, ~found.correlate(staging, main.staging)
    )
    decision = main.staging.c.decision == "same"
    connection.execute(sa.update(main.staging).where(decision, differs).values(decision="conflict"))


def _renumber(connection: Connection, main: StagedTable) -> None:
    """Assign the next ids to renumbered rows, in the source's order."""
    staging, serial = main.staging, main.serial
    if serial is None or serial not in main.columns:
        return
    if not connection.dialect.supports_sequences:  # SQLite numbers no row after one at the very end
        _assign(connection, main, "conflict" if main.keeps_ids else "renumbered", staging.c[serial] >= _HIGHEST_ID)
    highest = max(
        connection.scalar(sa.select(sa.func.max(table.c[serial])).where(table.c[serial] < _HIGHEST_ID)) or 0
        for table in (main.existing, staging)
    )
    place = sa.func.row_number().over(order_by=staging.c.source_key)
    numbered = (
        sa.select(staging.c.source_key, (place + highest).label("number"))
        .where(staging.c.decision == "renumbered")
        .subquery()
    )
    _assign_joined(connection, main, numbered, target_id=numbered.c.number)


def _assign_joined(connection: Connection, staged: StagedTable, found: sa.Subquery, **values: Any) -> None:
    """Write values to the staged rows that a subquery found by `source_key`: one join, no subquery per row."""
    rows = staged.staging.c.source_key == found.c.source_key
    connection.execute(sa.update(staged.staging).where(rows).values(values))


# -- write -------------------------------------------------------------------------------------------------------------


def write(connection: Connection, main: StagedTable, parts: Sequence[StagedTable], *, keys_live: bool = True) -> None:
    """Insert and replace rows by their decisions. With the keys dropped (``keys_live=False``), nothing is replaced."""
    staging = main.staging
    written = is_any(staging, *CARRIED)
    for part in parts:
        (key,) = main.key
        replaced = sa.select(staging.c[key]).where(staging.c.decision == "newer")
        connection.execute(sa.delete(part.target).where(part.target.c[str(part.parent)].in_(replaced)))
    _insert(connection, main, sa.select(*final_columns(main, main)).where(written), replaces=keys_live)
    for part in parts:
        same_row = part.staging.c.source_key == staging.c.source_key
        _insert(connection, part, sa.select(*final_columns(main, part)).where(same_row, written), replaces=False)


def _insert(connection: Connection, staged: StagedTable, chosen: Any, *, replaces: bool) -> None:
    statement: Any = insert_into(connection.dialect, staged.target).from_select(list(staged.columns), chosen)
    others = [name for name in staged.columns if name not in staged.key]
    if replaces and staged.key and others:
        statement = statement.on_conflict_do_update(
            index_elements=list(staged.key), set_={name: statement.excluded[name] for name in others}
        )
    connection.execute(statement)
