"""Whatever is let through fits PostgreSQL's indexes: a btree refuses a row over 2,704 bytes, a tsvector over 1 MiB."""

from __future__ import annotations

import random
import string
from typing import Any

import pytest
import sqlalchemy as sa

from aragora_db import types
from aragora_db.errors import CheckViolation, InvalidValue
from aragora_db.models import Base, Consensus, ConsensusTopicWord, ContinuumKeywords, ContinuumMemory
from aragora_db.rules.words import MAX_BYTES, MAX_WORD
from aragora_db.search.keywords import matches
from aragora_db.types.ddl import newest_first

# BTMaxItemSize of 8 KiB pages: https://github.com/postgres/postgres/blob/REL_15_STABLE/src/include/access/nbtree.h
BTREE_ROW = 2704

# Texts without a limit of bytes that are indexed because a CHECK limits their characters, of up to four bytes each.
CHECKED_CHARACTERS = {"elo_calibration_buckets.bucket_key": 16, "position_history.position_type": 64}

# Expressions are not columns; this one is a text that its column's type limits like a key.
EXPRESSION_BYTES = types.KEY_BYTES


def _text_bytes(column: sa.Column[Any]) -> int | None:
    kind = column.type
    if isinstance(kind, types.EnumText):
        return max(len(member) for member in kind.enum_class)
    if isinstance(kind, types.Text):
        return kind.max_bytes or 4 * CHECKED_CHARACTERS[str(column)]
    return None


def _index_row_bytes(parts: list[Any]) -> int:
    """The largest index row: header of 8 bytes, a bitmap when something is NULL, and everything aligned."""
    size = 16
    for part in parts:
        column = _column(part)
        text = _text_bytes(column) if isinstance(column, sa.Column) else EXPRESSION_BYTES
        size = -size % 4 + size + 4 + text if text is not None else -size % 8 + size + 8
    return -size % 8 + size


def _column(part: Any) -> Any:
    if isinstance(part, newest_first):
        return next(iter(part.clauses))
    return part.element if isinstance(part, sa.UnaryExpression) else part


def _indexed(table: sa.Table) -> list[list[Any]]:
    keys = (sa.PrimaryKeyConstraint, sa.UniqueConstraint)
    constraints = [list(key.columns) for key in table.constraints if isinstance(key, keys)]
    return constraints + [list(index.expressions) for index in table.indexes]


@pytest.mark.parametrize("table", Base.metadata.sorted_tables, ids=str)
def test_arithmetic(table):
    """An index over too many long texts works on the laptop and refuses rows in production."""
    for parts in _indexed(table):
        assert _index_row_bytes(parts) <= BTREE_ROW, [str(part) for part in parts]


def _longest(column: sa.Column[Any], numbers: random.Random) -> Any:
    """A text that PostgreSQL cannot compress, as long as the type allows."""
    if str(column) in CHECKED_CHARACTERS:
        return "".join(chr(numbers.randrange(0x10000, 0x110000)) for _ in range(CHECKED_CHARACTERS[str(column)]))
    return "".join(numbers.choices(string.ascii_letters + string.digits, k=_text_bytes(column) or 0))


def _rows(samples) -> list[tuple[type[Base], dict[str, Any]]]:
    """A row of every model with every indexed text as long as it can be."""
    longest: dict[sa.Column[Any], Any] = {}
    numbers = random.Random(2704)
    for model in samples.models:
        for column in model.__table__.columns:
            limited = getattr(column.type, "max_bytes", None) or str(column) in CHECKED_CHARACTERS
            if limited and not column.foreign_keys:
                longest[column] = _longest(column, numbers)
    for table in ("elo_agent_relationships", "elo_head_to_head"):
        pair = Base.metadata.tables[table].c
        longest[pair.agent_a] = "A" + longest[pair.agent_a][1:]
        longest[pair.agent_b] = "B" + longest[pair.agent_b][1:]
    rows = []
    for model in samples.models:
        values = samples.row(model, full=True)
        for attribute in sa.inspect(model).column_attrs:
            column = attribute.columns[0]
            source = next((key.column for key in column.foreign_keys), column)
            if source in longest:
                values[attribute.key] = longest[source]
        rows.append((model, values))
    return rows


def test_longest_rows(both, samples):
    """The arithmetic above, shown by the server: the longest keys, which it cannot compress, are stored by both."""
    for database in both.values():
        with database.session() as session:
            for model, values in _rows(samples):
                session.add(model(**values))
                session.flush()
            for model, values in _rows(samples):
                stored = session.scalars(samples.newest(model).execution_options(populate_existing=True)).one()
                assert {name: getattr(stored, name) for name in values} == values
            session.rollback()


