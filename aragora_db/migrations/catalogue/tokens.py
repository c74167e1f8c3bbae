"""SQLite's words: the DDL text that SQLite keeps, cut into tokens and joined again in one canonical form.

SQLite stores a definition as it was typed, and ALTER TABLE and Alembic's batch mode change quotes and white space.
The rules are those of https://www.sqlite.org/lang_keywords.html and of SQLite's own ``tokenize.c``: only ASCII letters
have two cases, every character above ASCII may be part of a name.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["Token", "fold", "join", "plain", "tokenize"]

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)

_TOKEN = re.compile(
    r"""
      (?P<gap>[ \t\n\f\r]+ | --[^\n]* | /\*.*?(?:\*/|\Z))
    | (?P<string>'(?:[^']|'')*')
    | (?P<name>"(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\])
    | (?P<blob>[xX]'[0-9a-fA-F]*')
    | (?P<number>0[xX][0-9a-fA-F]+ | (?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<word>[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*)
    | (?P<sign>->>|->|\|\||<<|>>|<=|>=|<>|!=|==|.)
    """,
    re.VERBOSE | re.DOTALL,
)

_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_$]*")

# Without quotes these are values, so a name spelled like one keeps its quotes.
_VALUES = frozenset({"null", "true", "false", "current_date", "current_time", "current_timestamp"})


@dataclass(frozen=True, slots=True)
class Token:
    """One token in canonical spelling; ``quoted`` tells a name in quotes from a keyword, whatever it looks like."""

    text: str
    quoted: bool = False

    def is_word(self, *words: str) -> bool:
        """Whether this is one of these keywords or signs (lower case)."""
        return not self.quoted and self.text in words


def fold(name: str) -> str:
    """A name in the one case that SQLite compares names in."""
    return name.translate(_LOWER)


def plain(name: str) -> str:
    """A name in canonical spelling without its quotes."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _name(quoted: str) -> str:
    close = quoted[-1]
    inner = quoted[1:-1]
    if close != "]":
        inner = inner.replace(close * 2, close)
    inner = fold(inner)
    if _PLAIN_NAME.fullmatch(inner) and inner not in _VALUES:
        return inner
    return '"' + inner.replace('"', '""') + '"'


def tokenize(sql: str) -> Iterator[Token]:
    """Cut SQL into tokens: no white space, no comments, one quoting, lower case outside string literals."""
    for match in _TOKEN.finditer(sql):
        text = match.group()
        match match.lastgroup:
            case "gap":
                pass
            case "string":
                yield Token(text)
            case "name":
                yield Token(_name(text), quoted=True)
            case _:
                yield Token(fold(text))


def join(tokens: Iterable[Token]) -> str:
    """Write tokens as one line. Equal lines come from equal tokens only."""
    line = ""
    previous = "("
    for token in tokens:
        tight = previous in {"(", "."} or token.text in {")", ",", "."}
        line += token.text if tight else " " + token.text
        previous = token.text
    return line
