"""Translate a source row into rows of our tables, or refuse it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import tzinfo
from functools import partial
from typing import Any, cast

import sqlalchemy as sa

from aragora_db.models import Base
from aragora_db.transfer.rows.converters import ValueRefused, from_sqlite
from aragora_db.transfer.source.shapes import Shape
from aragora_db.transfer.source.snapshot import BrokenText, SourceTable
from aragora_db.types import Double, Json

__all__ = ["CHECKS", "Rows", "Translator", "copy_order"]

Rows = dict[str, list[tuple[Any, ...]]]
"""The rows that one source row becomes, by table; values in the order of `Translator.columns`."""

Values = dict[str, Any]


class Translator:
    """Translates the rows of one source table.

    Args:
        source: the table.
        shape: what it is.
        local: the time zone of naive timestamps.
    """

    def __init__(self, source: SourceTable, shape: Shape, local: tzinfo) -> None:
        self.source, self.shape, self._local = source, shape, local
        target = Base.metadata.tables[shape.target]
        self._place = {name: place for place, name in enumerate(source.columns)}
        self._plan = [(target.columns[ours], self._place[theirs]) for ours, theirs in shape.columns.items()]
        self._rules = _RULES.get(shape.target, ())
        self._checks = CHECKS.get(shape.target, ())
        given = set(shape.columns)
        filled = {column.name for column in target.columns if column.name in _FILLED.get(shape.target, ())}
        self.columns: dict[str, tuple[sa.Column[Any], ...]] = {
            shape.target: copy_order(column for column in target.columns if column.name in given | filled)
        }
        """The columns of the rows, by table, in their order."""
        for part in shape.parts:
            table = Base.metadata.tables[part]
            self.columns[part] = copy_order(column for column in table.columns if column.name in _PART_COLUMNS[part])

    def __call__(self, row: Sequence[Any]) -> Rows:
        """Translate a row: its values, in the source's order, without its number.

        Raises:
            ValueRefused: the row cannot go; nothing of it can.
        """
        values: Values = {}
        for column, place in self._plan:
            try:
                values[column.name] = from_sqlite(row[place], column, self._local)
            except ValueRefused as refused:
                raise ValueRefused(refused.reason, self.source.columns[place]) from None
        raw = _Raw(row, self._place)
        for rule in self._rules:
            rule(values, raw, self._local)
        for is_right, reason in self._checks:
            if not is_right(values):
                raise ValueRefused(reason)
        rows: Rows = {self.shape.target: [tuple(values.get(each.name) for each in self.columns[self.shape.target])]}
        for part in self.shape.parts:
            rows[part] = [tuple(each.get(c.name) for c in self.columns[part]) for each in _PARTS[part](values, raw)]
        return rows


def copy_order(columns: Iterable[sa.Column[Any]]) -> tuple[sa.Column[Any], ...]:
    """Return the columns in the order of a COPY line: numbers and JSON last, which SQL does not format.

    The same for every way of reading a table and for every database, and so are the checksums.
    """
    return tuple(sorted(columns, key=lambda column: (isinstance(column.type, Json), isinstance(column.type, Double))))


class _Raw:
    """A row's values by name, as the file has them; None for what it has not."""

    def __init__(self, row: Sequence[Any], place: Mapping[str, int]) -> None:
        self._row, self._place = row, place

    def __getitem__(self, name: str) -> Any:
        place = self._place.get(name)
        return None if place is None else self._row[place]


# -- rows that one source row is taken apart into ----------------------------------------------------------------------


def _from_json(raw: _Raw, name: str, kind: type) -> Any:
    """A JSON value of a kind, or None for nothing."""
    value = raw[name]
    if value is None or value == "":
        return None
    if isinstance(value, BrokenText | bytes) or not isinstance(value, str):
        raise ValueRefused("JSON is text", name)
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        raise ValueRefused("not JSON", name) from None
    if found is not None and not isinstance(found, kind):
        raise ValueRefused(f"JSON, but no {'object' if kind is dict else 'list'}", name)
    return found


def _number(value: Any, column: str, table: str, name: str) -> float | None:
    try:
        return cast("float | None", from_sqlite(value, Base.metadata.tables[table].columns[column], _NO_ZONE))
    except ValueRefused as refused:
        raise ValueRefused(refused.reason, name) from None


_NO_ZONE = cast("tzinfo", None)


def _name(value: Any, name: str) -> str:
    try:
        return cast("str", from_sqlite(value, Base.metadata.tables["elo_match_participants"].c.agent_name, _NO_ZONE))
    except ValueRefused as refused:
        raise ValueRefused(refused.reason, name) from None


def _domain_ratings(values: Values, raw: _Raw) -> Iterator[Values]:
    ratings: dict[str, Any] = _from_json(raw, "domain_elos", dict) or {}
    for domain, elo in ratings.items():
        number = _number(elo, "elo", "elo_domain_ratings", "domain_elos")
        yield {"agent_name": values["agent_name"], "domain": _name(domain, "domain_elos"), "elo": number}


