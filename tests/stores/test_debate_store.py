"""DebateStore: addresses without a race, tenants that do not see each other, lists and searches."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from aragora_db.errors import ConflictError, InvalidValue, NotFoundError
from aragora_db.models import Critique, Debate, DebateKeywords, DebateResult
from aragora_db.stores import DebateStore
from aragora_db.stores.debates import NewCritique, NewDebate, NewResult

DAY = datetime(2026, 1, 15, 12, tzinfo=UTC)
TASK = "Verify a audit log for quorum of replica"


def create(session, task=TASK, created_at=DAY, **others):
    """A debate of the fifteenth of January."""
    new = NewDebate(task, ["ada", "bob"], {"rounds": [1, 2]}, **others)
    return DebateStore(session).create(new, created_at=created_at)


def test_a_debate_gets_an_address_and_is_found_by_it(database):
    """The address is what people send each other."""
    made = database.run(lambda session: create(session, org_id="acme", confidence=0.8))
    assert (made.slug, made.workspace_id, made.view_count) == ("verify-audit-log-quorum-2026-01-15", "acme", 0)
    for find in (lambda store: store.by_slug(made.slug), lambda store: store.get(made.id)):
        found = database.run(lambda session, find=find: find(DebateStore(session)))
        assert (found.id, found.task, found.agents, found.artifact_json) == (
            made.id,
            TASK,
            ["ada", "bob"],
            {"rounds": [1, 2]},
        )
    assert database.run(lambda session: DebateStore(session).by_slug("nothing")) is None


def test_debates_of_one_task_are_numbered(database):
    """Aragora counted what was there and raised an error when two counted at once."""
    slugs = [database.run(create).slug for _ in range(4)]
    base = "verify-audit-log-quorum-2026-01-15"
    assert slugs == [base, f"{base}-2", f"{base}-3", f"{base}-4"]
    together = database.run(lambda session: [create(session).slug for _ in range(3)])
    assert together == [f"{base}-5", f"{base}-6", f"{base}-7"]
    # Another debate's slug that begins alike is no number of this one.
    database.run(lambda session: session.add(Debate(slug=f"{base}-99x", id="x", task="t", agents=[], artifact_json={})))
    assert database.run(create).slug == f"{base}-8"


def test_the_same_debate_twice_is_one_debate(database):
    """A client that repeats its request after a timeout must not publish twice."""
    first = database.run(lambda session: create(session, id="d1"))
    again = database.run(lambda session: create(session, id="d1", created_at=DAY + timedelta(days=1)))
    assert (again.id, again.slug) == (first.id, first.slug)
    assert database.run(lambda session: session.scalar(sa.select(sa.func.count()).select_from(Debate))) == 1
    for other in ({"task": "another"}, {"org_id": "acme"}):
        with pytest.raises(ConflictError, match="d1"):
            database.run(lambda session, other=other: create(session, id="d1", **other))


@pytest.mark.parametrize(
    "bad",
    [
        {"task": " "},
        {"task": "a\x00b"},
        {"id": ""},
        {"id": "i" * 1025},
        {"org_id": ""},
        {"workspace_id": "w" * 2000},
        {"confidence": 1.01},
        {"confidence": math.nan},
        {"is_public": "yes"},
        {"created_at": datetime(2026, 1, 1)},  # noqa: DTZ001 -- naive on purpose
    ],
    ids=str,
)
def test_bad_input_is_refused(database, bad):
    """Nothing is published with a field that a database would refuse or change."""
    with pytest.raises(InvalidValue):
        database.run(lambda session: create(session, **bad))
    assert database.run(lambda session: DebateStore(session).list().items) == ()


def test_agents_and_artifact_are_checked(database):
    """A text instead of a list would be stored as single letters."""
    for agents, artifact in (("ada", {}), (["ada", "ada"], {}), (["ada"], {"score": math.inf})):
        with pytest.raises(InvalidValue):
            database.run(
                lambda session, agents=agents, artifact=artifact: DebateStore(session).create(
                    NewDebate("t", agents, artifact)
                )
            )


def test_tenants_do_not_see_each_other(database):
    """One organisation's debate shown to another is the worst bug this store can have."""

    def work(session):
        store, acme = DebateStore(session), DebateStore(session, org_id="acme")
        ours, theirs = create(session, org_id="acme"), create(session, org_id="other")
        assert acme.get(theirs.id) is None
        assert acme.by_slug(theirs.slug) is None
        assert acme.view(theirs.slug) is None
        with pytest.raises(NotFoundError):
            acme.delete(theirs.id)
        with pytest.raises(NotFoundError):
            acme.update(theirs.id, is_public=True)
        assert [each.id for each in acme.list().items] == [ours.id]
        assert [each.id for each in acme.search("audit").items] == [ours.id]
        assert acme.stats().debates == 1
        assert store.get(theirs.id).view_count == 0
        return store.list().items

    assert len(database.run(work)) == 2


