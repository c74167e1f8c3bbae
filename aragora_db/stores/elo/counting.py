"""Adding predictions to ratings, domains and buckets: in the database, so that no process undoes another's."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy.orm import Session

from aragora_db.models import EloCalibrationBucket, EloDomainCalibration, EloRating
from aragora_db.rules.calibration import brier_score, bucket_key
from aragora_db.rules.elo import INITIAL_RATING
from aragora_db.sql.bulk import insert_rows
from aragora_db.stores.elo.changes import forget

__all__ = ["count_predictions"]


def _added(table: str, key: str, *columns: str, touched: bool = False) -> str:
    """The clause that adds to what is there; `updated_at` only moves forward."""
    changes = [f"{column} = {table}.{column} + excluded.{column}" for column in columns]
    if touched:
        newer = (
            f"CASE WHEN {table}.updated_at < excluded.updated_at THEN excluded.updated_at ELSE {table}.updated_at END"
        )
        changes.append(f"updated_at = {newer}")
    return f"ON CONFLICT ({key}) DO UPDATE SET {', '.join(changes)}"


_RATING = {
    "agent_name": "text",
    "elo": "float8",
    "calibration_total": "int8",
    "calibration_correct": "int8",
    "calibration_brier_sum": "float8",
    "updated_at": "timestamptz",
}
_DOMAIN = {
    "agent_name": "text",
    "domain": "text",
    "total_predictions": "int8",
    "total_correct": "int8",
    "brier_sum": "float8",
    "updated_at": "timestamptz",
}
_BUCKET = {
    "agent_name": "text",
    "domain": "text",
    "bucket_key": "text",
    "predictions": "int8",
    "correct": "int8",
    "brier_sum": "float8",
}
_ADD_RATING = _added("elo_ratings", "agent_name", *list(_RATING)[2:5], touched=True)
_ADD_DOMAIN = _added("elo_domain_calibration", "agent_name, domain", *list(_DOMAIN)[2:5], touched=True)
_ADD_BUCKET = _added("elo_calibration_buckets", "agent_name, domain, bucket_key", *list(_BUCKET)[3:])


def count_predictions(
    session: Session, predictions: Iterable[tuple[str, float, bool]], domain: str | None, now: datetime
) -> None:
    """Add predictions of which the outcome is known, in three statements for any number of them.

    Args:
        session: where.
        predictions: agent, confidence and whether it came true; different agents, in name order, because rows are
            locked in the order given.
        domain: adds to that domain as well, and to its buckets.
        now: when; the time of a row only moves forward.
    """
    scored = [(name, sure, int(correct), brier_score(sure, correct=correct)) for name, sure, correct in predictions]
    if not scored:
        return
    ratings = [(name, INITIAL_RATING, 1, correct, brier, now) for name, _, correct, brier in scored]
    insert_rows(session, "elo_ratings", _RATING, ratings, _ADD_RATING)
    for name, *_ in scored:
        forget(session, EloRating, name)
    if domain is None:
        return
    domains = [(name, domain, 1, correct, brier, now) for name, _, correct, brier in scored]
    insert_rows(session, "elo_domain_calibration", _DOMAIN, domains, _ADD_DOMAIN)
    buckets = [(name, domain, bucket_key(sure), 1, correct, brier) for name, sure, correct, brier in scored]
    insert_rows(session, "elo_calibration_buckets", _BUCKET, buckets, _ADD_BUCKET)
    for name, _, bucket, *_ in buckets:
        forget(session, EloDomainCalibration, (name, domain))
        forget(session, EloCalibrationBucket, (name, domain, bucket))