def _participants(values: Values, raw: _Raw) -> Iterator[Values]:
    listed: list[Any] = _from_json(raw, "participants", list) or []
    names = [_name(each, "participants") for each in listed]
    if len(set(names)) != len(names):
        raise ValueRefused("an agent takes part twice", "participants")
    numbers: dict[str, dict[str, Any]] = {}
    for column in ("scores", "elo_changes"):
        numbers[column] = _from_json(raw, column, dict) or {}
        if not set(numbers[column]) <= set(names):
            raise ValueRefused("names an agent that does not take part", column)
    for position, name in enumerate(names):
        yield {
            "match_id": values["id"],
            "agent_name": name,
            "position": position,
            "score": _number(numbers["scores"].get(name), "score", "elo_match_participants", "scores"),
            "elo_change": _number(
                numbers["elo_changes"].get(name), "elo_change", "elo_match_participants", "elo_changes"
            ),
        }


_PARTS: Mapping[str, Callable[[Values, _Raw], Iterator[Values]]] = {
    "elo_domain_ratings": _domain_ratings,
    "elo_match_participants": _participants,
}
_PART_COLUMNS = {
    "elo_domain_ratings": ("agent_name", "domain", "elo"),
    "elo_match_participants": ("match_id", "agent_name", "position", "score", "elo_change"),
}

# -- columns that take more than a translation -----------------------------------------------------------------------


def _believe_data(table: str, names: Sequence[str], values: Values, raw: _Raw, local: tzinfo) -> None:
    """Take from `data` what the columns repeat: Aragora reads nothing but `data` (memory/consensus.py)."""
    data = values.get("data")
    if data is None:
        raise ValueRefused("NULL where a value is needed", "data")
    if not isinstance(data, dict):
        raise ValueRefused("JSON, but no object", "data")
    said = cast("dict[str, Any]", data)
    columns = Base.metadata.tables[table].columns
    for name in names:
        if said.get(name) is not None and name in values:
            value = json.dumps(said[name]) if name == "tags" else said[name]
            try:
                values[name] = from_sqlite(value, columns[name], local)
            except ValueRefused:
                continue  # the column's own value is good; what `data` says is kept there
    del raw


def _keep_hashed_text(values: Values, raw: _Raw, local: tzinfo) -> None:
    """The text that was hashed, if Aragora's recipe gives the hash; see `aragora_db.rules.ledger`."""
    del local
    if values.get("hashed_text") is not None:
        return
    fields = {
        "data": json.loads(raw["data"] or "{}"),
        "event_id": raw["event_id"],
        "event_type": raw["event_type"],
        "parent_event_id": raw["parent_event_id"],
        "timestamp": raw["timestamp"],
    }
    text = json.dumps(fields, sort_keys=True)
    if hashlib.sha256(text.encode()).hexdigest() == raw["content_hash"]:
        values["hashed_text"] = text


def _count_as_resolved(values: Values, raw: _Raw, local: tzinfo) -> None:
    """Aragora adds a resolved prediction to the ratings and does not mark it: resolving it again would count twice."""
    del raw, local
    if values.get("resolved_at") is None:
        values["resolved_at"] = values["created_at"]


_CONSENSUS = ("topic", "conclusion", "strength", "confidence", "domain", "tags", "timestamp")
_DISSENT = ("agent_id", "dissent_type", "content", "confidence", "timestamp")

_RULES: Mapping[str, tuple[Callable[[Values, _Raw, tzinfo], None], ...]] = {
    "consensus": (partial(_believe_data, "consensus", _CONSENSUS),),
    "consensus_archive": (partial(_believe_data, "consensus_archive", _CONSENSUS),),
    "dissent": (partial(_believe_data, "dissent", _DISSENT),),
    "dissent_archive": (partial(_believe_data, "dissent_archive", _DISSENT),),
    "genesis_events": (_keep_hashed_text,),
    "elo_calibration_predictions": (_count_as_resolved,),
}
_FILLED = {"genesis_events": ("hashed_text",), "elo_calibration_predictions": ("resolved_at",)}


def _has_weight(row: Values) -> bool:
    """PostgreSQL refuses an index entry that overflows, or that would be zero only because it is too small."""
    importance, factor = row.get("importance", 0.5), 1.0 + row.get("surprise_score", 0.0)
    product = importance * factor
    return math.isfinite(product) and (product != 0.0 or importance == 0.0 or factor == 0.0)


CHECKS: Mapping[str, tuple[tuple[Callable[[Values], bool], str], ...]] = {
    "elo_agent_relationships": ((lambda row: row["agent_a"] < row["agent_b"], "agent_a does not come before agent_b"),),
    "active_population": ((lambda row: row["id"] == 1, "the only id is 1"),),
    "continuum_memory": ((_has_weight, "importance x (1 + surprise_score) is beyond a double, and indexed"),),
    "elo_calibration_buckets": (
        (lambda row: len(row["bucket_key"]) <= 16, "bucket_key is longer than 16 characters"),  # noqa: PLR2004
    ),
    "position_history": (
        (lambda row: len(row["position_type"]) <= 64, "position_type is longer than 64 characters"),  # noqa: PLR2004
    ),
}
"""CHECK constraints over several columns or with functions; those of one column are the column's type."""