def test_views_are_counted(database):
    """A count that is read and written back loses the views of the same moment; see the races."""
    slug = database.run(create).slug
    assert [database.run(lambda session: DebateStore(session).view(slug).view_count) for _ in range(3)] == [1, 2, 3]

    def twice(session):
        store = DebateStore(session)
        loaded = store.by_slug(slug)
        store.view(slug)
        return loaded.view_count

    assert database.run(twice) == 4


def test_lists_page_by_page(database):
    """A page by offset skips a debate when another is published meanwhile."""

    def fill(session):
        for number in range(25):
            create(session, f"task {number}", id=f"d{number:02}", created_at=DAY + timedelta(minutes=number // 3))

    database.run(fill)
    seen, after = [], None
    while True:
        page = database.run(lambda session, after=after: DebateStore(session).list(limit=7, after=after))
        seen += [each.id for each in page.items]
        after = page.next
        if after is None:
            break
        database.run(lambda session: create(session, "newer", created_at=DAY + timedelta(days=1)))
    expected = sorted((f"d{number:02}" for number in range(25)), key=lambda id_: (-(int(id_[1:]) // 3), -int(id_[1:])))
    assert seen == expected
    with pytest.raises(InvalidValue, match="token"):
        database.run(lambda session: DebateStore(session).list(after="bm90aGluZw=="))


def test_lists_by_workspace_and_visibility(database):
    """NULL is neither public nor private: nobody decided."""

    def work(session):
        store = DebateStore(session)
        for id_, public in (("p", True), ("q", False), ("r", None)):
            create(session, id=id_, is_public=public, workspace_id="w" if id_ != "q" else "v")
        return (
            [each.id for each in store.list(is_public=True).items],
            [each.id for each in store.list(is_public=False).items],
            [each.id for each in store.list(workspace_id="w").items],
        )

    assert database.run(work) == (["p"], ["q"], ["r", "p"])


def test_search_asks_for_all_words_in_any_case(database):
    """SQLite's LIKE folds ASCII only and PostgreSQL's none: the same search found different debates."""

    def work(session):
        create(session, "Naïve CAFÉ caching", id="a")
        create(session, "Cache the straße", id="b", created_at=DAY + timedelta(seconds=1))
        create(session, "rating of agents", id="c")
        store = DebateStore(session)
        store.update("c", consensus_reached=True)
        searches = ("café", "CACHE STRASSE", "cache rating", "rat*", "!!", "cach*")
        return {text: [each.id for each in store.search(text).items] for text in searches}

    assert database.run(work) == {
        "café": ["a"],
        "CACHE STRASSE": ["b"],
        "cache rating": [],
        "rat*": ["c"],
        "!!": [],
        "cach*": ["b", "a"],
    }


def test_update_and_delete(database):
    """Only what may change changes, and what is gone takes its words along."""
    debate = database.run(create)
    changed = database.run(
        lambda session: DebateStore(session).update(
            debate.id, artifact_json={"rounds": []}, confidence=0.5, audio_path="a.mp3", audio_duration_seconds=12
        )
    )
    assert (changed.artifact_json, changed.confidence, changed.audio_duration_seconds) == ({"rounds": []}, 0.5, 12)
    for bad, error in (
        ({"slug": "mine"}, TypeError),
        ({"task": "another"}, TypeError),
        ({"confidence": 2}, InvalidValue),
        ({"audio_duration_seconds": -1}, InvalidValue),
    ):
        with pytest.raises(error):
            database.run(lambda session, bad=bad: DebateStore(session).update(debate.id, **bad))
    cleared = database.run(lambda session: DebateStore(session).update(debate.id, confidence=None))
    assert (cleared.confidence, cleared.audio_path) == (None, "a.mp3")
    database.run(lambda session: DebateStore(session).delete(debate.id))
    with pytest.raises(NotFoundError, match=debate.id):
        database.run(lambda session: DebateStore(session).delete(debate.id))
    assert database.run(lambda session: session.scalar(sa.select(sa.func.count()).select_from(DebateKeywords))) == 0


def test_figures(database):
    """What a dashboard shows."""

    def work(session):
        store = DebateStore(session)
        assert tuple(store.stats()) == (0, 0, 0, 0)
        create(session, is_public=True, consensus_reached=True)
        create(session, is_public=False)
        store.view("verify-audit-log-quorum-2026-01-15")
        return store.stats()

    assert tuple(database.run(work)) == (2, 1, 1, 1)


CRITIQUES = [NewCritique("ada", "bob", ["too vague"], ["say more"], 4.0), NewCritique("bob", "ada")]


def finish(session, **others):
    """The end of a debate with two critiques."""
    values = {"final_answer": "yes", "confidence": 0.7, "critiques": CRITIQUES, **others}
    return DebateStore(session).record_result(NewResult("d1", "a task", **values))


def test_a_result_is_recorded_once(database):
    """A repeat that appended its critiques again would let one debate count twice in what agents learn."""
    for _ in range(2):
        result = database.run(finish)
        assert (result.id, result.final_answer) == ("d1", "yes")
    said = database.run(lambda session: DebateStore(session).critiques("d1"))
    assert [(each.agent, each.target_agent, each.issues) for each in said] == [
        ("ada", "bob", ["too vague"]),
        ("bob", "ada", []),
    ]
    for other in ({"final_answer": "no"}, {"critiques": CRITIQUES[:1]}, {"confidence": None}):
        with pytest.raises(ConflictError):
            database.run(lambda session, other=other: finish(session, **other))
    for bad in ({"confidence": 3}, {"duration_seconds": math.inf}, {"critiques": [NewCritique("")]}):
        with pytest.raises(InvalidValue):
            database.run(lambda session, bad=bad: finish(session, **bad))
    assert database.run(lambda session: session.scalar(sa.select(sa.func.count()).select_from(DebateResult))) == 1


def test_critiques_are_judged_once(database):
    """The prediction error feeds calibration; judged twice, it would be counted for two opinions."""
    database.run(finish)
    first = database.run(lambda session: DebateStore(session).critiques_by("ada").items[0])
    assert [each.id for each in database.run(lambda session: DebateStore(session).critiques_of("bob").items)] == [
        first.id
    ]

    def judge(session, usefulness=0.9):
        return DebateStore(session).judge_critique(first.id, led_to_improvement=True, actual_usefulness=usefulness)

    for _ in range(2):
        judged = database.run(judge)
        assert (judged.led_to_improvement, judged.prediction_error) == (True, pytest.approx(0.4))
    with pytest.raises(ConflictError):
        database.run(lambda session: judge(session, 0.2))
    with pytest.raises(NotFoundError):
        database.run(
            lambda session: DebateStore(session).judge_critique(999, led_to_improvement=True, actual_usefulness=1.0)
        )
    with pytest.raises(InvalidValue):
        database.run(lambda session: judge(session, 2.0))
    assert database.run(lambda session: session.get(Critique, first.id).actual_usefulness) == 0.9


def test_races(race, plain_database):
    """Eight processes at once: eight addresses, every view counted, one debate for one id."""
    plain_database.migrate()
    slugs = race([lambda session: create(session).slug] * 8)
    assert len(set(slugs)) == 8
    viewed = slugs[0]
    race([lambda session: DebateStore(session).view(viewed).view_count] * 8)
    assert plain_database.transact(lambda session: DebateStore(session).by_slug(viewed).view_count) == 8
    ids = race([lambda session: create(session, "another task", id="same").slug] * 6)
    assert len(set(ids)) == 1
    race([finish] * 4)
    assert len(plain_database.transact(lambda session: DebateStore(session).critiques("d1"))) == 2
