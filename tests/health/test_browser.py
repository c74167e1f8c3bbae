"""The status page in a real Chromium, from a real `aragora-db serve` over PostgreSQL and Redis."""

from __future__ import annotations

import json
import os
import random
import shutil
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from aragora_db.database import Database
from aragora_db.models.base import utcnow
from aragora_db.stores import EloStore
from aragora_db.testing.plugin import missing

pytestmark = pytest.mark.slow

SCREENSHOT = "ARAGORA_TEST_SCREENSHOT"
"""A true value writes docs/images/status-page.png anew."""

MATCHES = 240 if os.environ.get(SCREENSHOT) else 60

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)
# How strong they are; what they win follows from it.
AGENTS = {
    "claude-critic": 0.92,
    "gpt-architect": 0.85,
    "gemini-analyst": 0.8,
    "deepseek-prover": 0.74,
    "mistral-skeptic": 0.66,
    "llama-pragmatist": 0.6,
    "qwen-historian": 0.52,
    "grok-contrarian": 0.44,
    "command-mediator": 0.36,
    "phi-minimalist": 0.28,
}
SOON = """
from aragora_db.operate.health.page import handler
made = handler.Template
handler.Template = lambda text: made(text.replace('content="10"', 'content="1"'))
"""
"""The page without JavaScript asks for a new one after one second instead of ten."""
EVIL = "<script>document.title = 'taken over'</script>"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """A browser for every test here: to start one takes seconds."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        missing("no Chromium with a chromedriver here. Install the packages chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    yield browser
    browser.quit()


@pytest.fixture
def browser(chromium):
    """The browser as it is after its start: an empty page and empty logs."""
    chromium.get("about:blank")
    resize(chromium, 1200, 900)
    for log in ("browser", "performance"):
        chromium.get_log(log)
    yield chromium
    run_scripts(chromium, allowed=True)


def run_scripts(browser, *, allowed):
    """Whether the next pages run JavaScript."""
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not allowed})


def resize(browser, width, height):
    """The size of the page, not of a window, which Chromium does not let be narrow."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


