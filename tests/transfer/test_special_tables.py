"""Tables whose rows are more than their columns. Read column by column they would be carried, and be wrong."""

from __future__ import annotations

import hashlib
import json
import struct
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from aragora_db.errors import ConflictError
from aragora_db.models import Base
from aragora_db.stores import CalibrationStore, ContinuumStore, EloStore, GenesisStore
from aragora_db.transfer.rows.translate import CHECKS
from aragora_db.transfer.source.shapes import DERIVED
from aragora_db.transfer.target.parking import from_json

NOON = "2026-01-15 12:00:00"
AT_NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)

CONSENSUS = (
    "CREATE TABLE consensus (id TEXT PRIMARY KEY, topic TEXT, topic_hash TEXT, conclusion TEXT, strength TEXT,"
    " confidence REAL, domain TEXT, tags TEXT, timestamp TEXT, data TEXT);"
)
EVENTS = (
    "CREATE TABLE genesis_events (event_id TEXT PRIMARY KEY, event_type TEXT, timestamp TEXT, parent_event_id TEXT,"
    " content_hash TEXT, data TEXT);"
)
RATINGS = "CREATE TABLE ratings (agent_name TEXT PRIMARY KEY, elo REAL, domain_elos TEXT, updated_at TEXT);"
MATCHES = (
    "CREATE TABLE matches (id INTEGER PRIMARY KEY, debate_id TEXT, winner TEXT, participants, scores, elo_changes,"
    " created_at TEXT);"
)


def consensus(name: str, data: Any, tags: str | None = '["old"]') -> tuple[Any, ...]:
    """A consensus whose columns all say something of their own."""
    text = data if data is None or isinstance(data, str) else json.dumps(data)
    return name, "column", "h", "column", "weak", 0.25, "column", tags, "2026-01-15T12:00:00", text


def test_data_is_right(importer, sources):
    """Aragora reads a consensus from `data` alone: where a column differs, it is the column that is out of date."""
    whole = {
        "topic": "data", "conclusion": "data", "strength": "strong", "confidence": 0.75, "domain": "data",
        "tags": ["new", "naïve 🙂"], "timestamp": "2026-01-16T12:00:00", "rounds": 3,
    }  # fmt: skip
    wrong = {"strength": "no such", "confidence": "high", "tags": None, "timestamp": "yesterday", "topic": 7}
    sources.write(
        "consensus.db", CONSENSUS,
        rows={"consensus": [consensus("a", whole), consensus("b", {}), consensus("c", wrong, None)]},
    )  # fmt: skip
    assert importer().good
    columns = ("id", "topic", "conclusion", "strength", "confidence", "domain", "tags")
    assert importer.rows("consensus", *columns) == [
        ("a", "data", "data", "strong", 0.75, "data", ["new", "naïve 🙂"]),
        ("b", "column", "column", "weak", 0.25, "column", ["old"]),
        ("c", "column", "column", "weak", 0.25, "column", None),
    ]
    assert [row[1].day for row in importer.rows("consensus", "id", "timestamp")] == [16, 15, 15]
    assert [row[1] for row in importer.rows("consensus", "id", "data")] == [whole, {}, wrong]
    assert importer(verify_only=True).good


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, "data: NULL where a value is needed"),
        ("", "data: NULL where a value is needed"),
        ("[1, 2]", "data: JSON, but no object"),
        ("{'a': 1}", "data: not JSON"),
        ('{"confidence": NaN}', "data: not JSON: NaN is no JSON number"),
    ],
)
def test_data_that_nobody_can_read(importer, sources, data, reason):
    """Without `data` there is no consensus: it is refused with the reason, and the next one goes on."""
    sources.write("consensus.db", CONSENSUS, rows={"consensus": [consensus("bad", data), consensus("good", {})]})
    found = importer.one("consensus")
    assert (found.carried, found.rejected, dict(found.reasons)) == (1, 1, {reason: 1})
    assert importer.rows("consensus", "id") == [("good",)]


