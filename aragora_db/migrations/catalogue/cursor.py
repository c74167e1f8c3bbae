"""Walking over tokens, with parentheses kept together."""

from __future__ import annotations

from collections.abc import Sequence

from aragora_db.migrations.catalogue.tokens import Token

__all__ = ["Cursor", "bare", "closing"]


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