@pytest.fixture(scope="module")
def database(one_postgres):
    """A database in which many matches were played in two weeks."""
    one_postgres.restore()
    with psycopg.connect(one_postgres.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE browser")
    database = Database(f"{one_postgres.url.rpartition('/')[0]}/browser")
    database.migrate()
    database.transact(_play)
    yield database
    database.close()


@pytest.fixture(scope="module")
def served_once(database, one_redis, running_serve, tmp_path_factory):
    """What serves it: the same process as before, unless a test ended that."""
    url = database.settings.database_url.get_secret_value()
    folder = tmp_path_factory.mktemp("serve")
    with ExitStack() as stack:
        started = []

        def running():
            if not started or started[-1].process.poll() is not None:
                serve = running_serve(folder, prelude=SOON, DATABASE_URL=url, ARAGORA_REDIS_URL=one_redis.url)
                started.append(stack.enter_context(serve))
            return started[-1]

        yield running


@pytest.fixture
def instance(served_once, own_postgres, own_redis, eventually):  # noqa: ARG001 -- both have to run
    """A running instance to which nothing has happened."""
    serve = served_once()
    eventually(lambda: serve.client.get("/readyz").json()["checks"]["degraded_mode"], "it is ready")
    for _ in range(30):
        serve.client.get("/api/v1/debates")
    return serve


def _play(session):
    store, chance, begin = EloStore(session), random.Random(7), utcnow() - timedelta(days=14)
    for number in range(MATCHES):
        who = chance.sample(sorted(AGENTS), 3)
        scores = {name: max(0.0, round(AGENTS[name] + chance.gauss(0, 0.25), 3)) for name in who}
        at = begin + timedelta(days=14) * (number + chance.random()) / MATCHES
        store.record_match(f"debate-{number}", who, scores, created_at=at)


def _let_win(session):
    for number in range(40):
        EloStore(session).record_match(f"won-{number}", [EVIL, "claude-critic"], {EVIL: 1.0, "claude-critic": 0.0})


def shown(browser, selector):
    """An element's text, in one step: the page may be replaced between two."""
    return browser.execute_script("return document.querySelector(arguments[0]).innerText", selector)


def complaints(browser):
    """What the console says."""
    return [entry["message"] for entry in browser.get_log("browser")]


def hosts(browser):
    """Whom the browser asked for anything."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]
    # Not chrome://, which is the browser's own first tab.
    return {urlsplit(url).netloc for url in asked if url.startswith(("http", "ws"))}


def test_on_a_telephone(instance, browser):
    """On call, the page is read on the way: nothing to be pushed sideways, nothing that overlaps."""
    resize(browser, 375, 800)
    browser.get(f"{instance.url}/")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 375
    wide = browser.execute_script(
        "return [...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > 376)"
        ".map(e => e.outerHTML.slice(0, 80))"
    )
    assert wide == []
    tiles = browser.find_elements(By.CSS_SELECTOR, ".tile")
    assert len({tile.rect["x"] for tile in tiles}) == 2, "two beside each other"
    assert browser.find_element(By.CSS_SELECTOR, "table.board").is_displayed()
    assert complaints(browser) == []


def test_without_javascript(instance, own_redis, browser, eventually):
    """Hardened browsers run none; the page is whole, and comes again by itself."""
    run_scripts(browser, allowed=False)
    browser.get(f"{instance.url}/")
    assert browser.find_element(By.CSS_SELECTOR, "#summary .headline").text == "Ready"
    assert len(browser.find_elements(By.CSS_SELECTOR, "svg.chart polyline")) == 10
    own_redis.kill()

    def says_so():
        found = browser.find_elements(By.CSS_SELECTOR, "#summary .headline")
        return [each.text for each in found] == ["Serving, degraded"]

    eventually(lambda: _calmly(says_so), "the page has come again")
    assert complaints(browser) == []


def test_the_page_lives(database, instance, own_redis, browser, eventually):
    """What people look at in an outage must be right by itself, without anybody pressing reload."""
    browser.get(f"{instance.url}/")
    assert browser.title == "aragora_db: healthy"
    assert browser.find_element(By.CSS_SELECTOR, "#summary .headline").text == "Ready"
    rows = browser.find_elements(By.CSS_SELECTOR, "table.board tbody tr")
    assert len(rows) == 10
    assert "claude-critic" in rows[0].text or "gpt-architect" in rows[0].text
    lines = browser.find_elements(By.CSS_SELECTOR, "svg.chart polyline")
    assert len(lines) == 10
    assert all(line.rect["width"] > 100 and line.rect["height"] > 10 for line in lines), "they are to be seen"
    if os.environ.get(SCREENSHOT):
        _shoot(browser)

    database.transact(_let_win)
    eventually(lambda: EVIL in shown(browser, "table.board tbody tr"), "the new leader is shown")
    assert browser.title == "aragora_db: healthy"

    own_redis.kill()
    eventually(lambda: "Away" in shown(browser, ".tiles"), "the page says so")
    assert shown(browser, "#summary .headline") == "Serving, degraded"
    eventually(lambda: browser.title == "aragora_db: degraded", "the title says so")
    assert complaints(browser) == []
    assert hosts(browser) == {urlsplit(instance.url).netloc}

    instance.process.kill()
    eventually(lambda: browser.find_element(By.ID, "stale").is_displayed(), "the warning is shown")


def _calmly(look):
    """The element may go while one looks: the page is just being replaced. Chromium has more than one word for it."""
    try:
        return look()
    except WebDriverException:
        return False


def _shoot(browser):
    height = browser.execute_script("return document.documentElement.scrollHeight")
    resize(browser, 1200, height)
    image = Path(__file__).parents[2] / "docs" / "images" / "status-page.png"
    image.parent.mkdir(exist_ok=True)
    browser.save_screenshot(str(image))
    resize(browser, 1200, 900)
