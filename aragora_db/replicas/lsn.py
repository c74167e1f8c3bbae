"""Positions in the write-ahead log: where the primary is, and how far a standby has replayed.

https://www.postgresql.org/docs/current/functions-admin.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import Connection

from aragora_db.errors import InvalidValue

__all__ = [
    "PrimaryLook",
    "ReplicaLook",
    "Server",
    "format_position",
    "look_at_primary",
    "look_at_replica",
    "parse_position",
    "replayed_position",
]

# Which cluster, and which run of which server: a copy of a cluster has the same identifier.
_SERVER = "(SELECT system_identifier FROM pg_control_system())::text, pg_postmaster_start_time()::text"

# Flushed is what standbys are sent, and a commit returns when it is flushed. With `off` it returns before; but what is
# inserted may stay unflushed for 15 s on a quiet primary (wal_writer flushes whole pages, snapshots for standbys the
# rest), and no standby could reach it. A transaction that sets it for itself alone is not known here.
_POSITION_OF_COMMITS = (
    "CASE WHEN current_setting('synchronous_commit') = 'off' THEN pg_current_wal_insert_lsn() "
    "ELSE pg_current_wal_flush_lsn() END"
)
_PRIMARY = (
    f"SELECT {_POSITION_OF_COMMITS}::text, pg_current_wal_flush_lsn()::text, "
    "current_setting('wal_block_size')::int, pg_size_bytes(current_setting('wal_segment_size')), "
    f"{_SERVER}"
)
_REPLAYED = "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() END::text"
_REPLICA = f"SELECT pg_is_in_recovery(), {_REPLAYED}, {_SERVER}"

_POSITION = re.compile(r"([0-9A-F]{1,8})/([0-9A-F]{1,8})", re.IGNORECASE)

# A page of the log begins with a header, the first one of a segment file with a longer one (xlog_internal.h).
_PAGE_HEADER, _SEGMENT_HEADER = 24, 40


@dataclass(frozen=True)
class Server:
    """A server process.

    Attributes:
        system: the cluster's identifier, which its standbys share.
        started: when the server started, to the microsecond.
    """

    system: str
    started: str


@dataclass(frozen=True)
class PrimaryLook:
    """Where the primary was.

    Attributes:
        position: everything that was committed before the look lies before it.
        flushed: what it had on its disk and could send to standbys.
        server: which one it is.
    """

    position: int
    flushed: int
    server: Server


@dataclass(frozen=True)
class ReplicaLook:
    """How far a standby was; ``replayed`` is None on a server that is not in recovery, or has replayed nothing."""

    in_recovery: bool
    replayed: int | None
    server: Server


def look_at_primary(connection: Connection) -> PrimaryLook:
    """Ask the primary where it is.

    Raises:
        DatabaseError: it cannot be asked, or it is in recovery itself.
    """
    commits, flushed, page, segment, system, started = connection.exec_driver_sql(_PRIMARY).one()
    return PrimaryLook(
        _end_of_record(parse_position(commits), page, segment),
        _end_of_record(parse_position(flushed), page, segment),
        Server(system, started),
    )


def look_at_replica(connection: Connection) -> ReplicaLook:
    """Ask a replica how far it is.

    Raises:
        DatabaseError: it cannot be asked.
    """
    in_recovery, text, system, started = connection.exec_driver_sql(_REPLICA).one()
    return ReplicaLook(in_recovery, parse_position(text) if text else None, Server(system, started))


def replayed_position(connection: Connection) -> int | None:
    """How far the standby behind this connection is, now; None when it is not in recovery.

    Raises:
        DatabaseError: it cannot be asked.
    """
    text = connection.exec_driver_sql(f"SELECT {_REPLAYED}").scalar()
    return parse_position(text) if text else None


def parse_position(text: str) -> int:
    """Read a position as PostgreSQL writes it, such as ``16/B374D848``.

    Raises:
        InvalidValue: it is none.
    """
    match = _POSITION.fullmatch(text)
    if match is None:
        raise InvalidValue(
            "after is no position in a PostgreSQL log such as 16/B374D848: pass what Database.write_position() returned"
        )
    return int(match[1], 16) << 32 | int(match[2], 16)


def format_position(position: int) -> str:
    """Write a position as PostgreSQL does."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def _end_of_record(position: int, page: int, segment: int) -> int:
    """Where the last record ends.

    At a page's start the insert position lies behind a header that is written with the next record. A standby stops
    before the header, and on an idle primary it would never get there.
    """
    if position % segment == _SEGMENT_HEADER:
        return position - _SEGMENT_HEADER
    return position - _PAGE_HEADER if position % page == _PAGE_HEADER else position