def event(name: str, parent: str | None, data: dict[str, Any], kept: dict[str, Any] | None = None) -> tuple[Any, ...]:
    """An event as Aragora writes it; `kept` is what stands in the row if that is not what was hashed."""
    at = "2026-01-15T12:00:00.000001"
    fields = {"event_id": name, "event_type": "debate_start", "timestamp": at, "parent_event_id": parent, "data": data}
    digest = hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
    return name, "debate_start", at, parent, digest, json.dumps(data if kept is None else kept)


def test_hashes_of_genesis(importer, sources):
    """The ledger proves something only as long as its hashes verify: of JSON as text, to the last digit and escape."""
    odd = {"z": 1.10, "a": 1e16, "n": "naïve 🙂", "big": 2**62, "nested": {"b": [], "a": None}, "zero": -0.0}
    sources.write(
        "genesis.db", EVENTS,
        rows={"genesis_events": [event("a", None, odd), event("b", "a", {}), event("c", "b", {"x": 1}, {"x": 2})]},
    )  # fmt: skip
    assert importer().good
    with importer.database.session(read_only=True) as session:
        found = GenesisStore(session).verify_ledger()
        assert (found.events, found.broken, found.unverifiable) == (3, 0, 1)
    assert importer.rows("genesis_events", "event_id", "hashed_text")[2] == ("c", None)
    assert importer(verify_only=True).good


def test_domain_ratings(importer, sources):
    """One JSON column becomes rows that can be ranked; a rating that is no number takes the whole agent back."""
    bad = ['{"ux": "high"}', "[1]", "no JSON", '{"ux": 1e999}', '{"ux": true}', b"{}"]
    good = [
        ("none", 1500.0, None, NOON), ("empty", 1500.0, "{}", NOON), ("blank", 1500.0, "", NOON),
        ("kimi", 1600.5, '{"ux": 1510.25, "naïve 🙂": 7, "": 1}', NOON),
    ]  # fmt: skip
    sources.write(
        "elo.db", RATINGS,
        rows={"ratings": [*good, *((f"bad {n}", 1500.0, text, NOON) for n, text in enumerate(bad))]},
    )  # fmt: skip
    found = importer.one("ratings")
    assert (found.carried, found.rejected) == (4, len(bad))
    assert sum(count for reason, count in found.reasons.items() if reason.startswith("domain_elos: ")) == len(bad)
    assert importer.rows("elo_ratings", "agent_name") == [("blank",), ("empty",), ("kimi",), ("none",)]
    assert importer.rows("elo_domain_ratings", "agent_name", "domain", "elo") == [
        *(("kimi", "", 1.0), ("kimi", "naïve 🙂", 7.0), ("kimi", "ux", 1510.25))
    ]


def test_participants(importer, sources):
    """Who took part, in the order of the debate, with scores where there are some; nonsense takes the match back."""
    good = [
        (1, "d1", "kimi", '["grok", "kimi"]', '{"kimi": 1.0, "grok": 0}', '{"kimi": 16.5}', NOON),
        (2, "d2", None, None, None, None, NOON),
        (3, "d3", None, "[]", "{}", "", NOON),
        (4, "d4", None, '["na\\u00efve \\ud83d\\ude42", "tab\\tin it"]', None, None, NOON),
    ]
    bad = [
        (5, "d5", None, '["a", "a"]', "{}", "{}", NOON),
        (6, "d6", None, '["a"]', '{"b": 1.0}', "{}", NOON),
        (7, "d7", None, '["a"]', '{"a": "much"}', "{}", NOON),
        (8, "d8", None, '{"a": 1}', "{}", "{}", NOON),
        (9, "d9", None, '["a", null]', "{}", "{}", NOON),
        (10, "d10", None, '["a", 7]', "{}", "{}", NOON),
        (11, "d11", None, '["a"]', "{}", '{"z": 1}', NOON),
        (12, "d12", None, '["\\u0000"]', "{}", "{}", NOON),
    ]
    sources.write("elo.db", MATCHES, rows={"matches": good + bad})
    found = importer.one("matches")
    assert (found.carried, found.rejected) == (4, len(bad))
    assert importer.rows("elo_matches", "id") == [(1,), (2,), (3,), (4,)]
    columns = ("match_id", "position", "agent_name", "score", "elo_change", "k_multiplier")
    assert importer.rows("elo_match_participants", *columns) == [
        (1, 0, "grok", 0.0, None, None),
        (1, 1, "kimi", 1.0, 16.5, None),
        (4, 0, "naïve 🙂", None, None, None),
        (4, 1, "tab\tin it", None, None, None),
    ]


