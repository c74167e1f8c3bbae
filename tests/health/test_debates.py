"""Debates over HTTP: recorded once, seen at once on every instance, and refused with a reason."""

from __future__ import annotations

import base64
import json
import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import HANG_SECONDS

from aragora_db.errors import CommitUnknown, DatabaseUnavailable, LockTimeout, PoolExhausted
from aragora_db.models import Debate
from aragora_db.operate.health.debates import LARGEST_BODY
from aragora_db.operate.health.problems import response_to
from aragora_db.shared import GAP
from aragora_db.stores import DebateStore, NewDebate


def test_the_guides_step(dialect, fresh_databases, serve_app):
    """Step 4b: a debate made on A is read from B."""
    url = fresh_databases.url(dialect)
    one, other = serve_app(url).client, serve_app(url).client
    made = one.ask(
        "POST",
        "/api/v1/debates",
        content='{"task":"test shared state"}',
        headers={"Content-Type": "application/json"},
    )
    assert made.status_code == 201
    listed = other.get("/api/v1/debates?limit=1").json()
    assert listed == {"debates": [made.json()], "next": None}
    assert other.get(made.headers["Location"]).json() == made.json()


def test_all_of_a_debate_comes_back(served):
    """What a client recorded is what it reads, numbers and all."""
    body = {
        "id": "a/b?c=d&e#f %41",
        "task": "Do we cache?",
        "agents": ["ada", "bob"],
        "artifact": {"rounds": [1, 2.5, 1e300, None, True, "ü"], "nested": {"deep": [[]]}},
        "consensus_reached": True,
        "confidence": 0.75,
        "is_public": False,
    }
    made = served.client.post(body)
    assert made.status_code == 201
    document = served.client.get(made.headers["Location"]).json()
    assert {name: document[name] for name in body} == body
    with served.db.session(read_only=True) as session:
        assert session.scalars(sa.select(Debate.slug)).one() == document["slug"]


def test_newest_first_in_pages(served):
    """Paging must neither repeat nor lose one when several have the same moment."""
    with served.db.session() as session:
        store = DebateStore(session)
        when = store.create(NewDebate("first", [], {}, id="z")).created_at
        for name in "abcdefg":
            store.create(NewDebate(name, [], {}, id=name), created_at=when + timedelta(seconds=name > "d"))
    seen, after = [], {}
    while True:
        page = served.client.get("/api/v1/debates", params={"limit": 3, **after}).json()
        seen += [each["id"] for each in page["debates"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert seen == ["g", "f", "e", "z", "d", "c", "b", "a"]


def test_a_page_of_large_debates_ends_early(served):
    """A hundred debates of a megabyte in one answer took gigabytes, and kept liveness waiting until it was too late."""
    for place in range(12):
        body = {"task": "large", "id": str(place), "artifact": {"text": "x" * 900_000}}
        assert served.client.post(body).status_code == 201
    seen, after = [], {}
    while True:
        answer = served.client.get("/api/v1/debates", params={"limit": 100, **after})
        assert len(answer.content) < 12 * 900_000
        seen += [each["id"] for each in answer.json()["debates"]]
        if answer.json()["next"] is None:
            break
        after = {"after": answer.json()["next"]}
    assert seen == [str(place) for place in reversed(range(12))]


@pytest.mark.parametrize(("first", "second"), [("\u00c3", "\u00c3\xa0"), ("k", "k\x85")])
def test_keys_that_look_alike_are_two(served, first, second):
    """White space of Unicode is the end of a UTF-8 letter in a header; taken off, one key would be another's."""
    for key in (first, second):
        answer = served.client.post({"task": "x"}, headers={"Idempotency-Key": key.encode("latin-1")})
        assert (answer.status_code, answer.json()["id"]) == (201, key)


def test_sent_twice_recorded_once(served):
    """After a lost connection a client cannot know whether its debate is there: with a key it just sends it again."""
    first = served.client.post({"task": "once"}, headers={"Idempotency-Key": '"8e03978e-40d5"'})
    again = served.client.post({"task": "once"}, headers={"Idempotency-Key": "8e03978e-40d5"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert first.json()["id"] == "8e03978e-40d5"
    assert len(served.client.get("/api/v1/debates").json()["debates"]) == 1


def test_sent_many_times_at_once_recorded_once(served):
    """A client that times out and tries again overlaps with its own first attempt."""
    request = ("POST", "/api/v1/debates", {"json": {"task": "once"}, "headers": {"Idempotency-Key": "k"}})
    answers = served.client.ask_all([request] * 12)
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert len({answer.text for answer in answers}) == 1
    assert len(served.client.get("/api/v1/debates").json()["debates"]) == 1


def test_another_debate_under_the_key_is_a_conflict(served):
    """A key that is used for something else is a client's mistake, and must not overwrite anything."""
    served.client.post({"task": "one"}, headers={"Idempotency-Key": "k"})
    answer = served.client.post({"task": "other"}, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "conflict"
    assert served.client.get("/api/v1/debates/k").json()["task"] == "one"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["task", "agents", "artifact", "id", "confidence", "is_public", "x"]), inner, max_size=4
        )
    ),
    max_leaves=10,
)

REFUSED = [
    {},
    [],
    None,
    "task",
    {"task": ""},
    {"task": " "},
    {"task": 5},
    {"task": None},
    {"task": "x", "agents": "ada"},
    {"task": "x", "agents": None},
    {"task": "x", "agents": [1]},
    {"task": "x", "agents": ["ada", "ada"]},
    {"task": "x", "agents": {"ada": 1}},
    {"task": "x", "artifact": []},
    {"task": "x", "artifact": None},
    {"task": "x", "artifact": {"nul": "\x00"}},
    {"task": "x\x00"},
    {"task": "x", "confidence": 2},
    {"task": "x", "confidence": True},
    {"task": "x", "is_public": 1},
    {"task": "x", "consensus_reached": "yes"},
    {"task": "x", "id": ""},
    {"task": "x", "id": 7},
    {"task": "x", "id": ".."},
    {"task": "\ud800"},
    {"\ud800": "x"},
    {"task": "x", "agents": ["\ud800", "\ud800"]},
    {"task": "x", "id": "k" * 2000},
    {"task": "x", "org_id": "somebody else's"},
    {"task": "x", "taks": "x"},
]


def test_a_body_that_is_no_debate(served):
    """Refused before anything is written, with a sentence that names the member; never a 500."""
    for body in REFUSED:
        answer = served.client.post(body)
        assert answer.status_code == 422, body
    assert served.client.get("/api/v1/debates").json()["debates"] == []


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        ('{"task":"x"}'.encode("utf-16"), "application/json", 400),
        (b'{"task":"\xed\xa0\x80"}', "application/json", 400),
        (b"", "application/json", 400),
        (b'{"task": ' + b"[" * 100_000, "application/json", 400),
        (b'{"task":"x"}', "text/plain", 415),
        (b"task=x", "application/x-www-form-urlencoded", 415),
        (b'{"task":"' + b"x" * LARGEST_BODY + b'"}', "application/json", 413),
    ],
    ids=["cut", "no-utf8", "utf16", "surrogate", "empty", "deep", "text", "form", "large"],
)
def test_what_is_no_json(served, content, kind, status):
    """Anybody can send anything; a parser that falls over is a 500, and a page is one way to send a form."""
    answer = served.client.ask("POST", "/api/v1/debates", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=-1", "limit=101", "limit=x", "limit=1e1", "limit=\u0663", "after=x"),
        f"after={base64.urlsafe_b64encode(b'[' * 30_000).decode()}",
    ],
    ids=lambda each: each[:12],
)
def test_a_listing_that_cannot_be(served, query):
    """A limit that is taken for another one hides debates."""
    assert served.client.get(f"/api/v1/debates?{query}").status_code == 422


