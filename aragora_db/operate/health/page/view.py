"""The page's content from results, pool metrics and the board."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aragora_db.operate.health.page.curves import chart, meter, spark, spread
from aragora_db.operate.health.page.markup import Markup, element, join
from aragora_db.operate.health.result import CheckResult, HealthReport, HealthState

if TYPE_CHECKING:
    from aragora_db.engine.pool_metrics import Durations, PoolMetrics
    from aragora_db.operate.health.page.board import Board

__all__ = ["main", "summary"]

_ICONS = {
    HealthState.OK: "\u25cf",
    HealthState.DEGRADED: "\u25b2",
    HealthState.FAILED: "\u25a0",
    HealthState.NOT_CONFIGURED: "\u25cb",
}
_WORDS = {
    HealthState.OK: "ok",
    HealthState.DEGRADED: "degraded",
    HealthState.FAILED: "failed",
    HealthState.NOT_CONFIGURED: "not configured",
}

_WHAT = {
    "database": ("Database", "a pooled connection answers"),
    "database_pool": ("Connection pool", "a connection is free"),
    "schema": ("Schema", "this version can use it"),
    "storage": ("Storage", "a debate can be read"),
    "elo": ("Ratings", "a rating can be read"),
    "redis": ("Redis", "it answers"),
    "replicas": ("Replicas", "each takes part"),
    "secrets": ("Secrets", "no older than allowed"),
}
_HOT = 85.0  # per cent of the pool
_MIGRATION = {
    "at head": ("At head", "no revision is pending"),
    "behind": ("Behind", "run aragora-db migrate"),
    "ahead": ("Ahead", "deploy the newer version"),
    "diverged": ("Diverged", "two lines of revisions"),
    "empty": ("Empty", "run aragora-db migrate"),
    "unversioned": ("Unversioned", "no version table"),
}


def summary(report: HealthReport) -> Markup:
    """Whether all is well, in one line."""
    worst = HealthState.FAILED if report.failed else HealthState.DEGRADED
    troubled = [_WHAT[name][0] for name, result in report.results.items() if result.state is worst]
    if report.draining:
        kind, headline, why = "degraded", "Leaving", "Not ready any more; requests under way are finished."
    elif report.failed:
        kind, headline, why = "failed", "Not ready", f"Cannot serve without: {', '.join(troubled)}."
    elif report.degraded:
        kind, headline, why = "degraded", "Serving, degraded", f"Look at: {', '.join(troubled)}."
    else:
        kind, headline, why = "ok", "Ready", "Every check passes."
    icon = _ICONS[HealthState(kind)]
    words = element("div", element("p", headline, class_="headline"), element("p", why, class_="why"))
    return element("div", element("span", icon, class_="icon", aria_hidden="true"), words, class_=f"banner {kind}")


def main(report: HealthReport, pool: PoolMetrics, board: Board | None) -> Markup:
    """Tiles, leaderboard, pool, checks and replicas."""
    return join(
        (
            _tiles(report, pool),
            _leaderboard(board),
            element(
                "div",
                element("div", _pool(pool), _replicas(report.results["replicas"])),
                _checks(report),
                class_="columns",
            ),
        )
    )


def _tiles(report: HealthReport, pool: PoolMetrics) -> Markup:
    found = report.results
    most = pool.size + pool.max_overflow
    share = 100 * pool.in_use / most if most else 0.0
    bar = meter(
        [("hot" if share >= _HOT else "used", share), ("idle", 100 * pool.idle / most if most else 0.0)],
        f"{pool.in_use} in use, {pool.idle} idle, of {most}",
    )
    schema = _MIGRATION.get(found["schema"].detail.get("verdict", ""), ("Unknown", "the database did not say"))
    latency = found["database"]
    answered = latency.state is HealthState.OK
    speed = join((f"{latency.latency_ms:.1f} ", element("small", "ms"))) if answered else "No answer"
    return element(
        "dl",
        _tile("Pool in use", found["database_pool"], join((pool.in_use, " ", element("small", f"of {most}"))), bar),
        _tile("Database", latency, speed, "SELECT 1, round trip" if answered else latency.detail.get("error", "")),
        _tile("Redis", found["redis"], *_redis(found["redis"])),
        _tile("Replicas", found["replicas"], *_replica_words(found["replicas"])),
        _tile("Migrations", found["schema"], *schema),
        _tile("Secrets", found["secrets"], *_secrets(found["secrets"])),
        class_="tiles",
    )


def _tile(name: str, result: CheckResult, value: object, note: object = "") -> Markup:
    under = note if isinstance(note, Markup) else element("p", note, class_="note")
    mark = element("span", *_state(result.state, "hidden"), class_=f"state {result.state}")
    return element("div", element("dt", name, mark), element("dd", value, under), class_="tile")


def _state(state: HealthState, word_class: str | None = None) -> tuple[Markup, Markup]:
    """A sign for the eye and a word for everybody."""
    return (
        element("span", _ICONS[state], aria_hidden="true", class_="sign"),
        element("span", _WORDS[state], class_=word_class),
    )


def _redis(result: CheckResult) -> tuple[str, str]:
    if result.state is HealthState.NOT_CONFIGURED:
        return "None", "reads go to the database"
    if result.ok:
        return "Connected", f"{result.latency_ms:.1f} ms"
    return "Away", "reads go to the database"


def _replica_words(result: CheckResult) -> tuple[object, str]:
    if result.state is HealthState.NOT_CONFIGURED:
        return "None", "reads go to the primary"
    replicas = result.detail.get("replicas", ())
    if not replicas:
        return "Unknown", "no answer"
    healthy = sum(bool(each["healthy"]) for each in replicas)
    lags = [each["lag_seconds"] for each in replicas if each["lag_seconds"] is not None]
    note = f"up to {max(lags):.1f} s behind" if lags else "lag not known"
    return join((healthy, " ", element("small", f"of {len(replicas)}"))), note


def _secrets(result: CheckResult) -> tuple[str, str]:
    if result.state is HealthState.NOT_CONFIGURED:
        return "None", "settings from the environment"
    age = result.detail.get("age_seconds")
    return ("Fresh" if result.ok else "Stale"), (f"read {age:.0f} s ago" if age is not None else "not read yet")


def _leaderboard(board: Board | None) -> Markup:
    title = element("h2", "Leaderboard", id="leaderboard")
    if board is None:
        inside = element("p", "The database did not answer.", class_="empty")
    elif not board.standings:
        inside = element("p", "No agent has a rating yet. It takes one match.", class_="empty")
    else:
        head = element(
            "tr",
            element("th", "#", scope="col", class_="n"),
            element("th", "Agent", scope="col"),
            element("th", "Rating", scope="col", class_="n"),
            element("th", "Change", scope="col", class_="n"),
            element("th", "Wins / losses / draws", scope="col", class_="n wide"),
            element("th", "Last 40 ratings", scope="col", class_="n wide"),
        )
        rows = [_standing(board, place) for place in range(len(board.standings))]
        table = element(
            "table", element("thead", head), element("tbody", *rows), aria_labelledby="leaderboard", class_="board"
        )
        inside = join((chart(board.curves), element("div", table, class_="scroll")))
    sub = element("p", "The ten best by overall ELO rating, and how they came there", class_="sub")
    return element("section", title, sub, inside, aria_labelledby="leaderboard")


def _standing(board: Board, place: int) -> Markup:
    standing = board.standings[place]
    curve = board.curves.get(standing.agent_name, ())
    change = standing.elo - curve[0][1] if curve else 0.0
    kind = "up" if change > 0 else "down" if change < 0 else "dim"
    swatch = element(
        "svg", Markup('<rect width="10" height="10" rx="3"/>'), class_=f"swatch c{place}", aria_hidden="true"
    )
    return element(
        "tr",
        element("td", place + 1, class_="n dim"),
        element("th", swatch, standing.agent_name, scope="row"),
        element("td", f"{standing.elo:.1f}", class_="n"),
        element("td", f"{change:+.1f}" if change else "0", class_=f"n {kind}"),
        element("td", f"{standing.wins} / {standing.losses} / {standing.draws}", class_="n wide"),
        element("td", spark(curve, place, standing.agent_name), class_="n wide"),
    )


def _pool(pool: PoolMetrics) -> Markup:
    rows = (
        ("In use now", pool.in_use),
        ("Idle now", pool.idle),
        ("Kept open", pool.size),
        ("More during a burst", pool.max_overflow),
        ("Handed out so far", f"{pool.checkouts:,}"),
        ("Time-outs so far", f"{pool.timeouts:,}"),
    )
    body = [element("tr", element("th", name, scope="row"), element("td", value, class_="n")) for name, value in rows]
    table = element("table", element("tbody", *body), aria_labelledby="pool")
    spreads = element(
        "div", _durations("Waited for one", pool.wait), _durations("Held one", pool.hold), class_="durations"
    )
    return element("section", element("h2", "Connection pool", id="pool"), table, spreads, aria_labelledby="pool")


def _durations(title: str, durations: Durations) -> Markup:
    mean = durations.total / durations.count if durations.count else 0.0
    words = f"mean {mean * 1000:.2f} ms, longest {durations.longest * 1000:.1f} ms"
    return element("div", element("h3", title), element("p", words), spread(durations, f"{title}: {words}"))


def _checks(report: HealthReport) -> Markup:
    head = element(
        "tr",
        element("th", "Check", scope="col"),
        element("th", "State", scope="col"),
        element("th", "Took", scope="col", class_="n"),
    )
    rows = [
        element(
            "tr",
            element("th", _WHAT[name][0], element("span", _WHAT[name][1], class_="what"), scope="row"),
            element("td", *_state(result.state), class_=f"state {result.state}"),
            element("td", f"{result.latency_ms:.1f} ms", class_="n dim"),
        )
        for name, result in report.results.items()
    ]
    table = element("table", element("thead", head), element("tbody", *rows), aria_labelledby="checks")
    return element("section", element("h2", "Checks", id="checks"), table, aria_labelledby="checks")


def _replicas(result: CheckResult) -> Markup:
    replicas = result.detail.get("replicas", ())
    if not replicas:
        return Markup("")
    head = element("tr", *(element("th", each, scope="col") for each in ("Replica", "State", "Behind", "Why")))
    rows: list[Markup] = []
    for each in replicas:
        state = HealthState.OK if each["healthy"] else HealthState.DEGRADED
        word = "takes part" if each["healthy"] else "left out"
        lag = "" if each["lag_seconds"] is None else f"{each['lag_seconds']:.2f} s"
        row = element(
            "tr",
            element("th", each["replica"], scope="row"),
            element(
                "td", element("span", _ICONS[state], aria_hidden="true", class_="sign"), word, class_=f"state {state}"
            ),
            element("td", lag),
            element("td", each["reason"] or ""),
        )
        rows.append(row)
    table = element("table", element("thead", head), element("tbody", *rows), aria_labelledby="replicas")
    return element("section", element("h2", "Replicas", id="replicas"), table, aria_labelledby="replicas")
