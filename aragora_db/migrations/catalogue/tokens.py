"""SQLite's words: the DDL text that SQLite keeps, cut into tokens and joined again in one canonical form.

SQLite stores a definition as it was typed, and ALTER TABLE and Alembic's batch mode change quotes and white space.
The rules are those of https://www.sqlite.org/lang_keywords.html and of SQLite's own ``tokenize.c``: only ASCII letters
have two cases, every character above ASCII may be part of a name.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Cursor", "Token", "bare", "closing", "fold", "join", "plain", "tokenize"]

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


def closing(tokens: Sequence[Token], start: int) -> int:
    """Where the parenthesis opened at ``start`` is closed; -1 when it never is."""
    depth = 0
    for position in range(start, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[position].text, 0)
        if depth == 0:
            return position
    return -1


def bare(tokens: list[Token]) -> list[Token]:
    """An expression without parentheses around the whole of it."""
    while tokens and tokens[0].text == "(" and closing(tokens, 0) == len(tokens) - 1:
        tokens = tokens[1:-1]
    return tokens


class Cursor:
    """A place in a list of tokens."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._position = 0

    def __bool__(self) -> bool:
        return self._position < len(self._tokens)

    def at(self, *words: str) -> bool:
        """Whether the next token is one of these keywords or signs."""
        return bool(self) and self._tokens[self._position].is_word(*words)

    def take(self, count: int = 1) -> list[Token]:
        """The next tokens, fewer at the end."""
        start, self._position = self._position, self._position + count
        return list(self._tokens[start : self._position])

    def take_if(self, *words: str) -> list[Token]:
        """The next token when it is one of these, else nothing."""
        return self.take() if self.at(*words) else []

    def take_term(self) -> list[Token]:
        """The next token, or everything up to its partner when it opens a parenthesis."""
        if not self.at("("):
            return self.take()
        return self.take(closing(self._tokens, self._position) - self._position + 1)

    def take_group(self) -> list[Token]:
        """What stands in parentheses next, with them; nothing when no parenthesis opens here."""
        return self.take_term() if self.at("(") else []