def test_predictions_are_resolved(importer, sources):
    """Aragora counted them already and does not mark it: resolving them again would count them twice."""
    sources.write(
        "elo.db",
        "CREATE TABLE calibration_predictions (id INTEGER PRIMARY KEY, tournament_id TEXT, predictor_agent TEXT,"
        " predicted_winner TEXT, confidence REAL, created_at TEXT);",
        rows={"calibration_predictions": [(1, "t", "kimi", "grok", 0.75, NOON)]},
    )
    assert importer().good
    assert importer.rows("elo_calibration_predictions", "created_at", "resolved_at", "actual_winner") == [
        (AT_NOON, AT_NOON, None)
    ]
    with (
        pytest.raises(ConflictError, match="resolved with the winner None"),
        importer.database.session() as session,
    ):
        CalibrationStore(session).resolve_predictions("t", "grok")
    assert importer.count("elo_calibration_buckets") == 0
    assert importer(verify_only=True).good


def test_embeddings(importer, sources):
    """A vector is the same to the last bit, or similar texts are not similar any more; half a number is no vector."""
    vector = (1 / 3, -1e-45, 3.4028234663852886e38, 0.0, 1e-30)
    blob = struct.pack("<5f", *vector)
    rows = [
        ("ok", "h1", "t", blob, "p", NOON), ("empty", "h2", "t", b"", "p", NOON), ("null", "h3", "t", None, "p", NOON),
        ("cut", "h4", "t", blob[:-1], "p", NOON), ("nan", "h5", "t", struct.pack("<f", float("nan")), "p", NOON),
        ("text", "h6", "t", "0000", "p", NOON), ("double", "h7", "t", 1.5, "p", NOON),
    ]  # fmt: skip
    table = "CREATE TABLE embeddings (id TEXT PRIMARY KEY, text_hash TEXT, text, embedding, provider, created_at);"
    sources.write("embeddings.db", table, rows={"embeddings": rows})
    found = importer.one("embeddings")
    assert (found.carried, found.rejected) == (2, 5)
    stored = dict(importer.rows("debate_embeddings", "id", "embedding"))
    assert struct.pack("<5f", *stored["ok"]) == blob
    assert stored["null"] is None


def test_bytes_of_the_continuum(importer, sources):
    """A centroid is bytes, not numbers: NUL, 0xff and what looks like an escape are kept."""
    blob = bytes(range(256)) + b"\\x00\\N\n\t"
    table = "CREATE TABLE continuum_memory (id TEXT PRIMARY KEY, tier TEXT, content TEXT, semantic_centroid BLOB);"
    sources.write("continuum.db", table, rows={"continuum_memory": [("m", "slow", "", blob), ("n", "slow", "", b"")]})
    assert importer().good
    assert importer.rows("continuum_memory", "id", "semantic_centroid") == [("m", blob), ("n", b"")]


def test_revoked_tokens(importer, sources):
    """Unix seconds, as numbers or as digits. A token that is valid again, or for ever, is a hole."""
    table = "CREATE TABLE token_blacklist (jti TEXT PRIMARY KEY, expires_at, revoked_at);"
    seconds = 1_795_361_143.25
    rows = [("real", seconds, 1_795_327_605), ("text", "1795361143.25", "1795327605"), ("ms", seconds * 1000, 0.0)]
    sources.write("token_blacklist.db", table, rows={"token_blacklist": rows})
    found = importer.one("token_blacklist")
    assert (found.carried, found.rejected) == (2, 1)
    assert list(found.reasons) == ["expires_at: not an instant: too many seconds since 1970: are these milliseconds?"]
    times = datetime.fromtimestamp(seconds, UTC), datetime.fromtimestamp(1_795_327_605, UTC)
    assert importer.rows("token_blacklist", "jti", "expires_at", "revoked_at") == [("real", *times), ("text", *times)]