def _add(database, row: Base) -> None:
    with database.session() as session:
        session.add(row)


def test_one_byte_more(both, samples):
    """A key that only SQLite can store must be refused before it is sent, to either database."""
    refused = 0
    for model, values in _rows(samples):
        for attribute in sa.inspect(model).column_attrs:
            column = attribute.columns[0]
            if getattr(column.type, "max_bytes", None) is None or column.foreign_keys:
                continue
            longer = model(**values | {attribute.key: values[attribute.key] + "x"})
            for database in both.values():
                with pytest.raises(InvalidValue, match=f"{column}.*bytes"):
                    _add(database, longer)
                sa.orm.make_transient(longer)
            refused += 1
    assert refused > 80


@pytest.mark.parametrize("name", CHECKED_CHARACTERS)
def test_one_character_more(both, samples, name):
    """The texts that a CHECK keeps short are refused by the databases themselves, alike."""
    model, values = next((m, v) for m, v in _rows(samples) if m.__tablename__ == name.split(".")[0])
    attribute = name.split(".")[1]
    for database in both.values():
        with pytest.raises(CheckViolation):
            _add(database, model(**values | {attribute: values[attribute] + "x"}))


TENANTS_REFUSED = {"too long": "ü" * 513, "a number": 5, "an object": {"id": "x"}, "a list": ["x"], "a boolean": True}


@pytest.mark.parametrize("tenant", TENANTS_REFUSED.values(), ids=TENANTS_REFUSED)
def test_tenant_refused(both, tenant):
    """The tenant inside the metadata is indexed too; as anything but text the databases would find it differently."""
    for database in both.values():
        with pytest.raises(InvalidValue, match=r"continuum_memory\.metadata.*tenant_id"):
            _add(database, ContinuumMemory(id="m", content="c", metadata_={"tenant_id": tenant}))


@pytest.mark.parametrize("metadata", [{"tenant_id": "ü" * 512}, {"tenant_id": None}, {"tenant_id": ""}, {}])
def test_tenant_stored(both, metadata):
    """A tenant of the longest size, an empty one and none at all are all stored."""
    for database in both.values():
        with database.session() as session:
            session.add(ContinuumMemory(id="m", content="c", metadata_=metadata))
            session.flush()
            found = sa.select(ContinuumMemory.metadata_["tenant_id"].as_string())
            assert session.scalars(found).one() == metadata.get("tenant_id")
            session.rollback()


# Of four bytes each; random, so that PostgreSQL cannot compress them.
LETTERS = range(0x20000, 0x2A6E0)


def _word(numbers: random.Random, characters: int) -> str:
    return "".join(chr(numbers.choice(LETTERS)) for _ in range(characters))


def test_longest_topic_word(both):
    """A topic with a very long word is recorded; its index holds as much of the word as fits beside the key."""
    numbers = random.Random(128)
    word, key = _word(numbers, 129), "".join(numbers.choices(string.ascii_letters, k=types.KEY_BYTES))
    topic = {"topic": f"{word} {word}x", "topic_hash": "h", "conclusion": "c", "strength": "strong", "data": {}}
    for database in both.values():
        with database.session() as session:
            session.add(Consensus(id=key, **topic))
            session.flush()
            (stored,) = session.scalars(sa.select(ConsensusTopicWord)).all()
            assert (stored.word, stored.topic_size) == (word[:128], 1)
            with pytest.raises(CheckViolation), session.begin_nested():
                session.execute(sa.insert(ConsensusTopicWord), [{"consensus_id": key, "word": word, "topic_size": 1}])
            session.rollback()


def test_most_words(both):
    """A memory of a megabyte is stored, and found by the words that fit; the server would refuse all of them."""
    numbers = random.Random(64)
    given = [_word(numbers, MAX_WORD) for _ in range(3_000)]
    fit = MAX_BYTES // (4 * MAX_WORD + 1)
    searches = {given[0]: ["m"], given[fit - 1]: ["m"], given[fit]: []}
    for database in both.values():
        with database.session() as session:
            session.add(ContinuumMemory(id="m", content=" ".join(given)))
            session.flush()
            for word, owners in searches.items():
                query = sa.select(ContinuumKeywords.owner_id).where(matches(ContinuumKeywords, [word]))
                assert session.scalars(query).all() == owners
            session.rollback()
