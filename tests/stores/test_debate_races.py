"""Debates created, completed and judged by several at the same time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session
from support import HANG_SECONDS

from aragora_db import Database
from aragora_db.errors import ConflictError
from aragora_db.models import Critique, Debate, DebateKeywords
from aragora_db.stores import DebateStore
from aragora_db.stores.debates import NewCritique, NewDebate, NewResult

pytestmark = pytest.mark.slow

Race = Callable[[Sequence[Callable[[Session], Any]]], list[Any]]

DAY = datetime(2026, 1, 15, 12, tzinfo=UTC)
BASE = "cache-ratings-2026-01-15"


def create(session: Session) -> Debate:
    """One more debate of one task."""
    return DebateStore(session).create(NewDebate("Cache the ratings", ["ada", "bob"], {}), created_at=DAY)


def test_numbers_without_gaps(plain_database: Database, race: Race):
    """Two that count at once took one number in Aragora, and the second failed. Here all are served, none twice."""

    def several(session: Session) -> list[str]:
        return [create(session).slug for _ in range(3)]

    slugs = [slug for given in race([several] * 8) for slug in given]
    assert sorted(slugs) == sorted([BASE, *(f"{BASE}-{number}" for number in range(2, 25))])
    count = sa.select(sa.func.count()).select_from(DebateKeywords)
    assert plain_database.transact(lambda session: session.scalar(count)) == 24


def test_one_id_and_different_debates(plain_database: Database, race: Race):
    """Two workers that made up one id: the first is kept whole, the other learns of it."""
    plain_database.transact(lambda session: create(session).id)  # so that all need a number

    def attempt(artifact: int) -> Callable[[Session], Any]:
        def work(session: Session) -> Any:
            try:
                return (
                    DebateStore(session)
                    .create(NewDebate("Cache the ratings", ["ada"], {"artifact": artifact}, id="same"), created_at=DAY)
                    .artifact_json
                )
            except ConflictError:
                return None

        return work

    ended = race([attempt(number % 2) for number in range(8)])
    stored = plain_database.transact(lambda session: DebateStore(session).get("same").artifact_json)
    assert [each for each in ended if each is not None] == [stored] * 4
    assert plain_database.transact(lambda session: DebateStore(session).stats().debates) == 2


def test_a_writer_without_the_lock(plain_database: Database):
    """An import writes slugs as they are; a debate that is created meanwhile takes the next number."""
    plain_database.transact(lambda session: create(session).id)
    written, taken = Event(), []

    def by_hand(session: Session) -> None:
        session.add(Debate(id="imported", slug=f"{BASE}-2", task="t", agents=[], artifact_json={}))
        session.flush()
        written.set()
        waiter.join(0.2)  # the other waits for this transaction, so this ends by its timeout

    def wait_and_create() -> None:
        assert written.wait(HANG_SECONDS)
        taken.append(plain_database.transact(lambda session: create(session).slug))

    waiter = Thread(target=wait_and_create)
    waiter.start()
    plain_database.transact(by_hand)
    waiter.join(HANG_SECONDS)
    assert not waiter.is_alive()
    assert taken == [f"{BASE}-3"]


def test_tasks_in_opposite_orders(race: Race):
    """Batches lock the same slugs in different orders: a deadlock is tried again, and nobody sees it."""
    tasks = ["alpha", "beta", "gamma"]

    def batch(order: Sequence[str]) -> Callable[[Session], list[str]]:
        return lambda session: [
            DebateStore(session).create(NewDebate(task, ["a"], {}), created_at=DAY).slug for task in order
        ]

    given = race([batch(tasks if number % 2 else tasks[::-1]) for number in range(4)])
    assert len({slug for slugs in given for slug in slugs}) == 12


def test_views_and_changes_at_once(plain_database: Database, race: Race):
    """Neither a view nor a change of another field may be written over."""
    debate = plain_database.transact(create)

    def change(number: int) -> Callable[[Session], Any]:
        changes = ({"confidence": 0.5}, {"audio_path": "a.mp3"}, {"consensus_reached": True}, {"is_public": True})
        return lambda session: DebateStore(session).update(debate.id, **changes[number]) and None

    def view(session: Session) -> None:
        DebateStore(session).view(debate.slug)

    race([*(change(number) for number in range(4)), *[view] * 6])
    stored = plain_database.transact(lambda session: DebateStore(session).get(debate.id))
    assert (stored.view_count, stored.confidence, stored.audio_path) == (6, 0.5, "a.mp3")
    assert (stored.consensus_reached, stored.is_public) == (True, True)


def test_results_and_judgements(plain_database: Database, race: Race):
    """Of two opinions about a critique one is kept, and its prediction error is that opinion's."""

    def record(answer: str) -> Callable[[Session], bool]:
        def work(session: Session) -> bool:
            said = [NewCritique("ada", "bob", [answer], severity=3), NewCritique("bob", "ada")]
            try:
                DebateStore(session).record_result(NewResult("d", "t", answer, critiques=said))
            except ConflictError:
                return False
            return True

        return work

    assert sorted(race([record("yes" if number % 2 else "no") for number in range(6)])) == [False] * 3 + [True] * 3
    result = plain_database.transact(lambda session: DebateStore(session).result("d"))
    critiques = plain_database.transact(lambda session: DebateStore(session).critiques("d")).items
    assert [each.issues for each in critiques] == [[result.final_answer], []]

    def judge(usefulness: float) -> Callable[[Session], float | None]:
        def work(session: Session) -> float | None:
            store = DebateStore(session)
            try:
                judged = store.judge_critique(critiques[0].id, led_to_improvement=True, actual_usefulness=usefulness)
            except ConflictError:
                return None
            return judged.actual_usefulness

        return work

    kept = {each for each in race([judge(number / 4) for number in range(5)]) if each is not None}
    stored = plain_database.transact(lambda session: session.get(Critique, critiques[0].id))
    assert kept == {stored.actual_usefulness}
    assert stored.prediction_error == pytest.approx(abs(0.5 - stored.actual_usefulness))