def test_what_follows_from_the_rows(importer, sources):
    """Imported memories and matches must be found like any other, though no store wrote them."""
    sources.write("continuum.db", sources.script("continuum"))
    sources.write(
        "elo.db", MATCHES,
        rows={
            "matches": [
                (1, "d1", "kimi", '["grok", "kimi"]', '{"kimi": 1, "grok": 0}', "{}", NOON),
                (2, "d2", None, '["kimi", "grok"]', '{"kimi": 1, "grok": 1}', "{}", NOON),
                (3, "d3", "yi", '["kimi", "yi", "grok"]', "{}", "{}", NOON),
            ]
        },
    )  # fmt: skip
    assert importer().good
    with importer.database.session(read_only=True) as session:
        assert EloStore(session).head_to_head("kimi", "grok") == (3, 1, 0, 1)
        assert EloStore(session).head_to_head("grok", "yi") == (1, 0, 1, 0)
        memory = importer.rows("continuum_memory", "id", "content")[0]
        word = max(memory[1].split(), key=len)
        found = ContinuumStore(session).retrieve(keywords=[word], now=datetime(2026, 11, 22, tzinfo=UTC))
        assert memory[0] in {each.memory.id for each in found}
        assert ContinuumStore(session).retrieve(keywords=["nonexistent"]).items == ()


def test_rejected_rows_are_whole(importer, sources):
    """What is refused is in the rejects file with every byte, so that someone can mend it and bring it again."""
    sources.write("elo.db", RATINGS, rows={"ratings": [("kimi", "high", "{\x00", b"\xff")]})
    report = importer()
    assert not report.good
    line = json.loads(next(importer.output.glob("*.rejects.jsonl")).read_text(encoding="utf-8"))
    assert (line["table"], line["rowid"], line["column"]) == ("ratings", 1, "elo")
    assert from_json({"base64": line["base64"]}) == b"high"
    assert {name: (kind, from_json({"base64": raw})) for name, (kind, raw) in line["row"].items()} == {
        "agent_name": ("text", b"kimi"),
        "elo": ("text", b"high"),
        "domain_elos": ("text", b"{\x00"),
        "updated_at": ("blob", b"\xff"),
    }


BUCKETS = (
    "CREATE TABLE calibration_buckets (agent_name TEXT, domain TEXT, bucket_key TEXT, predictions INTEGER,"
    " correct INTEGER, brier_sum REAL);"
)


def test_a_row_that_breaks_a_check_does_not_stop_its_table(importer, sources):
    """PostgreSQL would refuse the whole COPY; the row goes to the rejects file, and the others are carried."""
    rows = [("kimi", "law", "0.1-0.2", 1, 1, 0.1), ("kimi", "law", "0" * 17, 1, 1, 0.1)]
    sources.write("agent_elo.db", BUCKETS, rows={"calibration_buckets": rows})
    (table,) = importer().tables
    assert (table.carried, table.rejected, table.failed) == (1, 1, None)
    assert list(table.reasons) == ["bucket_key is longer than 16 characters"]
    assert importer.count("elo_calibration_buckets") == 1


def test_every_check_of_several_columns_or_with_a_function_is_known_to_the_import():
    """A new one has to be added, or one bad row stops the import of its table."""
    not_imported = {*DERIVED, "fencing_tokens"}
    for name, table in Base.metadata.tables.items():
        own = [
            each
            for each in table.constraints
            if type(each) is sa.CheckConstraint and not str(each.sqltext).partition(" IN (")[0].isidentifier()
        ]
        if own and name not in not_imported:
            assert len(CHECKS.get(name, ())) >= len(own), f"add {name} to CHECKS in transfer/rows/translate.py"
