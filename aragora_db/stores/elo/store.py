"""Ratings: matches, what else moves a rating, leaderboards and history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased, joinedload, selectinload

from aragora_db.engine.dialects import insert
from aragora_db.errors import ConflictError, InvalidValue
from aragora_db.models import EloDomainRating, EloHeadToHead, EloHistory, EloMatch, EloMatchParticipant, EloRating
from aragora_db.rules import elo_events as rules
from aragora_db.rules.elo_events import Learning
from aragora_db.sql.elo_match import Match, write_match
from aragora_db.sql.elo_match_bulk import write_matches
from aragora_db.sql.monotonic import later_of
from aragora_db.sql.text import starts_with
from aragora_db.stores import checks
from aragora_db.stores.base import Store
from aragora_db.stores.elo import rankings
from aragora_db.stores.elo.events import (
    add_to_history,
    after_change,
    change_domain_rating,
    change_rating,
    lock_rating,
    recorded_event,
)
from aragora_db.stores.elo.matches import (
    NewMatch,
    check_match,
    conflict,
    content,
    expire_ratings,
    stored_changes,
    stored_matches,
)
from aragora_db.stores.elo.results import EloStats, HeadToHead, HistoryEntry, Neighbours, RatingEvent, Standing
from aragora_db.stores.paging import DEFAULT_LIMIT, MAX_LIMIT, Keyset, Page, check_limit
from aragora_db.stores.rows import expire_row

__all__ = ["EloStore"]

_HISTORY = sa.select(EloHistory.id, EloHistory.agent_name, EloHistory.elo, EloHistory.debate_id, EloHistory.created_at)
_TAG: Any = EloHistory.debate_id
_NEWEST = Keyset(EloHistory.created_at.desc(), EloHistory.id.desc())

_MATCHES = sa.select(EloMatch).options(selectinload(EloMatch.participants))
_LATEST = Keyset(EloMatch.created_at.desc(), EloMatch.id.desc())
_LATEST_OF_AGENT = Keyset(EloMatchParticipant.match_id.desc())


class EloStore(Store):
    """Ratings and whatever moves them; see `Store` for its arguments.

    An event that has an identity (a match, a vote in a debate, the learning after it, a red team's session, a
    verification with an id) counts once for each agent: recorded again, by whatever process, it changes nothing and the
    stored result comes back. Aragora counts every repetition. Changes are relative: nothing that happens at the same
    time is lost. What moves a rating besides matches is written under a lock on the agent's rating, which is created at
    the initial rating if there is none.

    Lists of agents are best first, equal ones by name. A name that no column could hold (over 1,024 bytes, NUL) raises
    `InvalidValue` everywhere.
    """

    # -- matches -------------------------------------------------------------------------------------------------------

    def record_match(
        self,
        debate_id: str,
        participants: Sequence[str],
        scores: Mapping[str, float],
        domain: str | None = None,
        *,
        confidence_weight: float = 1.0,
        k_multipliers: Mapping[str, float] | None = None,
        created_at: datetime | None = None,
    ) -> dict[str, float]:
        """Record how a debate was scored, and move the participants' ratings.

        Every two participants count as one match (`aragora_db.rules.elo.pairwise_changes`); who scored strictly most
        wins, otherwise it is a draw for all. Overall ratings and, with a domain, the ratings of that domain move by
        the same change. New agents begin at the initial rating of the rules (`aragora_db.rules.installation.Rules`).

        One debate is one match: recording it again returns the stored changes and writes nothing, also when another
        process did it a moment ago. Aragora wrote ratings, history and match in three transactions with absolute
        values, which lost updates and counted retries twice (ranking/elo_matchmaking.py:93-131).

        Args:
            debate_id: the debate; unique among matches.
            participants: two or more agents, each once.
            scores: what each participant scored, 0 or more.
            domain: the field of the debate, such as ``security``.
            confidence_weight: how much this match counts; brought into 0.1 to 1.
            k_multipliers: factors on single agents' changes, such as those of `CalibrationStore.k_multipliers`; 1
                where there is none.
            created_at: when it happened; now by default.

        Returns:
            Each participant's change, in the order given.

        Raises:
            InvalidValue: fewer than two participants, a score that is missing, negative, infinite or NaN, or a name
                that nobody takes part under. Nothing was written.
            ConflictError: this debate was recorded with other participants, scores, domain, weight or multipliers.
        """
        match = check_match(
            NewMatch(debate_id, participants, scores, domain, confidence_weight, k_multipliers, created_at)
        )
        self.session.flush()
        changes = write_match(self.session, match, self.rules)
        if changes is None:
            return stored_changes(match, stored_matches(self.session, [match.debate_id])[match.debate_id])
        expire_ratings(self.session, match.participants)
        return changes

    def record_matches(self, matches: Iterable[NewMatch]) -> list[dict[str, float]]:
        """Record many matches with the result of `record_match` one by one, in order, in a few statements.

        All ratings are locked first, in name order; the changes are computed here; the rows are written in bulk. All
        or nothing: when one match is refused, none is written.

        Returns:
            The changes of each match, in the order given; the stored ones for those that were recorded before.

        Raises:
            InvalidValue: as for `record_match`.
            ConflictError: as for `record_match`; also when two of these matches contradict each other.
        """
        checked = [check_match(each) for each in matches]
        if not checked:
            return []
        self.session.flush()
        first: dict[str, Match] = {}
        for match in checked:
            earlier = first.setdefault(match.debate_id, match)
            if content(earlier) != content(match):
                raise conflict(match.debate_id)
        names = sorted({name for match in first.values() for name in match.participants})
        stored = write_matches(self.session, list(first.values()), names, self.rules)
        repeats = [debate_id for debate_id in first if debate_id not in stored]
        known = stored_matches(self.session, repeats)
        changes = stored | {debate_id: stored_changes(first[debate_id], known[debate_id]) for debate_id in repeats}
        expire_ratings(self.session, names)
        return [{name: changes[match.debate_id][name] for name in match.participants} for match in checked]

    def match(self, debate_id: str) -> EloMatch | None:
        """Return the match of a debate with its participants in order, or None."""
        return self.session.scalars(
            sa.select(EloMatch).where(EloMatch.debate_id == debate_id).options(selectinload(EloMatch.participants))
        ).one_or_none()

    # -- what else moves a rating --------------------------------------------------------------------------------------

    def record_critique(self, agent_name: str, *, accepted: bool, updated_at: datetime | None = None) -> None:
        """Count a critique of the agent's. Moves no rating, leaves no history; a call made twice counts twice.

        Source: Aragora 2.8.0, ranking/elo.py, record_critique.

        Args:
            agent_name: who criticised.
            accepted: whether the critique was accepted.
            updated_at: when; now by default. The time of a rating only moves forward.

        Raises:
            InvalidValue: the name is blank or too long, or `accepted` is no bool.
        """
        name, instant = checks.key("agent_name", agent_name), self._now(updated_at, "updated_at")
        more = int(checks.flag("accepted", accepted))
        self.session.flush()
        statement = insert(self.session, EloRating).values(
            agent_name=name,
            elo=self.rules.initial_rating,
            critiques_total=1,
            critiques_accepted=more,
            updated_at=instant,
        )
        self.session.execute(
            statement.on_conflict_do_update(
                index_elements=["agent_name"],
                set_={
                    "critiques_total": EloRating.critiques_total + 1,
                    "critiques_accepted": EloRating.critiques_accepted + more,
                    "updated_at": later_of(EloRating.updated_at, instant),
                },
            )
        )
        expire_row(self.session, EloRating, name)

    def record_vote(
        self,
        agent_name: str,
        debate_id: str,
        *,
        correct: bool,
        domain: str | None = None,
        created_at: datetime | None = None,
    ) -> RatingEvent:
        """Count a vote, and from the fifth one on move the rating in the debate's domain.

        Votes are counted in `calibration_total` and `calibration_correct`, as Aragora does; the rule is
        `aragora_db.rules.elo_events.vote_change`. The overall rating does not move.

        Args:
            agent_name: who voted.
            debate_id: in which debate; one vote of an agent in a debate counts.
            correct: the vote was for what was decided.
            domain: the debate's domain; ``general`` when it has none.
            created_at: when; now by default.

        Raises:
            InvalidValue: a name or id is blank or too long, or `correct` is no bool. Nothing was written.
            ConflictError: this agent's vote in this debate was recorded with the other outcome.
        """
        name, instant = checks.key("agent_name", agent_name), self._now(created_at, "created_at")
        field, right = _domain(domain), checks.flag("correct", correct)
        tag, other = (rules.vote_tag(checks.key("debate_id", debate_id), correct=each) for each in (right, not right))
        for each in (tag, other):
            checks.key("debate_id, in a tag,", each)
        lock_rating(self.session, name, self.rules.initial_rating, instant)
        before = recorded_event(self.session, name, [tag, other])
        if before is not None:
            if before.tag == other:
                raise ConflictError(
                    f"the vote of {name} in debate {debate_id} was recorded as {other.rpartition(':')[2]}; "
                    "a vote is never changed: look at it with EloStore.events"
                )
            return before
        elo, total, total_correct = change_rating(
            self.session,
            name,
            instant,
            calibration_total=EloRating.calibration_total + 1,
            calibration_correct=EloRating.calibration_correct + int(right),
        )
        change = rules.vote_change(correct=right, total=total, total_correct=total_correct)
        if change:
            change_domain_rating(self.session, name, field, change, self.rules.initial_rating)
        return add_to_history(self.session, name, tag, elo, change, instant, field)

    def learning(self, agent_name: str, *, window: int = rules.LEARNING_WINDOW) -> Learning:
        """Return how an agent's overall rating developed lately; see `aragora_db.rules.elo_events.learning`.

        From the newest entries of its history. Mended: those of votes and of learning are left out, which repeat the
        rating of the entry before and would count as debates without progress.

        Args:
            agent_name: the agent; one without history has insufficient data.
            window: how many entries.

        Raises:
            InvalidValue: the window is not between 1 and 10,000.
        """
        tag: Any = EloHistory.debate_id
        flat = (starts_with(tag, prefix) for prefix in (rules.VOTING_PREFIX, rules.LEARNING_PREFIX))
        newest = (
            sa.select(EloHistory.elo)
            .where(EloHistory.agent_name == agent_name, sa.or_(tag.is_(None), sa.not_(sa.or_(*flat))))
            .order_by(EloHistory.created_at.desc(), EloHistory.id.desc())
            .limit(check_limit(window))
        )
        return rules.learning(self.session.scalars(newest).all()[::-1])

    def record_learning(
        self,
        agent_name: str,
        debate_id: str,
        *,
        domain: str | None = None,
        created_at: datetime | None = None,
    ) -> RatingEvent | None:
        """Reward an agent whose rating has been rising: a bonus on the rating in a domain, once for each debate.

        The bonus is `aragora_db.rules.elo_events.learning_bonus` of `learning`. The overall rating does not move.

        Args:
            agent_name: the agent.
            debate_id: after which debate.
            domain: the debate's domain; ``general`` when it has none.
            created_at: when; now by default.

        Returns:
            What it did. None, and nothing is written, when there is no bonus: the rating does not rise, or has fewer
            than five entries.

        Raises:
            InvalidValue: a name or id is blank or too long. Nothing was written.
        """
        name, instant, field = (
            checks.key("agent_name", agent_name),
            self._now(created_at, "created_at"),
            _domain(domain),
        )
        tags = rules.learning_tags(checks.key("debate_id", debate_id))
        for each in tags.values():
            checks.key("debate_id, in a tag,", each)
        if not lock_rating(self.session, name, None, instant):
            return None
        before = recorded_event(self.session, name, tags.values())
        if before is not None:
            return before
        found = self.learning(name)
        bonus = rules.learning_bonus(found)
        if bonus <= 0:
            return None
        elo, _, _ = change_rating(self.session, name, instant)
        change_domain_rating(self.session, name, field, bonus, self.rules.initial_rating)
        return add_to_history(self.session, name, tags[found.category], elo, bonus, instant, field)

    def record_verification(
        self,
        agent_name: str,
        domain: str,
        verified: int,
        disproven: int = 0,
        *,
        event_id: str | None = None,
        created_at: datetime | None = None,
    ) -> RatingEvent | None:
        """Move an agent's overall rating and the one in a domain by how its claims fared in formal verification.

        Both by `aragora_db.rules.elo_events.verification_change`, and to 100 at least. Claims that cancel each other
        out are recorded too.

        Args:
            agent_name: who claimed.
            domain: the domain of the claims, without a colon, which separates the parts of a tag.
            verified: claims that were proven.
            disproven: claims that were disproven.
            event_id: names this verification, without a colon, and makes it count once. Without it every call counts:
                the tag, ``verification:{domain}:{v}v{d}d``, is no identity.
            created_at: when; now by default.

        Returns:
            What it did; None, and nothing is written, without any claim.

        Raises:
            InvalidValue: a name is blank, too long or has a colon, or a count is negative. Nothing was written.
            ConflictError: this event was recorded with other counts.
        """
        name, instant = checks.key("agent_name", agent_name), self._now(created_at, "created_at")
        field = _without_colon("domain", domain)
        identity = None if event_id is None else _without_colon("event_id", event_id)
        change = rules.verification_change(checks.count("verified", verified), checks.count("disproven", disproven))
        tag = checks.key("domain and event_id, in a tag,", rules.verification_tag(field, verified, disproven, identity))
        if verified == disproven == 0:
            return None
        lock_rating(self.session, name, self.rules.initial_rating, instant)
        if identity is not None:
            before = recorded_event(self.session, name, prefix=tag.rpartition(":")[0] + ":")
            if before is not None:
                if before.tag != tag:
                    raise ConflictError(
                        f"verification {identity} of {name} in {field} was recorded as {before.tag}; "
                        "give another verification another event_id"
                    )
                return before
        floor = rules.VERIFICATION_FLOOR if change else None
        elo, _, _ = change_rating(self.session, name, instant, elo=after_change(EloRating.elo, change, floor))
        if change:
            change_domain_rating(self.session, name, field, change, self.rules.initial_rating, floor=floor)
        return add_to_history(self.session, name, tag, elo, change, instant, field)

    def record_redteam(
        self,
        agent_name: str,
        robustness: float,
        successful_attacks: int,
        total_attacks: int,
        critical_vulnerabilities: int = 0,
        *,
        session_id: str | None = None,
        created_at: datetime | None = None,
    ) -> RatingEvent:
        """Move an agent's overall rating by how it withstood a red team.

        By `aragora_db.rules.elo_events.redteam_change`. A session that moves nothing is recorded too, so that it cannot
        be counted later with other numbers (Aragora leaves it out).

        Args:
            agent_name: who was attacked.
            robustness: 0 to 1, higher is better.
            successful_attacks: attacks that succeeded.
            total_attacks: attacks tried.
            critical_vulnerabilities: how many critical ones were found.
            session_id: names the session and makes it count once; without it every call counts. A repetition with
                other numbers returns the stored result too: the history does not keep the numbers.
            created_at: when; now by default.

        Raises:
            InvalidValue: a name is blank or too long, a number is out of range, or more attacks succeeded than were
                tried. Nothing was written.
        """
        name, instant = checks.key("agent_name", agent_name), self._now(created_at, "created_at")
        change = rules.redteam_change(
            checks.share("robustness", robustness),
            checks.count("successful_attacks", successful_attacks),
            checks.count("total_attacks", total_attacks),
            checks.count("critical_vulnerabilities", critical_vulnerabilities),
            k_factor=self.rules.k_factor,
        )
        session = None if session_id is None else checks.key("session_id", session_id)
        tag = checks.key("session_id, in a tag,", rules.redteam_tag(session))
        lock_rating(self.session, name, self.rules.initial_rating, instant)
        before = None if session is None else recorded_event(self.session, name, [tag])
        if before is not None:
            return before
        elo, _, _ = change_rating(self.session, name, instant, elo=EloRating.elo + change)
        return add_to_history(self.session, name, tag, elo, change, instant, None)

    # -- ratings and leaderboards --------------------------------------------------------------------------------------

    def rating(self, agent_name: str) -> EloRating | None:
        """Return an agent's rating with its domains, or None for an agent that has none yet.

        Nothing is created by a read (Aragora makes an agent up with 1500). One statement.
        """
        return self.get_ratings([agent_name]).get(agent_name)

    def get_ratings(self, agent_names: Iterable[str]) -> dict[str, EloRating]:
        """Return several agents' ratings with their domains, by name, in the order given; missing ones are left out.

        One statement.

        Args:
            agent_names: the agents, at most 10,000.

        Raises:
            InvalidValue: too many agents, or one text instead of names.
        """
        if isinstance(agent_names, str):
            raise InvalidValue("agent_names is one text; pass a list")
        names = list(dict.fromkeys(agent_names))
        if not names:
            return {}
        if len(names) > MAX_LIMIT:
            raise InvalidValue(f"agent_names holds {len(names)} names; ask for at most {MAX_LIMIT} at a time")
        statement = sa.select(EloRating).where(EloRating.agent_name.in_(names))
        # Matches and events change ratings past the session's objects.
        statement = statement.options(joinedload(EloRating.domain_ratings)).execution_options(populate_existing=True)
        found = {rating.agent_name: rating for rating in self.session.scalars(statement).unique()}
        return {name: found[name] for name in names if name in found}

    def leaderboard(self, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[Standing]:
        """Return agents by overall rating, best first, equal ones by name.

        Args:
            limit: agents per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or the token is none of this listing.
        """
        return self._page(
            rankings.OVERALL,
            rankings.STANDINGS,
            limit=limit,
            after=after,
            read=rankings.standing_of,
            key=rankings.key_of,
        )

    def domain_leaderboard(
        self, domain: str, *, limit: int = DEFAULT_LIMIT, after: str | None = None
    ) -> Page[Standing]:
        """Return agents by their rating in one domain, best first, equal ones by name.

        Only agents that were rated in it. Aragora lists all, with the overall rating for those without one in the
        domain (ranking/leaderboard_engine.py:111), which ranks agents by debates about something else.

        Args:
            domain: the domain.
            limit: agents per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: as for `leaderboard`.
        """
        return self._page(
            rankings.IN_DOMAIN,
            rankings.DOMAIN_STANDINGS.where(EloDomainRating.domain == domain),
            limit=limit,
            after=after,
            read=rankings.standing_of,
            key=rankings.key_of,
        )

    def rank(self, agent_name: str) -> int | None:
        """Return an agent's place on the leaderboard, from 1; None for an agent without a rating.

        Counts those before it in an index: the cost grows with the rank. Two statements.
        """
        elo = self.session.scalar(rankings.OWN_ELO, {"agent_name": agent_name})
        if elo is None:
            return None
        return self.session.scalar(rankings.RANK, {"agent_name": agent_name, "elo": elo})

    def neighbours(self, agent_name: str, *, above: int = 3, below: int = 3) -> Neighbours | None:
        """Return the agents next to one on the leaderboard; None for an agent without a rating.

        Two short ranges of an index, at any rank.

        Args:
            agent_name: the agent.
            above: how many of those before it.
            below: how many of those after it.

        Raises:
            InvalidValue: a number is negative, or more than 10,000.
        """
        for argument, number in (("above", above), ("below", below)):
            if checks.count(argument, number) > MAX_LIMIT:
                raise InvalidValue(f"{argument} is {number}; ask for at most {MAX_LIMIT} agents")
        values = {"agent_name": agent_name, "above": above, "own_and_below": below + 1}
        rows = self.session.execute(rankings.NEIGHBOURS, values)
        standings = sorted(map(rankings.standing_of, rows), key=lambda standing: (-standing.elo, standing.agent_name))
        for place, standing in enumerate(standings):
            if standing.agent_name == agent_name:
                return Neighbours(tuple(standings[:place]), standing, tuple(standings[place + 1 :]))
        return None

    def stats(self) -> EloStats:
        """Return how many agents and matches there are, and how the ratings spread. Reads every rating."""
        return EloStats(*self.session.execute(rankings.STATS).one())

    # -- what happened -------------------------------------------------------------------------------------------------

    def history(self, agent_name: str, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> Page[HistoryEntry]:
        """Return an agent's overall rating over time, newest first, entries of one instant by id.

        Args:
            agent_name: the agent.
            limit: entries per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the limit is out of range, or the token is none of this listing.
        """
        return self._entries(_HISTORY.where(EloHistory.agent_name == agent_name), limit, after)

    def events(
        self,
        prefix: str,
        *,
        agent_name: str | None = None,
        limit: int = DEFAULT_LIMIT,
        after: str | None = None,
    ) -> Page[HistoryEntry]:
        """Return entries of the history whose tag begins with a text, newest first.

        An index finds them; those of an agent come from the agent's own history.

        Args:
            prefix: such as ``verification:``; `aragora_db.rules.elo_events` has one for each kind of event. Case
                counts, and no character is a wildcard.
            agent_name: only this agent's.
            limit: entries per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: the prefix is blank, the limit out of range, or the token none of this listing.
        """
        statement = _HISTORY.where(starts_with(_TAG, checks.name("prefix", prefix)))
        if agent_name is not None:
            statement = statement.where(EloHistory.agent_name == agent_name)
        return self._entries(statement, limit, after)

    def head_to_head(self, agent_name: str, other_name: str) -> HeadToHead:
        """Return how an agent fared against another one; all zero when they never met.

        One row by its key, however many matches there are. Names are exact: Aragora searches the participants as text
        and finds gpt-4 in the matches of gpt-4o, and it counts the wins of third agents as draws
        (ranking/leaderboard_engine.py).

        Args:
            agent_name: whose wins are wins.
            other_name: the other one.

        Raises:
            InvalidValue: both are the same agent.
        """
        first, second = _two(agent_name, other_name)
        a_wins, b_wins = EloHeadToHead.a_wins, EloHeadToHead.b_wins
        wins, losses = (a_wins, b_wins) if agent_name == first else (b_wins, a_wins)
        row = self.session.execute(
            sa.select(EloHeadToHead.matches, wins, losses, EloHeadToHead.draws).where(
                EloHeadToHead.agent_a == first, EloHeadToHead.agent_b == second
            )
        ).one_or_none()
        return HeadToHead(0, 0, 0, 0) if row is None else HeadToHead(*row)

    def head_to_head_matches(
        self, agent_name: str, other_name: str, *, limit: int = DEFAULT_LIMIT, after: str | None = None
    ) -> Page[EloMatch]:
        """Return the matches in which two agents met, latest recorded first, with all participants.

        Goes through the first agent's matches in an index: name the one with fewer matches first.

        Args:
            agent_name: one of them.
            other_name: the other one.
            limit: matches per page.
            after: ``next`` of the page before.

        Raises:
            InvalidValue: both are the same agent, the limit is out of range, or the token is none of this listing.
        """
        _two(agent_name, other_name)
        opponent = aliased(EloMatchParticipant)
        met = sa.and_(opponent.match_id == EloMatchParticipant.match_id, opponent.agent_name == other_name)
        return self._of_agent(_MATCHES.join(EloMatch.participants).join(opponent, met), agent_name, limit, after)

    def recent_matches(
        self,
        *,
        domain: str | None = None,
        agent_name: str | None = None,
        limit: int = DEFAULT_LIMIT,
        after: str | None = None,
    ) -> Page[EloMatch]:
        """Return matches, latest first, with their participants: two statements for any number of matches.

        Args:
            domain: only matches of this domain.
            agent_name: only matches in which this agent took part. These come in the order in which they were recorded,
                latest first, which an index has; all others by `created_at`, which a caller may have set.
            limit: matches per page.
            after: ``next`` of the page before, asked with the same domain and agent.

        Raises:
            InvalidValue: the limit is out of range, or the token is none of this listing.
        """
        statement = _MATCHES if domain is None else _MATCHES.where(EloMatch.domain == domain)
        if agent_name is not None:
            return self._of_agent(statement.join(EloMatch.participants), agent_name, limit, after)
        return self._page(
            _LATEST,
            statement,
            limit=limit,
            after=after,
            read=_match,
            key=lambda match: (match.created_at, match.id),
        )

    def _of_agent(self, statement: Any, agent_name: str, limit: int, after: str | None) -> Page[EloMatch]:
        return self._page(
            _LATEST_OF_AGENT,
            statement.where(EloMatchParticipant.agent_name == agent_name),
            limit=limit,
            after=after,
            read=_match,
            key=lambda match: (match.id,),
        )

    def _entries(self, statement: Any, limit: int, after: str | None) -> Page[HistoryEntry]:
        return self._page(
            _NEWEST,
            statement,
            limit=limit,
            after=after,
            read=lambda row: HistoryEntry(*row),
            key=lambda entry: (entry.created_at, entry.id),
        )


def _domain(domain: str | None) -> str:
    return rules.DEFAULT_DOMAIN if domain is None else checks.key("domain", domain)


def _without_colon(argument: str, value: Any) -> str:
    if ":" in checks.key(argument, value):
        raise InvalidValue(f"{argument} has a colon, which separates the parts of a tag; leave it out")
    return str(value)


def _match(row: Any) -> EloMatch:
    match: EloMatch = row[0]
    return match


def _two(agent_name: str, other_name: str) -> tuple[str, str]:
    """Return both names as pairs are stored, the smaller one first."""
    if checks.key("agent_name", agent_name) == checks.key("other_name", other_name):
        raise InvalidValue(f"agent_name and other_name are both {agent_name!r}; name two agents")
    return min(agent_name, other_name), max(agent_name, other_name)
