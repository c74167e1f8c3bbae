"""Personas: who the agents are, and how their expertise follows from what they do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from aragora_db.engine.dialects import insert
from aragora_db.errors import InvalidValue
from aragora_db.models import Persona, PersonaPerformance
from aragora_db.models.base import utcnow
from aragora_db.rules import personas as rules
from aragora_db.rules.personas import DomainRecord
from aragora_db.sql import json_object
from aragora_db.stores import checks
from aragora_db.stores.base import Store
from aragora_db.stores.paging import DEFAULT_LIMIT, Keyset, Page
from aragora_db.stores.rows import check_rows

__all__ = ["DomainRecord", "Expertise", "PersonaStore"]

_BY_NAME = Keyset(Persona.agent_name)
_NEWEST = Keyset(PersonaPerformance.created_at.desc(), PersonaPerformance.id.desc())
_FRESH = {"populate_existing": True}


class Expertise(NamedTuple):
    """How good an agent is in a domain, 0 to 1."""

    agent_name: str
    domain: str
    expertise: float


class PersonaStore(Store):
    """Who the agents are, and what they are good at; see `Store` for its arguments."""

    def upsert(
        self,
        agent_name: str,
        *,
        description: str | None = None,
        traits: Iterable[str] | None = None,
        expertise: Mapping[str, float] | None = None,
        updated_at: datetime | None = None,
    ) -> Persona:
        """Create a persona, or change the fields that are given; the others stay as they are.

        Every trait and domain with a name is accepted. Aragora 2.8.0 (agents/personas/core.py) drops those that are
        not in its two lists, and says nothing; it also sets what is not given to empty, and brings an expertise into
        0 to 1 in silence.

        Args:
            agent_name: the agent.
            description: its role in a sentence or two; None keeps it, empty for a new one.
            traits: names, each once; they replace the ones before. None keeps them.
            expertise: 0 to 1 by domain; it replaces the one before, all domains of it. None keeps it.
            updated_at: the time of this change, and of the creation of a new persona; None means now.

        Returns:
            The persona as it is stored now.

        Raises:
            InvalidValue: an argument is out of range; nothing is written.
        """
        updated_at = self._now(updated_at, "updated_at")
        given: dict[str, Any] = {}
        if description is not None:
            given["description"] = description
        if traits is not None:
            given["traits"] = checks.names("traits", traits)
        if expertise is not None:
            given["expertise"] = {
                checks.key("expertise", domain): checks.share(f"expertise[{domain!r}]", value)
                for domain, value in expertise.items()
            }
        statement = insert(self.session, Persona).values(
            **_new(checks.key("agent_name", agent_name), updated_at) | given
        )
        changed = [*given, "updated_at"] if given else ["agent_name"]
        statement = statement.on_conflict_do_update(
            index_elements=[Persona.agent_name], set_={name: statement.excluded[name] for name in changed}
        )
        return self.session.execute(statement.returning(Persona), execution_options=_FRESH).scalar_one()

    def get(self, agent_name: str) -> Persona | None:
        """Return the persona of an agent, or None."""
        return self._get(Persona, agent_name)

    def get_many(self, agent_names: Iterable[str]) -> dict[str, Persona]:
        """Return several personas by name, in the order asked for; those that do not exist are left out.

        Raises:
            InvalidValue: more than 10,000 names, or one text instead of names.
        """
        return self._get_many(Persona, "agent_names", agent_names)

    def list(self, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[Persona]:
        """Return personas by name.

        Args:
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or ``after`` is no token of this listing.
        """
        return self._page(_BY_NAME, sa.select(Persona).execution_options(**_FRESH), limit=limit, after=after)

    def record_performance(
        self,
        agent_name: str,
        domain: str,
        *,
        success: bool,
        debate_id: str | None = None,
        action: str | None = None,
        created_at: datetime | None = None,
    ) -> float:
        """Record that an agent succeeded or failed in a domain, and move its expertise there.

        The expertise becomes 0.7 times the score of the last 50 judged actions in this domain and 0.3 times what it
        was (`aragora_db.rules.personas`). Every call counts: call it once per action, in the transaction that records
        the debate. Agents of one transaction are best recorded in name order, so that none waits for the other.

        Aragora 2.8.0 (agents/personas/core.py:287-329) reads and writes the expertise without a lock, which loses
        updates, creates missing personas without description and traits, and leaves the order within a second open.

        Args:
            agent_name: the agent; its persona is created when there is none.
            domain: the domain.
            success: whether it succeeded.
            debate_id: the debate it happened in.
            action: what it did, such as ``critique``.
            created_at: the time of the action; None means now, read once the persona is locked.

        Returns:
            The agent's expertise in this domain, 0 to 1.

        Raises:
            InvalidValue: an argument is out of range; nothing is written.
        """
        row: dict[str, Any] = {
            "agent_name": checks.key("agent_name", agent_name),
            "domain": checks.key("domain", domain),
            "debate_id": None if debate_id is None else checks.key("debate_id", debate_id),
            "action": action,
            "success": success,
        }
        if row["success"] is None:
            raise InvalidValue("success is None; it must be True or False")
        check_rows(self.session, PersonaPerformance, [row, {} if created_at is None else {"created_at": created_at}])
        persona = self._locked(agent_name, created_at)
        # Read behind the lock: the order of times is then the order in which transactions came through here.
        created_at = created_at or utcnow()
        self.session.execute(sa.insert(PersonaPerformance), [row | {"created_at": created_at}])
        successes = self.session.scalars(
            sa.select(PersonaPerformance.success)
            .where(PersonaPerformance.agent_name == agent_name, PersonaPerformance.domain == domain)
            .where(PersonaPerformance.success.is_not(None))
            .order_by(PersonaPerformance.created_at.desc(), PersonaPerformance.id.desc())
            .limit(rules.WINDOW)
        )
        # An old row can hold any JSON value; of one that is no object nothing can be kept.
        stored: Any = persona.expertise if isinstance(persona.expertise, dict) else {}
        before = rules.numbers(stored).get(domain, rules.INITIAL_EXPERTISE)
        expertise = rules.blended(rules.recent_score([bool(each) for each in successes]), before)
        persona.expertise = {**stored, domain: expertise}
        persona.updated_at = created_at
        self.session.flush()
        return expertise

    def history(
        self, agent_name: str, *, domain: str | None = None, limit: int = DEFAULT_LIMIT, after: str | None = None
    ) -> Page[PersonaPerformance]:
        """Return what an agent did, newest first.

        Args:
            agent_name: the agent.
            domain: only in this domain.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or ``after`` is no token of this listing.
        """
        statement = sa.select(PersonaPerformance).where(PersonaPerformance.agent_name == agent_name)
        if domain is not None:
            statement = statement.where(PersonaPerformance.domain == domain)
        return self._page(_NEWEST, statement, limit=limit, after=after)

    def expertise(self, agent_name: str) -> tuple[Expertise, ...]:
        """Return an agent's expertise by domain, best first, then by domain; empty for an agent without a persona.

        It is no page: one persona holds all of them in one JSON value.
        """
        stored = self.session.scalar(sa.select(Persona.expertise).where(Persona.agent_name == agent_name))
        return tuple(Expertise(agent_name, *each) for each in rules.ranked(stored))

    def ranking(self, domain: str, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[Expertise]:
        """Return agents by their expertise in a domain, best first, then by name; only those that have one.

        No index serves this: each page reads every persona, one row per agent.

        Args:
            domain: the domain.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: an argument is out of range, or ``after`` is no token of this listing.
        """
        expertise = json_object.number(Persona.expertise, checks.key("domain", domain))
        return self._page(
            Keyset(expertise.desc(), Persona.agent_name),
            sa.select(Persona.agent_name, expertise).where(expertise.is_not(None)),
            limit=limit,
            after=after,
            read=lambda row: Expertise(row[0], domain, row[1]),
            key=lambda each: (each.expertise, each.agent_name),
        )

    def domain_records(
        self, agent_name: str, *, limit: int = DEFAULT_LIMIT, after: str | None = None
    ) -> Page[DomainRecord]:
        """Return what an agent did in each domain, most actions first, then by domain.

        Actions without a domain, which old rows have, are left out. Actions that nobody judged are counted apart.

        Args:
            agent_name: the agent.
            limit: rows per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or ``after`` is no token of this listing.
        """
        records = (
            sa.select(PersonaPerformance.domain, *_counted())
            .where(PersonaPerformance.agent_name == agent_name, PersonaPerformance.domain.is_not(None))
            .group_by(PersonaPerformance.domain)
            .subquery()
        )
        return self._page(
            Keyset(records.c.actions.desc(), records.c.domain),
            sa.select(records),
            limit=limit,
            after=after,
            read=lambda row: DomainRecord(*row),
            key=lambda each: (each.actions, each.domain),
        )

    def infer_traits(self, agent_name: str) -> tuple[str, ...]:
        """Return the traits that an agent's record shows (`aragora_db.rules.personas.inferred_traits`)."""
        domains = sa.func.count(PersonaPerformance.domain.distinct())
        statement = sa.select(*_counted(), domains).where(PersonaPerformance.agent_name == agent_name)
        return tuple(rules.inferred_traits(rules.Record(*self.session.execute(statement).one())))

    def _locked(self, agent_name: str, created_at: datetime | None) -> Persona:
        """Lock the persona until the transaction ends, creating it if there is none, and return it."""
        persona = self._lock(Persona, [agent_name]).get(agent_name)
        if persona is None:
            created = insert(self.session, Persona).values(**_new(agent_name, created_at or utcnow()))
            self.session.execute(created.on_conflict_do_nothing())
            persona = self._lock(Persona, [agent_name])[agent_name]
        return persona


def _new(agent_name: str, created_at: datetime) -> dict[str, Any]:
    return {
        "agent_name": agent_name,
        "description": "",
        "traits": [],
        "expertise": {},
        "created_at": created_at,
        "updated_at": created_at,
    }


def _counted() -> tuple[Any, Any, Any]:
    """Actions, judged ones, successes."""
    success: Any = PersonaPerformance.success
    return (
        sa.func.count().label("actions"),
        sa.func.count(success).label("judged"),
        sa.func.count(sa.case((success, 1))).label("successes"),
    )
