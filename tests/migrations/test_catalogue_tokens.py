"""SQLite's stored text: what is the same must read the same, what is not must not."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aragora_db.errors import MigrationError
from aragora_db.migrations.catalogue.sqlite import table_entries
from aragora_db.migrations.catalogue.tokens import join, tokenize

NAMES = st.from_regex(r"[a-z_][a-z0-9_$]{0,5}", fullmatch=True).filter(lambda name: name not in VALUES)
VALUES = {"null", "true", "false", "current_date", "current_time", "current_timestamp"}
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=8)
GAPS = st.sampled_from([" ", "\n\t", "  ", "/* it's \" [ ( */", "-- it's ( \" `\n", " -- x\r\n", "/**/"])


def literal(text: str) -> str:
    """A string literal."""
    return "'" + text.replace("'", "''") + "'"


@st.composite
def spellings(draw: st.DrawFn, name: str) -> str:
    """A way to write a name."""
    cased = "".join(letter.upper() if draw(st.booleans()) else letter for letter in name)
    return draw(st.sampled_from([cased, f'"{cased}"', f"`{cased}`", f"[{cased}]"]))


@st.composite
def checks(draw: st.DrawFn) -> tuple[str, str, str]:
    """A CHECK as SQLAlchemy writes it, the same in another spelling, and the literal inside."""
    column, text, number = draw(NAMES), literal(draw(TEXTS)), str(draw(st.integers(0, 999)))
    words = [
        "CHECK",
        "(",
        column,
        "||",
        text,
        "<>",
        number,
        "AND",
        "lower",
        "(",
        column,
        ")",
        "IN",
        "(",
        text,
        ")",
        ")",
    ]
    other: list[str] = []
    for word in words:
        if word == column:
            other.append(draw(spellings(column)))
        else:
            other.append(word.lower() if word.isalpha() and draw(st.booleans()) else word)
        other.append(draw(GAPS))
    return " ".join(words), "".join(other), text


def normal(sql: str) -> str:
    """The canonical form."""
    return join(tokenize(sql))


@given(checks())
def test_spelling_does_not_matter(check: tuple[str, str, str]) -> None:
    """ALTER TABLE and batch mode change quotes and gaps: each such database would be reported."""
    plain, other, text = check
    assert normal(plain) == normal(other)
    assert text in normal(other)


@given(checks(), TEXTS)
def test_a_literal_matters(check: tuple[str, str, str], another: str) -> None:
    """A CHECK with other values would pass."""
    plain, _, text = check
    changed = literal(another)
    assume(changed != text)
    assert normal(plain) != normal(plain.replace(text, changed))


@given(st.text())
def test_the_canonical_form_is_stable(sql: str) -> None:
    """The form would depend on how often a text went through it."""
    assert normal(normal(sql)) == normal(sql)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1), st.booleans())
def test_any_name_is_read_as_sqlite_reads_it(name: str, strict: bool) -> None:
    """A column with an odd name would be split in two, or taken for a constraint."""
    ascii_lower = "".join(letter.lower() if letter.isascii() else letter for letter in name)
    assume(ascii_lower not in {"other", "another"})
    quoted = '"' + name.replace('"', '""') + '"'
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"CREATE TABLE t ({quoted} TEXT, [other] INT CHECK ({quoted} <> ','))" + " STRICT" * strict)
        connection.execute("ALTER TABLE t RENAME COLUMN other TO another")
        (sql,) = connection.execute("SELECT sql FROM sqlite_master").fetchone()
    assert [entry.name for entry, _ in table_entries("t", sql) if entry.kind == "column"] == [ascii_lower, "another"]


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ("a INT CONSTRAINT uq UNIQUE", "a INT, CONSTRAINT uq UNIQUE (a)"),
        ("a INT UNIQUE ON CONFLICT IGNORE", "a INT, UNIQUE (a) ON CONFLICT IGNORE"),
        ("a INT PRIMARY KEY", "a INT, CONSTRAINT pk PRIMARY KEY (a)"),
        ("a INT PRIMARY KEY DESC", "a INT, PRIMARY KEY (a DESC)"),
        ("a INTEGER PRIMARY KEY AUTOINCREMENT", "a INTEGER, PRIMARY KEY (a AUTOINCREMENT)"),
        ("a INT CONSTRAINT ck CHECK (a > 0) NOT NULL", "a INT NOT NULL, CONSTRAINT ck CHECK ((a > 0))"),
        ("a INT REFERENCES t (a) ON DELETE CASCADE", "a INT, FOREIGN KEY (a) REFERENCES t (a) ON DELETE CASCADE"),
        (
            "a INT REFERENCES t (a) ON UPDATE SET NULL ON DELETE NO ACTION MATCH FULL NOT DEFERRABLE DEFAULT 1",
            "a INT DEFAULT (1), FOREIGN KEY (a) REFERENCES t (a) ON UPDATE SET NULL",
        ),
        ("a INT DEFAULT -1 NOT NULL", "a INT CONSTRAINT nn NOT NULL DEFAULT (-1)"),
        ("a INT NULL ON CONFLICT FAIL DEFAULT +1", "a INT DEFAULT (+1)"),
        ("a INT DEFAULT CURRENT_TIMESTAMP", "a INT DEFAULT (current_timestamp)"),
        ("a DECIMAL (10, 2) COLLATE NOCASE", "a decimal(10,2) collate 'nocase'".replace("'", '"')),
        ("a INT AS (1 + b)", "a INT GENERATED ALWAYS AS (1 + b) VIRTUAL"),
        ("a, b", "a,b"),
        ("a INT, CHECK (a) UNIQUE (a)", "a INT, UNIQUE (a), CHECK (a)"),
        ('"check" INT, "unique" TEXT', "[check] INT, `unique` TEXT"),
    ],
)
def test_where_and_how_a_clause_is_written_does_not_matter(there: str, here: str) -> None:
    """A constraint that came with ADD COLUMN would be reported, although it is the same."""
    assert set(table_entries("t", f"CREATE TABLE t ({there})")) == set(
        table_entries("t", f'CREATE TABLE "T"(\n{here})')
    )


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ("a TEXT DEFAULT 'x'", "a TEXT DEFAULT 'X'"),
        ("a TEXT DEFAULT 'x y'", "a TEXT DEFAULT 'x  y'"),
        ("a TEXT DEFAULT 'null'", "a TEXT DEFAULT null"),
        ('a TEXT DEFAULT "null"', "a TEXT DEFAULT null"),
        ("a TEXT DEFAULT x'00'", "a TEXT DEFAULT '00'"),
        ("a TEXT CHECK (a <> '--')", "a TEXT CHECK (a <> '')"),
        ("a TEXT CHECK (a OR (b AND c))", "a TEXT CHECK ((a OR b) AND c)"),
        ("a TEXT CHECK ((a) OR (b))", "a TEXT CHECK (a) CHECK (b)"),
        ('"a b" TEXT', "a b TEXT"),
        ("É TEXT", "é TEXT"),
        ("a INT REFERENCES t DEFERRABLE INITIALLY DEFERRED", "a INT REFERENCES t DEFERRABLE"),
        ("a INT REFERENCES t ON DELETE SET NULL", "a INT REFERENCES t ON DELETE SET DEFAULT"),
        ("a INT NOT NULL ON CONFLICT IGNORE", "a INT NOT NULL"),
    ],
)
def test_what_is_not_the_same_reads_differently(there: str, here: str) -> None:
    """A database with the one would pass for a database with the other."""
    assert set(table_entries("t", f"CREATE TABLE t ({there})")) != set(table_entries("t", f"CREATE TABLE t ({here})"))


def test_a_damaged_definition_is_named() -> None:
    """An IndexError would not tell which table of which file is damaged."""
    with pytest.raises(MigrationError, match="integrity_check"):
        list(table_entries("t", "CREATE TABLE t (a INT"))
