"""What moves a rating besides matches: critiques, votes, learning, verified claims and red teams."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from aragora_db.engine.dialects import insert
from aragora_db.errors import ConflictError, InvalidValue
from aragora_db.models import EloHistory, EloRating
from aragora_db.rules import elo_events as rules
from aragora_db.rules.elo import INITIAL_RATING
from aragora_db.rules.elo_events import Learning
from aragora_db.sql.text import starts_with
from aragora_db.stores import checks
from aragora_db.stores.elo.changes import Changes, RatingEvent, forget, later, moved
from aragora_db.stores.paging import check_limit

__all__ = ["RatingEvent", "RatingEvents"]


class RatingEvents(Changes):
    """Events are written under a lock on the agent's rating, which is created with 1500 when there is none.

    An event that has an identity (a vote in a debate, the learning after it, a red team's session, a verification with
    an id) counts once for each agent: recorded again, by whatever process, it changes nothing and the stored result
    comes back. Aragora counts every repetition. Changes are relative: nothing that happens at the same time is lost.
    """

    def record_critique(self, agent: str, accepted: bool, *, now: datetime | None = None) -> None:
        """Count a critique of the agent's. Moves no rating, leaves no history; a call made twice counts twice.

        Source: Aragora 2.8.0, ranking/elo.py, record_critique.

        Args:
            agent: who criticised.
            accepted: whether the critique was accepted.
            now: when; the clock's time by default.

        Raises:
            InvalidValue: the name is blank or too long, or `accepted` is no bool.
        """
        name, instant = checks.key("agent", agent), checks.clock("now", now)
        more = int(checks.flag("accepted", accepted))
        self._session.flush()
        statement = insert(self._session, EloRating).values(
            agent_name=name, elo=INITIAL_RATING, critiques_total=1, critiques_accepted=more, updated_at=instant
        )
        self._session.execute(
            statement.on_conflict_do_update(
                index_elements=["agent_name"],
                set_={
                    "critiques_total": EloRating.critiques_total + 1,
                    "critiques_accepted": EloRating.critiques_accepted + more,
                    "updated_at": later(instant),
                },
            )
        )
        forget(self._session, EloRating, name)

    def record_vote(
        self, agent: str, debate_id: str, correct: bool, domain: str | None = None, *, now: datetime | None = None
    ) -> RatingEvent:
        """Count a vote, and from the fifth one on move the rating in the debate's domain.

        Votes are counted in `calibration_total` and `calibration_correct`, as Aragora does; the rule is
        `aragora_db.rules.elo_events.vote_change`. The overall rating does not move.

        Args:
            agent: who voted.
            debate_id: in which debate; one vote of an agent in a debate counts.
            correct: the vote was for what was decided.
            domain: the debate's domain; ``general`` when it has none.
            now: when; the clock's time by default.

        Raises:
            InvalidValue: a name or id is blank or too long, or `correct` is no bool. Nothing was written.
            ConflictError: this agent's vote in this debate was recorded with the other outcome.
        """
        name, instant = checks.key("agent", agent), checks.clock("now", now)
        field, right = _domain(domain), checks.flag("correct", correct)
        tag, other = (rules.vote_tag(checks.key("debate_id", debate_id), correct=each) for each in (right, not right))
        for each in (tag, other):
            checks.key("debate_id, in a tag,", each)
        self._lock(name, instant)
        before = self._recorded(name, [tag, other])
        if before is not None:
            if before.tag == other:
                raise ConflictError(
                    f"the vote of {name} in debate {debate_id} was recorded as {other.rpartition(':')[2]}; "
                    "a vote is never changed: look at it with EloStore.events"
                )
            return before
        elo, total, total_correct = self._change_rating(
            name,
            instant,
            calibration_total=EloRating.calibration_total + 1,
            calibration_correct=EloRating.calibration_correct + int(right),
        )
        change = rules.vote_change(correct=right, total=total, total_correct=total_correct)
        if change:
            self._change_domain(name, field, change)
        return self._record(name, tag, elo, change, instant, field)

    def learning(self, agent: str, window: int = rules.LEARNING_WINDOW) -> Learning:
        """How an agent's overall rating developed lately; see `aragora_db.rules.elo_events.learning`.

        From the newest entries of its history. Mended: those of votes and of learning are left out, which repeat the
        rating of the entry before and would count as debates without progress.

        Args:
            agent: the agent; one without history has insufficient data.
            window: how many entries.

        Raises:
            InvalidValue: the window is not between 1 and 10,000.
        """
        tag: Any = EloHistory.debate_id
        flat = (starts_with(tag, prefix) for prefix in (rules.VOTING_PREFIX, rules.LEARNING_PREFIX))
        newest = (
            sa.select(EloHistory.elo)
            .where(EloHistory.agent_name == agent, sa.or_(tag.is_(None), sa.not_(sa.or_(*flat))))
            .order_by(EloHistory.created_at.desc(), EloHistory.id.desc())
            .limit(check_limit(window))
        )
        return rules.learning(self._session.scalars(newest).all()[::-1])

    def record_learning(
        self, agent: str, debate_id: str, domain: str | None = None, *, now: datetime | None = None
    ) -> RatingEvent | None:
        """Reward an agent whose rating has been rising: a bonus on the rating in a domain, once for each debate.

        The bonus is `aragora_db.rules.elo_events.learning_bonus` of `learning`. The overall rating does not move.

        Args:
            agent: the agent.
            debate_id: after which debate.
            domain: the debate's domain; ``general`` when it has none.
            now: when; the clock's time by default.

        Returns:
            What it did. None, and nothing is written, when there is no bonus: the rating does not rise, or has fewer
            than five entries.

        Raises:
            InvalidValue: a name or id is blank or too long. Nothing was written.
        """
        name, instant, field = checks.key("agent", agent), checks.clock("now", now), _domain(domain)
        tags = rules.learning_tags(checks.key("debate_id", debate_id))
        for each in tags.values():
            checks.key("debate_id, in a tag,", each)
        if not self._lock(name, instant, create=False):
            return None
        before = self._recorded(name, tags.values())
        if before is not None:
            return before
        found = self.learning(name)
        bonus = rules.learning_bonus(found)
        if bonus <= 0:
            return None
        elo, _, _ = self._change_rating(name, instant)
        self._change_domain(name, field, bonus)
        return self._record(name, tags[found.category], elo, bonus, instant, field)

    def record_verification(
        self,
        agent: str,
        domain: str,
        verified: int,
        disproven: int = 0,
        event_id: str | None = None,
        *,
        now: datetime | None = None,
    ) -> RatingEvent | None:
        """Move an agent's overall rating and the one in a domain by how its claims fared in formal verification.

        Both by `aragora_db.rules.elo_events.verification_change`, and to 100 at least. Claims that cancel each other
        out are recorded too.

        Args:
            agent: who claimed.
            domain: the domain of the claims, without a colon, which separates the parts of a tag.
            verified: claims that were proven.
            disproven: claims that were disproven.
            event_id: names this verification, without a colon, and makes it count once. Without it every call counts:
                the tag, ``verification:{domain}:{v}v{d}d``, is no identity.
            now: when; the clock's time by default.

        Returns:
            What it did; None, and nothing is written, without any claim.

        Raises:
            InvalidValue: a name is blank, too long or has a colon, or a count is negative. Nothing was written.
            ConflictError: this event was recorded with other counts.
        """
        name, instant = checks.key("agent", agent), checks.clock("now", now)
        field = _without_colon("domain", domain)
        identity = None if event_id is None else _without_colon("event_id", event_id)
        change = rules.verification_change(checks.count("verified", verified), checks.count("disproven", disproven))
        tag = checks.key("domain and event_id, in a tag,", rules.verification_tag(field, verified, disproven, identity))
        if verified == disproven == 0:
            return None
        self._lock(name, instant)
        if identity is not None:
            before = self._recorded(name, prefix=tag.rpartition(":")[0] + ":")
            if before is not None:
                if before.tag != tag:
                    raise ConflictError(
                        f"verification {identity} of {name} in {field} was recorded as {before.tag}; "
                        "give another verification another event_id"
                    )
                return before
        floor = rules.VERIFICATION_FLOOR if change else None
        elo, _, _ = self._change_rating(name, instant, elo=moved(EloRating.elo, change, floor))
        if change:
            self._change_domain(name, field, change, floor)
        return self._record(name, tag, elo, change, instant, field)

    def record_redteam(
        self,
        agent: str,
        robustness: float,
        successful_attacks: int,
        total_attacks: int,
        critical_vulnerabilities: int = 0,
        session_id: str | None = None,
        *,
        now: datetime | None = None,
    ) -> RatingEvent:
        """Move an agent's overall rating by how it withstood a red team.

        By `aragora_db.rules.elo_events.redteam_change`. A session that moves nothing is recorded too, so that it cannot
        be counted later with other numbers (Aragora leaves it out).

        Args:
            agent: who was attacked.
            robustness: 0 to 1, higher is better.
            successful_attacks: attacks that succeeded.
            total_attacks: attacks tried.
            critical_vulnerabilities: how many critical ones were found.
            session_id: names the session and makes it count once; without it every call counts. A repetition with
                other numbers returns the stored result too: the history does not keep the numbers.
            now: when; the clock's time by default.

        Raises:
            InvalidValue: a name is blank or too long, a number is out of range, or more attacks succeeded than were
                tried. Nothing was written.
        """
        name, instant = checks.key("agent", agent), checks.clock("now", now)
        change = rules.redteam_change(
            checks.share("robustness", robustness),
            checks.count("successful_attacks", successful_attacks),
            checks.count("total_attacks", total_attacks),
            checks.count("critical_vulnerabilities", critical_vulnerabilities),
        )
        session = None if session_id is None else checks.key("session_id", session_id)
        tag = checks.key("session_id, in a tag,", rules.redteam_tag(session))
        self._lock(name, instant)
        before = None if session is None else self._recorded(name, [tag])
        if before is not None:
            return before
        elo, _, _ = self._change_rating(name, instant, elo=EloRating.elo + change)
        return self._record(name, tag, elo, change, instant, None)


def _domain(domain: str | None) -> str:
    return rules.DEFAULT_DOMAIN if domain is None else checks.key("domain", domain)


def _without_colon(argument: str, value: Any) -> str:
    if ":" in checks.key(argument, value):
        raise InvalidValue(f"{argument} has a colon, which separates the parts of a tag; leave it out")
    return str(value)
