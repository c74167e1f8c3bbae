"""Requests made from the OpenAPI document: no 500 whatever comes, and every answer is one that it announces."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TEXT = st.text(st.characters(), max_size=12)  # lone surrogates too
WORDS = st.sampled_from(["", "0", "1", "100", "101", "-1", "1e1", "\x00", "..", "W10=", "a/b", "\u0663"]) | TEXT
HEADER = st.binary(max_size=12).filter(lambda raw: not set(raw) & set(b"\x00\r\n"))
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, 2**63, -0.0])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
KINDS = st.sampled_from(["application/json", "application/json; charset=utf-16", "text/plain", ""])


def _operations(document):
    return [(method.upper(), path, each) for path, item in document["paths"].items() for method, each in item.items()]


def _members(document, name):
    """What a schema's object may have, with values that need not fit."""
    names = document["components"]["schemas"][name]["properties"]
    fitting = st.fixed_dictionaries({"task": TEXT}, optional={each: JSON for each in names if each != "task"})
    return st.dictionaries(st.sampled_from(sorted(names)) | TEXT, JSON, max_size=4) | fitting


@st.composite
def requests(draw, document):
    """One request: an operation, or a method that its path does not have."""
    method, path, operation = draw(st.sampled_from(_operations(document)))
    method = draw(st.sampled_from([method] * 6 + ["HEAD", "PUT", "OPTIONS"]))
    query, headers = {}, {"Accept": draw(HEADER), "Authorization": draw(HEADER), "X-Request-Id": draw(HEADER)}
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            path = path.replace("{id}", quote(draw(WORDS).encode("utf-8", "surrogatepass"), safe=""))
        elif parameter["in"] == "query" and draw(st.booleans()):
            query[parameter["name"]] = draw(WORDS).encode("utf-8", "surrogatepass")
        elif parameter["in"] == "header" and draw(st.booleans()):
            headers[parameter["name"]] = draw(HEADER)
    content = b""
    if "requestBody" in operation:
        headers["Content-Type"] = draw(KINDS).encode()
        text = st.builds(json.dumps, _members(document, "NewDebate") | JSON, ensure_ascii=st.booleans())
        content = draw(text.map(lambda body: body.encode("utf-8", "surrogatepass")) | st.binary(max_size=20))
    return method, path, {"params": query, "headers": headers, "content": content}


def _send(client, data):
    method, path, options = data.draw(requests(client.document))
    [answer] = client.ask_all([(method, path, options)])
    if method != "HEAD":  # the document leaves it out
        client.hold(method, path, answer)
    assert answer.status_code < 500, answer.text


@given(st.data())
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_nothing_that_is_sent_is_a_bug(served, data):
    """Scanners send everything there is; one path to a 500 is an alert every night, or worse."""
    _send(served.client, data)


@pytest.mark.faults
@pytest.mark.timeout(600)  # for its thousands of requests
@given(st.data())
@settings(max_examples=2000, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_nothing_of_much_that_is_sent_is_a_bug(served, data):
    """The same, with twenty times as many requests: what is rare is found by many."""
    _send(served.client, data)
