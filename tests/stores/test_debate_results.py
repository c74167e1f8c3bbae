"""What becomes of a debate: its recording, who may see it, how it ended, and what its critiques were worth."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from aragora_db.errors import ConflictError, InvalidValue, NotFoundError
from aragora_db.models import Critique, DebateResult
from aragora_db.stores import DebateStore
from aragora_db.stores.debates import NewCritique, NewDebate, NewResult

DAY = datetime(2026, 1, 15, 12, tzinfo=UTC)


def create(session, **others):
    """A debate of an organisation."""
    return DebateStore(session).create(NewDebate("Cache it", ["ada"], {}, **{"id": "d", "org_id": "acme", **others}))


def test_visibility(database):
    """Public, private, and nobody decided: the third is none of the other two."""
    database.run(create)
    for wanted in (True, False, None):
        set_to = database.run(lambda session, wanted=wanted: DebateStore(session).set_visibility("d", is_public=wanted))
        assert set_to.is_public is wanted
        assert database.run(lambda session: DebateStore(session).get("d").is_public) is wanted
    for bad in (1, "yes", 0):
        with pytest.raises(InvalidValue, match="is_public"):
            database.run(lambda session, bad=bad: DebateStore(session).set_visibility("d", is_public=bad))
    with pytest.raises(NotFoundError):
        database.run(lambda session: DebateStore(session, org_id="other").set_visibility("d", is_public=True))
    assert database.run(lambda session: DebateStore(session).get("d").is_public) is None


def test_a_recording_replaces_the_one_before(database):
    """The length of the old file beside the path of the new one would cut the new one off."""
    database.run(create)

    def attach(session, *given, org_id=None, **named):
        return DebateStore(session, org_id=org_id).attach_audio("d", *given, **named)

    first = database.run(lambda session: attach(session, "a.mp3", audio_duration_seconds=61, audio_generated_at=DAY))
    assert (first.audio_path, first.audio_duration_seconds, first.audio_generated_at) == ("a.mp3", 61, DAY)
    before = datetime.now(UTC)
    second = database.run(lambda session: attach(session, "b.mp3"))
    assert (second.audio_path, second.audio_duration_seconds) == ("b.mp3", None)
    assert before <= second.audio_generated_at <= datetime.now(UTC)
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 -- what is refused
    for given, named, argument in (
        ((" ",), {}, "audio_path"),
        (("c",), {"audio_duration_seconds": -1}, "audio_duration_seconds"),
        (("c",), {"audio_generated_at": naive}, "audio_generated_at"),
    ):
        with pytest.raises(InvalidValue, match=argument):
            database.run(lambda session, given=given, named=named: attach(session, *given, **named))
    with pytest.raises(NotFoundError):
        database.run(lambda session: attach(session, "c", org_id="other"))
    assert database.run(lambda session: DebateStore(session).get("d").audio_path) == "b.mp3"


def test_an_artifact_is_an_object(database):
    """Readers look fields up in it; a list or a text would fail in each of them."""
    database.run(create)
    for bad in (None, [1], "text"):
        with pytest.raises(InvalidValue, match="artifact_json"):
            database.run(lambda session, bad=bad: DebateStore(session).create(NewDebate("t", ["a"], bad)))
        with pytest.raises(InvalidValue, match="artifact_json"):
            database.run(lambda session, bad=bad: DebateStore(session).update("d", artifact_json=bad))
    assert database.run(lambda session: DebateStore(session).get("d").artifact_json) == {}


def test_a_refused_change_changes_nothing(database):
    """One bad field must not let the others through, nor stay in the session for the next commit."""
    database.run(lambda session: create(session, confidence=0.25))

    def work(session):
        store = DebateStore(session)
        with pytest.raises(InvalidValue):
            store.update("d", is_public=True, artifact_json={"x": math.nan}, confidence=0.5)
        return store.get("d")

    kept = database.run(work)
    assert (kept.confidence, kept.is_public, kept.artifact_json) == (0.25, None, {})


def test_whole_numbers_said_twice(database):
    """JSON has no difference between 4 and 4.0: a repeated message with whole numbers was called a contradiction."""

    def record(session):
        said = [NewCritique("ada", "bob", ("vague",), ("say more",), severity=4, expected_usefulness=1)]
        return DebateStore(session).record_result(
            NewResult(
                "r", "t", confidence=1, duration_seconds=30, rounds_used=3, grounded_verdict={"n": 1}, critiques=said
            )
        )

    for _ in range(2):
        assert database.run(record).confidence == 1.0
    assert database.run(lambda session: session.scalar(sa.select(sa.func.count()).select_from(Critique))) == 1


@pytest.mark.parametrize(
    "bad",
    [
        NewCritique("ada", issues="vague"),
        NewCritique("ada", suggestions=[1]),
        NewCritique(" "),
        NewCritique("ada", target_agent=""),
        NewCritique("ada", severity=math.nan),
        NewCritique("ada", expected_usefulness=1.5),
        NewCritique("ada", reasoning="a\x00b"),
    ],
    ids=str,
)
def test_a_bad_critique_leaves_no_result(database, bad):
    """The result is written first: with half of the critiques missing, the repeat would be a contradiction."""

    def work(session):
        with pytest.raises(InvalidValue):
            DebateStore(session).record_result(NewResult("r", "t", critiques=[NewCritique("ada"), bad]))
        return session.scalar(sa.select(sa.func.count()).select_from(DebateResult))

    assert database.run(work) == 0


def test_critiques_page_by_page(database):
    """Agents collect thousands; what was said at one time keeps its order from page to page."""

    def fill(session):
        for number in range(7):
            said = [NewCritique("ada", "bob", [f"{number}.{each}"]) for each in range(3)]
            other = [NewCritique("bob", "ada"), NewCritique("eve")]
            result = NewResult(f"r{number}", "t", critiques=[*said, *other])
            DebateStore(session).record_result(result, created_at=DAY + timedelta(minutes=number // 2))

    database.run(fill)
    pages = {"critiques_by": "ada", "critiques_of": "bob"}
    for verb, agent in pages.items():
        seen, after = [], None
        while True:
            page = database.run(
                lambda session, verb=verb, agent=agent, after=after: getattr(DebateStore(session), verb)(
                    agent, limit=4, after=after
                )
            )
            seen += [each.issues[0] for each in page.items]
            after = page.next
            if after is None:
                break
        assert seen == [f"{number}.{each}" for number in reversed(range(7)) for each in reversed(range(3))]
    first = database.run(lambda session: DebateStore(session).critiques("r1", limit=4))
    rest = database.run(lambda session: DebateStore(session).critiques("r1", limit=4, after=first.next))
    assert [each.agent for each in (*first, *rest)] == ["ada", "ada", "ada", "bob", "eve"]
    assert (len(first), rest.next) == (4, None)
    assert database.run(lambda session: DebateStore(session).critiques_of("nobody").items) == ()
    assert database.run(lambda session: DebateStore(session).result("nothing")) is None


def test_a_judgement_is_fresh_and_exact(database):
    """The prediction error is the distance either way; a verb's own session must see what it wrote."""

    def work(session):
        store = DebateStore(session)
        said = [NewCritique("ada", expected_usefulness=expected) for expected in (0.25, 0.75)]
        store.record_result(NewResult("r", "t", critiques=said))
        for critique in store.critiques("r"):
            store.judge_critique(critique.id, led_to_improvement=False, actual_usefulness=0.5)
        return [(each.prediction_error, each.led_to_improvement) for each in store.critiques("r")]

    assert database.run(work) == [(0.25, False), (0.25, False)]
    first = database.run(lambda session: DebateStore(session).critiques("r").items[0].id)
    with pytest.raises(ConflictError):
        database.run(
            lambda session: DebateStore(session).judge_critique(first, led_to_improvement=True, actual_usefulness=0.5)
        )
    with pytest.raises(InvalidValue, match="led_to_improvement"):
        database.run(
            lambda session: DebateStore(session).judge_critique(first, led_to_improvement=1, actual_usefulness=0.5)
        )
