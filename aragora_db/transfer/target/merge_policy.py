"""Staged rows meet the rows that are there: a verdict on each, then one INSERT. The same statements on both dialects.

| verdict    | what it means                                                                         | counts as |
|------------|---------------------------------------------------------------------------------------|-----------|
| (none)     | nothing stands in its way                                                             | carried   |
| renumbered | another row has its number, and nobody refers to it: it gets the next one             | carried   |
| newer      | the row is there and older: it is replaced                                            | carried   |
| same       | the row is there already                                                              | merged    |
| older      | the row is there, changed since                                                       | merged    |
| conflict   | another row has its key, and nothing says which is right                              | parked    |
| orphan     | the row it belongs to is not there                                                    | parked    |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.sql.selectable import FromClause

from aragora_db.transfer.target.merge import Staged, final_columns

__all__ = ["Lookup", "judge"]

_CLOCKS = ("updated_at", "last_seen", "last_tuned", "last_reflection")
"""Columns that say when a row changed last."""

_MAYBE = "maybe"  # a verdict while the rows of one content are told apart

_ROOM = 2**62
"""Numbers from here on leave no room for the next; a sequence stays below."""

Lookup = Mapping[str, FromClause]
"""Where the rows of other tables are: the tables, or in a dry run what would be in them."""


def judge(connection: Connection, main: Staged, parts: Sequence[Staged], others: Lookup, parked: Any = None) -> None:
    """Write a verdict beside each staged row of `main`; its parts follow it.

    Args:
        connection: in the transaction of the table's move.
        main: the rows.
        parts: the rows that belong to them.
        others: where the rows of other tables are.
        parked: for a column that refers to a number, the numbers of this source's rows which were parked.
    """
    _find_orphans(connection, main, others, parked)
    for unique in [main.key, *main.uniques]:
        _find_repeated(connection, main, unique)
    if main.serial is None:
        _meet_by_key(connection, main)
        for unique in main.uniques:
            _say(connection, main, "conflict", _is_taken(main, unique))
    else:
        _meet_by_content(connection, main)
    for part in parts:
        _compare_part(connection, main, part)
    _renumber(connection, main)


def _say(connection: Connection, staged: Staged, verdict: str, *where: Any, **values: Any) -> int:
    undecided = staged.staging.c.verdict.is_(None)
    statement = sa.update(staged.staging).where(undecided, *where).values(verdict=verdict, **values)
    return connection.execute(statement).rowcount


def _find_orphans(connection: Connection, main: Staged, others: Lookup, parked: Any) -> None:
    """A row whose parent is neither there nor comes with it."""
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
            _find_orphans_of_each_other(connection, main, child.name, column.name, *missing)
        else:
            _say(connection, main, "orphan", *missing)
        if parked is not None and all(column.identity is not None for _, column in pairs):
            ((child, _),) = pairs
            _say(connection, main, "orphan", sa.cast(child, sa.Text).in_(parked(constraint.referred_table.name)))


def _find_orphans_of_each_other(connection: Connection, main: Staged, child: str, key: str, *missing: Any) -> None:
    """Rows of a table that is its own parent: those without one, and all that come after them."""
    staging, coming = main.staging, main.staging.alias()
    for name in (child, key):  # each generation is looked up
        sa.Index(f"ix_{staging.name}_{name}", staging.c[name]).create(connection)
    comes = sa.exists().where(coming.c[key] == staging.c[child])
    first: Any = sa.select(staging.c.source_key, staging.c[key]).where(*missing, ~comes)
    lost: Any = first.cte("lost", recursive=True)
    following: Any = sa.select(coming.c.source_key, coming.c[key])
    lost = lost.union(following.join(lost, coming.c[child] == lost.c[key]))
    _say(connection, main, "orphan", staging.c.source_key.in_(sa.select(lost.c.source_key)))


def _find_repeated(connection: Connection, main: Staged, unique: tuple[str, ...]) -> None:
    """Rows that share a key with an earlier one of the same source."""
    if not unique:
        return
    staging = main.staging
    columns = [staging.c[name] for name in unique]
    place = sa.func.row_number().over(partition_by=columns, order_by=staging.c.source_key).label("place")
    numbered = (
        sa.select(staging.c.source_key, place)
        .where(staging.c.verdict.is_(None), *(column.is_not(None) for column in columns))
        .subquery()
    )
    later = sa.select(numbered.c.source_key).where(numbered.c.place > 1)
    _say(connection, main, "conflict", staging.c.source_key.in_(later))


def _is_taken(main: Staged, unique: tuple[str, ...]) -> Any:
    return sa.exists().where(*(main.there.c[name] == main.staging.c[name] for name in unique))


def _meet_by_key(connection: Connection, main: Staged) -> None:
    there, staging = main.there, main.staging
    meets = [there.c[name] == staging.c[name] for name in main.key]
    rest = [_equal(main, name) for name in main.columns if name not in main.key]
    _say(connection, main, "same", sa.exists().where(*meets, *rest))
    clock = _clock(main)
    if clock is not None:
        _say(connection, main, "older", sa.exists().where(*meets, there.c[clock] > staging.c[clock]))
        _say(connection, main, "newer", sa.exists().where(*meets, there.c[clock] < staging.c[clock]))
    _say(connection, main, "conflict", sa.exists().where(*meets))


def _clock(main: Staged) -> str | None:
    return next((each for each in _CLOCKS if each in main.columns), None)


def _meet_by_content(connection: Connection, main: Staged) -> None:
    """Rows that the database numbers: the number says little, what stands in the row says whether it is there."""
    there, staging, serial = main.there, main.staging, str(main.serial)
    content = [_equal(main, name) for name in main.columns if name != serial]
    if serial in main.columns:
        by_number = there.c[serial] == staging.c[serial]
        _say(connection, main, "same", sa.exists().where(by_number, *content))
    if main.keeps_numbers:  # what refers to it would find another row under its number
        _say(connection, main, "conflict", sa.exists().where(*content))
    elif _say(connection, main, _MAYBE, sa.exists().where(*content)):
        _pair(connection, main)
    clock = _clock(main)
    for unique in main.uniques:
        if clock is not None and serial in main.columns:
            meets = [there.c[name] == staging.c[name] for name in unique]
            stored = sa.select(there.c[serial]).where(*meets).scalar_subquery()
            _say(connection, main, "older", sa.exists().where(*meets, there.c[clock] > staging.c[clock]))
            _say(
                connection,
                main,
                "newer",
                sa.exists().where(*meets, there.c[clock] < staging.c[clock]),
                target_id=stored,
            )
        _say(connection, main, "conflict", _is_taken(main, unique))
    if serial in main.columns:
        taken = "conflict" if main.keeps_numbers else "renumbered"
        _say(connection, main, taken, sa.exists().where(there.c[serial] == staging.c[serial]))


def _pair(connection: Connection, main: Staged) -> None:
    """Rows whose content is there under another number: the same, as often as it is there. Two equal rows are two.

    What is there and belongs to a row by its number as well is not there for another one.
    """
    there, staging, serial = main.there, main.staging, str(main.serial)
    names = [name for name in main.columns if name != serial]
    coming = staging.alias()
    equal = [_equals(main, name, there.c[name], coming.c[name]) for name in names]
    free: list[Any] = [sa.exists().where(coming.c.verdict == _MAYBE, *equal)]
    if serial in main.columns:
        other = staging.alias()
        free.append(~sa.exists().where(other.c.verdict == "same", other.c[serial] == there.c[serial]))
    present = _counted(there, names, there.c[serial].label("number"), order_by=there.c[serial]).where(*free).subquery()
    own = _counted(staging, names, staging.c.source_key, order_by=staging.c.source_key)
    mine = own.where(staging.c.verdict == _MAYBE).subquery()
    same = [_equals(main, name, present.c[name], mine.c[name]) for name in names]
    pairs = sa.select(mine.c.source_key, present.c.number).where(present.c.place == mine.c.place, *same).subquery()
    _say_where(connection, main, pairs, verdict="same", target_id=pairs.c.number)
    connection.execute(sa.update(staging).where(staging.c.verdict == _MAYBE).values(verdict=None))


def _counted(rows: FromClause, names: Sequence[str], number: Any, order_by: Any) -> Any:
    """Rows with their content, and which of the rows with this content each one is."""
    content = [rows.c[name] for name in names]
    place = sa.func.row_number().over(partition_by=content, order_by=order_by).label("place")
    return sa.select(number, place, *content)


def _equal(main: Staged, name: str) -> Any:
    return _equals(main, name, main.there.c[name], main.staging.c[name])


def _equals(main: Staged, name: str, one: Any, other: Any) -> Any:
    # What cannot be NULL is compared with =, which both databases can look up and hash.
    return one.is_not_distinct_from(other) if main.target.c[name].nullable else one == other


def _compare_part(connection: Connection, main: Staged, part: Staged) -> None:
    """A main row that is there with other parts is not the same row after all."""
    staging, there = part.staging, part.there
    named = zip(part.columns, final_columns(main, part), strict=True)
    found = sa.exists().where(
        *(
            there.c[name].is_not_distinct_from(value) if part.target.c[name].nullable else there.c[name] == value
            for name, value in named
        )
    )
    differs = sa.exists().where(
        staging.c.source_key == main.staging.c.source_key, ~found.correlate(staging, main.staging)
    )
    verdict = main.staging.c.verdict == "same"
    connection.execute(sa.update(main.staging).where(verdict, differs).values(verdict="conflict"))


def _renumber(connection: Connection, main: Staged) -> None:
    """Give the next numbers, in the source's order."""
    staging, serial = main.staging, main.serial
    if serial is None or serial not in main.columns:
        return
    if not connection.dialect.supports_sequences:  # SQLite numbers no row after one at the very end
        _say(connection, main, "conflict" if main.keeps_numbers else "renumbered", staging.c[serial] >= _ROOM)
    highest = max(
        connection.scalar(sa.select(sa.func.max(table.c[serial])).where(table.c[serial] < _ROOM)) or 0
        for table in (main.there, staging)
    )
    place = sa.func.row_number().over(order_by=staging.c.source_key)
    numbered = (
        sa.select(staging.c.source_key, (place + highest).label("number"))
        .where(staging.c.verdict == "renumbered")
        .subquery()
    )
    _say_where(connection, main, numbered, target_id=numbered.c.number)


def _say_where(connection: Connection, staged: Staged, found: sa.Subquery, **values: Any) -> None:
    """Write values beside the rows that a subquery found by their `source_key`; joined once, not looked up by each."""
    rows = staged.staging.c.source_key == found.c.source_key
    connection.execute(sa.update(staged.staging).where(rows).values(values))
