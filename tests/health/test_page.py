"""The status page without a browser: complete, escaped, honest, and asking nobody else for anything."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import timedelta
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from aragora_db.models import EloHistory, EloRating
from aragora_db.models.base import utcnow
from aragora_db.stores import EloStore

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;"


class _Page(HTMLParser):
    """What the document is made of. Every element that is opened must be closed."""

    VOID = frozenset({"meta", "link", "path", "rect", "img", "br"})

    def __init__(self, source):
        super().__init__()
        self.elements, self.texts, self.open = [], [], []
        self.feed(source)
        assert self.open == []

    # HTMLParser's callbacks.

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def look(served):
    """Fetches the page and takes it apart."""

    def fetch():
        answer = served.client.get("/")
        assert answer.status_code == 200
        return _Page(answer.text), answer

    return fetch


def _play(session, matches):
    store = EloStore(session)
    begin = utcnow() - timedelta(hours=matches)
    for number in range(matches):
        store.record_match(
            f"debate-{number}",
            ["ada", "bob", EVIL],
            {"ada": 1.0 if number % 3 else 0.0, "bob": 0.5, EVIL: 0.2},
            created_at=begin + timedelta(hours=number),
        )


def test_an_empty_database(look):
    """The first thing that anybody sees of a new deployment."""
    page, _ = look()
    assert "Ready Every check passes." in page.text
    assert "No agent has a rating yet" in page.text
    assert "At head" in page.text


def test_the_leaderboard_and_its_curves(served, look):
    """The board is what people come for: names, ratings, and a line for each."""
    served.db.transact(lambda session: _play(session, 12))
    page, answer = look()
    assert "ada" in page.text
    ratings = served.db.transact(lambda session: EloStore(session).leaderboard(limit=10).items, read_only=True)
    for standing in ratings:
        assert f"{standing.elo:.1f}" in page.text
    assert len(page.all("polyline")) == 6, "one in the chart and one in the row, for each of three"
    points = [each["points"].split() for each in page.all("polyline")]
    assert {len(each) for each in points} == {12}
    assert all(re.fullmatch(r"[\d.]+,[\d.]+", point) for each in points for point in each)
    assert "nan" not in answer.text.lower()


def test_names_are_text(served, look):
    """An agent's name is somebody's input; on this page it must never be more than text."""
    served.db.transact(lambda session: _play(session, 3))
    page, answer = look()
    assert "<script>alert" not in answer.text
    assert EVIL in "".join(page.texts)
    assert len(page.all("script")) == 1
    assert page.all("img") == []
    assert not [key for _, attributes in page.elements for key in attributes if key.startswith("on")]


@pytest.mark.parametrize("matches", [1, 2])
def test_few_points(served, look, matches):
    """A curve of one point, and ratings that are all the same, divide by zero easily."""
    served.db.transact(lambda session: _play(session, matches))
    page, _ = look()
    assert page.all("polyline")


def test_one_agent_that_never_moved(served, look):
    """Imported ratings have no history at all."""
    with served.db.session() as session:
        session.add(EloRating(agent_name="imported", elo=1500.0))
    page, _ = look()
    assert "imported" in page.text
    assert "No match has been rated yet" in page.text


@pytest.mark.parametrize("ratings", [(1e308, -1e308), (1e17, 1e17), (5e-324, 5e-324)], ids=str)
def test_ratings_that_no_scale_holds(served, look, ratings):
    """One imported row with a number of another kind must not take the page from everybody."""
    with served.db.session() as session:
        session.add(EloRating(agent_name="far", elo=ratings[-1]))
        for second, elo in enumerate(ratings):
            session.add(EloHistory(agent_name="far", elo=elo, created_at=utcnow() + timedelta(seconds=second)))
    page, _ = look()
    points = [each["points"] for each in page.all("polyline")]
    assert points
    assert not re.search("inf|nan", " ".join(points))


def test_nothing_from_elsewhere(look):
    """The page must work in a network without the internet, and tell nobody that it was opened."""
    page, answer = look()
    for _, attributes in page.elements:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            value = attributes.get(name, "")
            assert "//" not in value or value.startswith("data:"), value
    assert not re.search(r"@import|url\(", answer.text)


def test_the_policy_allows_what_is_there_and_nothing_else(look):
    """Should a name ever get through unescaped, the browser still runs nothing of it."""
    _, answer = look()
    policy = dict(each.strip().split(" ", 1) for each in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        [inline] = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        assert policy[directive] == f"'sha256-{base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()}'"
    assert "style=" not in re.sub(r"<style>.*?</style>", "", answer.text, flags=re.DOTALL)


def test_for_everybody(served, look):
    """Screen readers go by landmarks, headings, table headers and names of graphics; scripts may be off."""
    served.db.transact(lambda session: _play(session, 3))
    page, answer = look()
    assert [attributes["lang"] for attributes in page.all("html")] == ["en"]
    for landmark in ("header", "main", "footer"):
        assert len(page.all(landmark)) == 1
    assert len(page.all("h1")) == 1
    assert all("scope" in attributes for attributes in page.all("th"))
    assert all("aria-label" in each or each.get("aria-hidden") == "true" for each in page.all("svg"))
    assert all("aria-labelledby" in each for each in page.all("table"))
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    assert '<noscript><meta http-equiv="refresh"' in answer.text
    assert "prefers-color-scheme: dark" in answer.text


def test_contrast():
    """Text of 4.5:1 or more against what it stands on, light and dark (WCAG 2.2, 1.4.3)."""
    style = (files("aragora_db.operate.health.page") / "style.css").read_text()
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
        for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    )
    pairs = [
        *((ink, ground) for ink in ("ink", "dim") for ground in ("page", "card")),
        *((state, ground) for state in ("ok", "warn", "bad") for ground in ("card", f"{state}-soft")),
        *(("ink", f"{state}-soft") for state in ("ok", "warn", "bad")),
        ("accent", "page"),
    ]
    for scheme in (light, dark):
        for ink, ground in pairs:
            assert contrast(scheme[ink], scheme[ground]) >= 4.5, (ink, ground)
        for place in range(10):  # graphics: 3:1
            assert contrast(scheme[f"c{place}"], scheme["card"]) >= 3, place


def contrast(one, other):
    """https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""

    def luminance(colour):
        channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return sum(share * c for share, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_a_database_that_is_away(serve_app):
    """The page is opened when something is wrong: it has to open then."""
    served = serve_app("postgresql://nobody@127.0.0.1:9/none")
    page = _Page(served.client.get("/").text)
    assert "Not ready" in page.text
    assert "The database did not answer." in page.text
    assert "No answer" in page.text


def test_draining(served, look):
    """Who watches a rollout sees which instance leaves."""
    served.drain.begin()
    page, _ = look()
    assert "Leaving" in page.text
