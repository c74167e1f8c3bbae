"""A confined DebateStore answers as if the other organisation did not exist. A failure here shows its data."""

from __future__ import annotations

import base64
import inspect
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session
from support import HANG_SECONDS

from aragora_db import Database
from aragora_db.errors import AragoraDBError, ConflictError, InvalidValue, NotFoundError
from aragora_db.models import Base, Critique, Debate, DebateKeywords, DebateResult
from aragora_db.stores import DebateStore, Page
from aragora_db.stores.debates import NewCritique, NewDebate, NewResult
from aragora_db.testing.engines import EngineDatabase

DAY = datetime(2026, 1, 15, 12, tzinfo=UTC)
MINE, OTHER = "acme", "rival"
TASK = "Cache the ratings"
# In every text of the other organisation, its ids and agents included.
HUSH = "hush"
THEIR_AGENT = f"{HUSH}-agent"
TABLES = (Debate, DebateKeywords, DebateResult, Critique)


@dataclass(frozen=True)
class Theirs:
    """What identifies the rows of an organisation."""

    ids: tuple[str, ...]
    slugs: tuple[str, ...]
    critiques: tuple[int, ...]
    token: str


def fill(session: Session, org_id: str, prefix: str, agent: str) -> Theirs:
    """Record three debates with results and critiques; two of them have tasks that the other organisation has too."""
    store = DebateStore(session)
    tasks = (TASK, f"{TASK} {prefix}", TASK)
    made = [
        store.create(
            NewDebate(task, [agent], {"text": prefix}, f"{prefix}-{place}", org_id, confidence=0.5, is_public=True),
            created_at=DAY + timedelta(seconds=place),
        )
        for place, task in enumerate(tasks)
    ]
    for place, debate in enumerate(made):
        said = [NewCritique("ada", agent, [prefix]), NewCritique(agent, "ada", [prefix], reasoning=prefix)]
        result = NewResult(debate.id, debate.task, prefix, critiques=said)
        store.record_result(result, created_at=DAY + timedelta(seconds=place))
    critiques = tuple(each.id for debate in made for each in store.critiques(debate.id))
    ids, slugs = tuple(each.id for each in made), tuple(each.slug for each in made)
    token = DebateStore(session, org_id=org_id).list(limit=1).next
    assert token is not None
    return Theirs(ids, slugs, critiques, token)


def values(verb: str, theirs: Theirs) -> Mapping[str, tuple[Any, ...]]:
    """Values for the arguments of the verbs, by name: whatever identifies rows of the other organisation."""
    result = NewResult("", TASK, HUSH, critiques=[NewCritique("ada", THEIR_AGENT, [HUSH])])
    return {
        "debate": tuple(
            NewDebate(task, [THEIR_AGENT], {"text": HUSH}, id_)
            for id_ in (None, *theirs.ids)
            for task in (TASK, f"{TASK} {HUSH}")
        ),
        "result": tuple(replace(result, id=id_) for id_ in theirs.ids),
        "id": theirs.critiques if verb == "judge_critique" else theirs.ids,
        "ids": (theirs.ids,),
        "debate_id": theirs.ids,
        "slug": theirs.slugs,
        "agent": (THEIR_AGENT, "ada"),
        "target_agent": (THEIR_AGENT, "ada"),
        "text": (HUSH, "cache", "ratings hush*"),
        "limit": (1, 2, 50),
        "after": (None, theirs.token),
        "workspace_id": (OTHER,),
        "is_public": (True, False, None),
        "artifact_json": ({},),
        "confidence": (0.25,),
        "consensus_reached": (True,),
        "audio_path": ("mine.mp3",),
        "audio_duration_seconds": (1,),
        "audio_generated_at": (DAY,),
        "created_at": (DAY,),
        "led_to_improvement": (True,),
        "actual_usefulness": (0.5,),
    }


VERBS = [name for name, _ in inspect.getmembers(DebateStore, callable) if not name.startswith("_")]


