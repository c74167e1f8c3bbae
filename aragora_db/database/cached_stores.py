"""Leaderboards and personas through the shared cache: one round trip to Redis instead of a query.

After a commit that wrote to their tables every instance computes anew; an answer is never older than ARAGORA_CACHE_TTL,
whatever is lost on the way. Without Redis, or while it is away, each call asks the database. Async code calls them
through ``asyncio.to_thread``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from aragora_db import __version__
from aragora_db.database import Database
from aragora_db.models import Persona
from aragora_db.stores import EloStore, Page, PersonaStore
from aragora_db.stores.elo import Standing
from aragora_db.stores.paging import DEFAULT_LIMIT, check_limit

__all__ = ["CachedElo", "CachedPersonas", "PersonaCard"]

T = TypeVar("T")

LEADERBOARD, PERSONAS = "leaderboard", "personas"


class CachedElo:
    """`EloStore`'s leaderboards, cached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def leaderboard(self, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[Standing]:
        """Return what `EloStore.leaderboard` returns.

        Raises:
            InvalidValue: an argument out of range.
            DatabaseError: it was not cached, and the database cannot be asked.
        """
        return self._page(
            ("overall", check_limit(limit), after), lambda store: store.leaderboard(limit=limit, after=after)
        )

    def domain_leaderboard(
        self, domain: str, *, limit: int = DEFAULT_LIMIT, after: str | None = None
    ) -> Page[Standing]:
        """Return what `EloStore.domain_leaderboard` returns.

        Raises:
            InvalidValue: an argument out of range.
            DatabaseError: it was not cached, and the database cannot be asked.
        """
        key = ("domain", domain, check_limit(limit), after)
        return self._page(key, lambda store: store.domain_leaderboard(domain, limit=limit, after=after))

    def _page(self, key: tuple[Any, ...], ask: Callable[[EloStore], Page[Standing]]) -> Page[Standing]:
        def load() -> Any:
            page = _read(self._database, lambda session: ask(EloStore(session)))
            return {"items": [list(standing) for standing in page.items], "next": page.next}

        found = self._database.shared.cache.get_or_load(LEADERBOARD, _key(*key), load)
        return Page(tuple(Standing(*line) for line in found["items"]), found["next"])


@dataclass(frozen=True)
class PersonaCard:
    """A persona as it was when it was cached: no ORM object, so nobody can take a change of it for a write."""

    agent_name: str
    description: str | None
    traits: list[Any] | None
    expertise: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime


class CachedPersonas:
    """`PersonaStore`'s reads, cached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, agent_name: str) -> PersonaCard | None:
        """As `PersonaStore.get`; that there is none is cached as well.

        Raises:
            InvalidValue: no usable name.
            DatabaseError: it was not cached, and the database cannot be asked.
        """

        def load() -> Any:
            persona = _read(self._database, lambda session: PersonaStore(session).get(agent_name))
            return None if persona is None else _as_json(persona)

        found = self._database.shared.cache.get_or_load(PERSONAS, _key("one", agent_name), load)
        return None if found is None else _card(found)

    def list(self, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[PersonaCard]:
        """As `PersonaStore.list`.

        Raises:
            InvalidValue: an argument out of range.
            DatabaseError: it was not cached, and the database cannot be asked.
        """

        def load() -> Any:
            page = _read(self._database, lambda session: PersonaStore(session).list(limit=limit, after=after))
            return {"items": [_as_json(persona) for persona in page.items], "next": page.next}

        found = self._database.shared.cache.get_or_load(PERSONAS, _key("list", check_limit(limit), after), load)
        return Page(tuple(_card(each) for each in found["items"]), found["next"])


def _key(*parts: Any) -> str:
    """One version's answers are its own: another one may have other fields, and both run while a deployment rolls."""
    return json.dumps([__version__, *parts])


def _read(database: Database, work: Callable[[Session], T]) -> T:
    """From the primary: what a replica has not replayed yet must not be cached under the newest version."""
    return database.transact(work, read_only=True, primary=True)


def _as_json(persona: Persona) -> dict[str, Any]:
    card = PersonaCard(**{name: getattr(persona, name) for name in PersonaCard.__dataclass_fields__})
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(card).items()}


def _card(found: dict[str, Any]) -> PersonaCard:
    times: dict[str, Any] = {name: datetime.fromisoformat(found[name]) for name in ("created_at", "updated_at")}
    return PersonaCard(**{**found, **times})