def test_not_there(served):
    """A link to nothing."""
    for name in ("nothing", "", "a/b", "%00", "k" * 3000):
        assert served.client.get(f"/api/v1/debates/{name}").status_code in {404, 422}


@given(ANYTHING)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_json_at_all(served, body):
    """Whatever comes, the answer is one that the document announces, and no 500."""
    text = json.dumps(body)
    answer = served.client.ask(
        "POST", "/api/v1/debates", content=text.encode(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in {200, 201, 400, 409, 422}


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (CommitUnknown("lost at 10.0.0.1", RuntimeError()), 503, "unknown"),
        (DatabaseUnavailable("10.0.0.1 refused", RuntimeError()), 503, "unavailable"),
        (LockTimeout("deadlock on secret_table", RuntimeError()), 503, "busy"),
        (PoolExhausted("all in use at 10.0.0.1"), 503, "busy"),
        (RuntimeError("password=10.0.0.1"), 500, "internal"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_errors_become_statuses(error, status, code):
    """A client decides by status and code whether to try again; texts from inside stay inside."""
    answer = response_to(error)
    body = json.loads(answer.body)["error"]
    assert (answer.status_code, body["code"]) == (status, code)
    assert ("retry-after" in answer.headers) is (status == 503)
    assert "10.0.0.1" not in body["message"]
    assert "secret_table" not in body["message"]
    if code == "unknown":
        assert "unknown" in body["message"]
        assert "Idempotency-Key" in body["message"]


def test_whoever_listens_hears_of_it(fresh_databases, serve_app, redis_server):
    """Other instances show a new debate without asking the database every second."""
    one = serve_app(fresh_databases.url("postgresql"), redis_url=redis_server.url, redis_namespace="test-events")
    other = serve_app(fresh_databases.url("postgresql"), redis_url=redis_server.url, redis_namespace="test-events")
    with other.db.shared.events.subscribe() as subscription:
        made = one.client.post({"task": "heard"}, headers={"Idempotency-Key": "k"}).json()
        assert one.client.post({"task": "heard"}, headers={"Idempotency-Key": "k"}).status_code == 200
        one.client.post({"task": "last"}, headers={"Idempotency-Key": "l"})
        heard = []
        while not heard or heard[-1].debate_id != "l":
            event = subscription.get(HANG_SECONDS)
            assert event is not None
            if event.type != GAP:  # the first: what was published before it did not come
                heard.append(event)
    assert sorted((each.type, each.debate_id) for each in heard) == [("debate_created", "k"), ("debate_created", "l")]
    assert next(each for each in heard if each.debate_id == "k").data == {"slug": made["slug"]}


def test_redis_away_does_not_fail_a_debate(fresh_databases, serve_app):
    """The debate is recorded; who only listens must not decide whether it can be."""
    served = serve_app(fresh_databases.url("sqlite"), redis_url="redis://127.0.0.1:9/0")
    before = threading.active_count()
    assert served.client.post({"task": "alone"}).status_code == 201
    assert threading.active_count() >= before - 1