def calls(theirs: Theirs) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every verb with every combination of values for what it requires, and each of its options by itself."""
    for verb in VERBS:
        known = values(verb, theirs)
        parameters = list(inspect.signature(getattr(DebateStore, verb)).parameters.values())[1:]
        # A parameter that is not known here is a KeyError: add what identifies the other organisation's rows by it.
        choices = {each.name: known[each.name] for each in parameters}
        required = [each.name for each in parameters if each.default is inspect.Parameter.empty]
        for chosen in product(*(choices[name] for name in required)):
            arguments = dict(zip(required, chosen, strict=True))
            yield verb, arguments
            for name in choices.keys() - set(required):
                yield from ((verb, arguments | {name: value}) for value in choices[name])


def plain(value: Any) -> Any:
    """Make an answer comparable: the columns of rows, the contents of pages and of their tokens."""
    if isinstance(value, Base):
        return {each.key: getattr(value, each.key) for each in sa.inspect(type(value)).column_attrs}
    if isinstance(value, Page):
        token = None if value.next is None else base64.urlsafe_b64decode(value.next).decode()
        return [plain(each) for each in value.items], token
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return value


def answer(session: Session, verb: str, arguments: Mapping[str, Any], org_id: str | None = MINE) -> Any:
    """Call a verb and return what the caller learns."""
    try:
        return plain(getattr(DebateStore(session, org_id=org_id), verb)(**arguments))
    except AragoraDBError as error:
        return type(error).__name__, str(error)


def rows(session: Session, prefix: str) -> list[Any]:
    """All rows that bear a prefix in any column."""
    found = [tuple(row) for model in TABLES for row in session.execute(sa.select(model.__table__))]
    return [row for row in found if prefix in str(row)]


def undone(session: Session, work: Callable[[], Any]) -> Any:
    """Do something and take it back."""
    savepoint = session.begin_nested()
    try:
        return work()
    finally:
        savepoint.rollback()


def test_no_verb_sees_another_organisation(database: EngineDatabase):
    """Nothing of the other organisation is returned, counted, changed or named: as if its rows were not there."""

    def work(session: Session) -> int:
        fill(session, MINE, "mine", "eve")
        session.flush()
        alone = session.begin_nested()
        theirs = fill(session, OTHER, HUSH, THEIR_AGENT)
        asked = list(calls(theirs))
        alone.rollback()
        # `create` has its own test: an id is unique over all organisations, so that its answer differs.
        asked = [each for each in asked if each[0] != "create"]
        expected = [undone(session, lambda each=each: answer(session, *each)) for each in asked]
        fill(session, OTHER, HUSH, THEIR_AGENT)
        before = rows(session, HUSH)
        assert len(before) == 3 * len(TABLES) + 3
        for (verb, arguments), alike in zip(asked, expected, strict=True):

            def call(verb: str = verb, arguments: Mapping[str, Any] = arguments) -> Any:
                found = answer(session, verb, arguments)
                session.flush()
                return found, rows(session, HUSH)

            found, after = undone(session, call)
            assert (found, after) == (alike, before), (verb, arguments)
        return len({verb for verb, _ in asked})

    assert database.run(work) == len(VERBS) - 1


def test_an_unconfined_store_sees_them(database: EngineDatabase):
    """Otherwise the calls above would find nothing whatever the confinement does."""

    def work(session: Session) -> set[str]:
        theirs = fill(session, OTHER, HUSH, THEIR_AGENT)
        before, seen = rows(session, HUSH), set()
        for verb, arguments in calls(theirs):

            def call(verb: str = verb, arguments: Mapping[str, Any] = arguments) -> bool:
                found = answer(session, verb, arguments, None)
                session.flush()
                return HUSH in str(found) or rows(session, HUSH) != before or getattr(found, "debates", 0) > 0

            if undone(session, call):
                seen.add(verb)
        return seen

    assert database.run(work) == set(VERBS)


def test_an_id_of_another_organisation(database: EngineDatabase):
    """The caller learns that it cannot use the id, and nothing about whose it is or what it holds."""
    theirs = database.run(lambda session: fill(session, OTHER, HUSH, THEIR_AGENT))
    before = database.run(lambda session: rows(session, HUSH))

    def create(session: Session, id_: str, content: str) -> Debate:
        new = NewDebate(content, [THEIR_AGENT], {"text": HUSH}, id_)
        return DebateStore(session, org_id=MINE).create(new, created_at=DAY)

    for id_, content in product(theirs.ids, (TASK, f"{TASK} {HUSH}", "Another task")):
        with pytest.raises(ConflictError) as caught:
            database.run(lambda session, id_=id_, content=content: create(session, id_, content))
        assert str(caught.value) == f"the debate id {id_} cannot be used; choose another id"
    assert database.run(lambda session: rows(session, HUSH)) == before
    mine = database.run(lambda session: create(session, "free", TASK))
    assert (mine.org_id, mine.workspace_id, mine.slug) == (MINE, MINE, "cache-ratings-2026-01-15-3")


def test_a_result_of_a_deleted_debate_is_not_inherited(database: EngineDatabase):
    """A new debate under the same id would make another organisation the reader of the old answer."""
    theirs = database.run(lambda session: fill(session, OTHER, HUSH, THEIR_AGENT))

    def delete(session: Session) -> None:
        store = DebateStore(session, org_id=OTHER)
        store.delete(theirs.ids[0])
        assert (store.result(theirs.ids[0]), store.critiques(theirs.ids[0]).items) == (None, ())
        with pytest.raises(NotFoundError):
            store.record_result(NewResult(theirs.ids[0], TASK))

    database.run(delete)
    for org_id in (MINE, OTHER):
        with pytest.raises(ConflictError, match="cannot be used"):
            database.run(
                lambda session, org_id=org_id: DebateStore(session, org_id=org_id).create(
                    NewDebate(TASK, ["ada"], {}, theirs.ids[0])
                )
            )


def test_a_result_is_not_inherited_while_its_debate_is_deleted(plain_database: Database):
    """The INSERT waits for the transaction that deletes the other debate; what that leaves is seen only after it."""
    plain_database.transact(lambda session: DebateStore(session, org_id=OTHER).create(NewDebate(TASK, [], {}, "x")))

    def create() -> None:
        with pytest.raises(ConflictError, match="cannot be used"):
            plain_database.transact(
                lambda session: DebateStore(session, org_id=MINE).create(NewDebate("t", [], {}, "x"))
            )

    with ThreadPoolExecutor(1) as pool:
        with plain_database.session() as session:
            store = DebateStore(session, org_id=OTHER)
            store.record_result(NewResult("x", TASK, HUSH, critiques=[NewCritique("ada", "bob", [HUSH])]))
            store.delete("x")
            waiting = pool.submit(create)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.3)
        waiting.result(timeout=HANG_SECONDS)
    found = plain_database.transact(lambda session: DebateStore(session, org_id=MINE).list().items)
    assert found == ()


def test_a_confined_store_works_for_its_own(database: EngineDatabase):
    """Confined to the organisation that the rows belong to, every verb does what it does without confinement."""

    def work(session: Session) -> None:
        mine = fill(session, OTHER, HUSH, THEIR_AGENT)
        for verb, arguments in calls(mine):
            if verb != "create":  # its answer has a new UUID
                fixed = arguments | ({"audio_generated_at": DAY} if verb == "attach_audio" else {})
                both = [
                    undone(session, lambda org_id=org_id: answer(session, verb, fixed, org_id))  # noqa: B023
                    for org_id in (OTHER, None)
                ]
                assert both[0] == both[1], (verb, arguments)

    database.run(work)


def test_a_debate_of_another_organisation_is_not_created(database: EngineDatabase):
    """A confined store that wrote another organisation's rows would confine reads only."""

    def create(session: Session, org_id: str) -> str | None:
        return DebateStore(session, org_id=MINE).create(NewDebate(TASK, ["ada"], {}, org_id=org_id)).org_id

    with pytest.raises(InvalidValue, match="org_id is 'rival'"):
        database.run(lambda session: create(session, OTHER))
    assert database.run(lambda session: create(session, MINE)) == MINE
    with pytest.raises(InvalidValue, match="org_id"):
        database.run(lambda session: DebateStore(session, org_id=" "))
