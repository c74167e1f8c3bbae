"""Who debates, and about what."""

from __future__ import annotations

from dataclasses import dataclass

from aragora_db.models import DissentType

__all__ = ["AGENTS", "LESSONS", "TOPICS", "Agent", "Topic"]


@dataclass(frozen=True)
class Agent:
    """A debater. `expertise` maps domains to 0..1; it is what the scores are drawn around."""

    name: str
    description: str
    traits: tuple[str, ...]
    expertise: dict[str, float]


@dataclass(frozen=True)
class Topic:
    """A question of one domain, the claims that can be made, and the objections to any of them."""

    domain: str
    task: str
    claims: tuple[str, ...]
    objections: tuple[tuple[DissentType, str], ...]


LESSONS = {
    "security": "A claim about an attacker needs the attacker's cost, or it convinces nobody.",
    "performance": "Numbers from the same run beat numbers from memory.",
    "architecture": "The side that names what it gives up is believed about what it gains.",
    "testing": "An example that fails today ends more arguments than a principle.",
}
"""What agents learn in a domain, debate by debate."""


def _agent(name: str, description: str, traits: str, **expertise: float) -> Agent:
    return Agent(name, description, tuple(traits.split()), expertise)


AGENTS = (
    _agent(
        "claude-critic",
        "Finds the sentence on which the whole argument stands, and leans on it.",
        "thorough direct",
        security=0.82,
        performance=0.48,
        architecture=0.66,
        testing=0.7,
    ),
    _agent(
        "gpt-architect",
        "Draws the boxes first and asks what crosses the lines between them.",
        "innovative collaborative",
        security=0.46,
        performance=0.55,
        architecture=0.84,
        testing=0.5,
    ),
    _agent(
        "gemini-analyst",
        "Wants a measurement, and then a second one.",
        "thorough pragmatic",
        security=0.5,
        performance=0.86,
        architecture=0.52,
        testing=0.6,
    ),
    _agent(
        "mistral-skeptic",
        "Takes the other side, and means it.",
        "contrarian direct",
        security=0.74,
        performance=0.44,
        architecture=0.5,
        testing=0.52,
    ),
    _agent(
        "llama-pragmatist",
        "Asks who will be on call when it breaks.",
        "pragmatic conservative",
        security=0.48,
        performance=0.66,
        architecture=0.62,
        testing=0.5,
    ),
    _agent(
        "deepseek-prover",
        "Prefers what can be shown to what can be shown off.",
        "thorough conservative",
        security=0.58,
        performance=0.6,
        architecture=0.42,
        testing=0.84,
    ),
)

TOPICS = (
    Topic(
        "security",
        "Should service tokens live for an hour or for a day?",
        (
            "An hour: a stolen token is worth little by the time it is sold.",
            "A day, with revocation that is actually tested every week.",
            "An hour for people, a day for machines that prove where they run.",
            "As long as the deployment lives: rotate with the release.",
        ),
        (
            (DissentType.RISK_WARNING, "When the issuer is down for an hour, everything is down after an hour."),
            (DissentType.EDGE_CASE_CONCERN, "A batch job that runs for ninety minutes dies in its last third."),
        ),
    ),
    Topic(
        "security",
        "Do we pin every dependency by hash?",
        (
            "Yes, all of them: a name is a promise and a hash is a fact.",
            "Yes for what ships, no for the tools that build it.",
            "Pin versions, and watch the advisories instead.",
        ),
        (
            (DissentType.MINOR_QUIBBLE, "A lock file that nobody reviews is only a longer version number."),
            (DissentType.RISK_WARNING, "Pins without a schedule for updates keep last year's hole open."),
        ),
    ),
    Topic(
        "performance",
        "Where should the leaderboard be cached?",
        (
            "Nowhere: an index on (elo, name) answers in a millisecond.",
            "In Redis for ten seconds, and cleared when a match is committed.",
            "In the process, because a stale leaderboard hurts nobody for five seconds.",
            "In a table that the writer keeps up to date.",
        ),
        (
            (DissentType.ALTERNATIVE_APPROACH, "Send fewer columns first; most of the time goes into the JSON."),
            (DissentType.FUNDAMENTAL_DISAGREEMENT, "Nobody has shown that it is slow."),
        ),
    ),
    Topic(
        "performance",
        "Is one statement for a whole match worth its complexity?",
        (
            "Yes: one round trip instead of six is the whole latency.",
            "Only where the database is in another zone.",
            "No: the lock is held as long either way, and six statements can be read.",
        ),
        (
            (DissentType.EDGE_CASE_CONCERN, "A rating inserted by the same statement is invisible to its own lock."),
            (DissentType.MINOR_QUIBBLE, "The ratio depends on the pool's ping, and that was not in the comparison."),
        ),
    ),
    Topic(
        "architecture",
        "One database for all domains, or one for each?",
        (
            "One: a debate is one transaction, and it touches five domains.",
            "One for each: what fails alone should be stored alone.",
            "One server, a schema for each domain, and no joins between them.",
            "One now, with the borders written down, so that it can be cut later.",
        ),
        (
            (DissentType.FUNDAMENTAL_DISAGREEMENT, "A border that no machine checks is a wish."),
            (DissentType.ALTERNATIVE_APPROACH, "Split by how fast the data grows, not by what it is called."),
        ),
    ),
    Topic(
        "architecture",
        "Can a migration ever go backward?",
        (
            "Never: write the revision that undoes it, and keep the history true.",
            "On a laptop yes, on a server no, and the tool must know the difference.",
            "Only before the first row is written under the new schema.",
        ),
        (
            (DissentType.RISK_WARNING, "A compensating revision written at three in the morning is a guess."),
            (DissentType.MINOR_QUIBBLE, "Call it forward-only in the command as well, not only in the manual."),
        ),
    ),
    Topic(
        "testing",
        "Do we test against a mock of the database or against the database?",
        (
            "The database: a mock agrees with whoever wrote it.",
            "Both: mocks while typing, the database before merging.",
            "The database, copied from a template so that it costs ten milliseconds.",
            "Fakes at the store's border, and a handful of end to end runs.",
        ),
        (
            (DissentType.EDGE_CASE_CONCERN, "Timeouts and lost connections still have to be staged by somebody."),
            (DissentType.ALTERNATIVE_APPROACH, "Record what the server said once, and replay that."),
        ),
    ),
    Topic(
        "testing",
        "What does a flaky test deserve?",
        (
            "A bug report against the code, until the test is proved guilty.",
            "Quarantine for a week, then deletion.",
            "A seed, a loop of a thousand runs, and an answer today.",
        ),
        (
            (DissentType.FUNDAMENTAL_DISAGREEMENT, "The quarantine is where tests go to be forgotten."),
            (DissentType.RISK_WARNING, "Deleting it removes the only witness of the race."),
        ),
    ),
)
