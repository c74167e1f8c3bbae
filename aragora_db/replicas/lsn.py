"""Query, parse and format log sequence numbers (LSNs) of the primary and its standbys.

https://www.postgresql.org/docs/current/functions-admin.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import Connection

from aragora_db.errors import InvalidValue

__all__ = [
    "PrimaryStatus",
    "ReplicaStatus",
    "ServerIdentity",
    "end_of_record",
    "format_lsn",
    "parse_lsn",
    "query_primary",
    "query_replay_lsn",
    "query_replica",
]

# Which cluster, and which run of which server: a copy of a cluster has the same identifier.
_SERVER = "(SELECT system_identifier FROM pg_control_system())::text, pg_postmaster_start_time()::text"

# Flushed is what standbys are sent, and a commit returns when it is flushed. With `off` it returns before; but what is
# inserted may stay unflushed for 15 s on a quiet primary (wal_writer flushes whole pages, snapshots for standbys the
# rest), and no standby could reach it. A transaction that sets it for itself alone is not known here.
_COMMIT_LSN = (
    "CASE WHEN current_setting('synchronous_commit') = 'off' THEN pg_current_wal_insert_lsn() "
    "ELSE pg_current_wal_flush_lsn() END"
)
_PRIMARY = (
    f"SELECT {_COMMIT_LSN}::text, pg_current_wal_flush_lsn()::text, "
    "current_setting('wal_block_size')::int, pg_size_bytes(current_setting('wal_segment_size')), "
    f"{_SERVER}"
)
_REPLAYED = "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() END::text"
_REPLICA = f"SELECT pg_is_in_recovery(), {_REPLAYED}, {_SERVER}"

_LSN = re.compile(r"([0-9A-F]{1,8})/([0-9A-F]{1,8})", re.IGNORECASE)

# A page of the log begins with a header, the first one of a segment file with a longer one (xlog_internal.h).
_PAGE_HEADER, _SEGMENT_HEADER = 24, 40


@dataclass(frozen=True)
class ServerIdentity:
    """One run of one server.

    Attributes:
        system_identifier: the cluster's identifier, which its standbys share.
        started_at: when the server started, to the microsecond.
    """

    system_identifier: str
    started_at: str


@dataclass(frozen=True)
class PrimaryStatus:
    """The primary's LSNs at the time of a query.

    Attributes:
        commit_lsn: an LSN at or after every commit made before the query.
        flush_lsn: the end of what was on disk and could be sent to standbys.
        server: which server answered.
    """

    commit_lsn: int
    flush_lsn: int
    server: ServerIdentity


@dataclass(frozen=True)
class ReplicaStatus:
    """A replica's answer to a query.

    Attributes:
        in_recovery: False on a primary.
        replay_lsn: None on a server that is not in recovery or has replayed nothing.
        server: which server answered.
    """

    in_recovery: bool
    replay_lsn: int | None
    server: ServerIdentity


def query_primary(connection: Connection) -> PrimaryStatus:
    """Return the primary's LSNs.

    Raises:
        DatabaseError: the query failed, or the server is in recovery.
    """
    commits, flushed, page, segment, system, started = connection.exec_driver_sql(_PRIMARY).one()
    return PrimaryStatus(
        end_of_record(parse_lsn(commits), page, segment),
        end_of_record(parse_lsn(flushed), page, segment),
        ServerIdentity(system, started),
    )


def query_replica(connection: Connection) -> ReplicaStatus:
    """Return whether the server is in recovery and, if so, its replay LSN.

    Raises:
        DatabaseError: the query failed.
    """
    in_recovery, text, system, started = connection.exec_driver_sql(_REPLICA).one()
    return ReplicaStatus(in_recovery, parse_lsn(text) if text else None, ServerIdentity(system, started))


def query_replay_lsn(connection: Connection) -> int | None:
    """Return the replica's replay LSN, or None if the server is not in recovery.

    Raises:
        DatabaseError: the query failed.
    """
    text = connection.exec_driver_sql(f"SELECT {_REPLAYED}").scalar()
    return parse_lsn(text) if text else None


def parse_lsn(text: str) -> int:
    """Parse an LSN in PostgreSQL's notation, such as ``16/B374D848``.

    Raises:
        InvalidValue: the text is not an LSN.
    """
    match = _LSN.fullmatch(text)
    if match is None:
        raise InvalidValue(
            "after is no position in a PostgreSQL log such as 16/B374D848: pass what Database.write_position() returned"
        )
    return int(match[1], 16) << 32 | int(match[2], 16)


def format_lsn(lsn: int) -> str:
    """Format an LSN in PostgreSQL's notation."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def end_of_record(lsn: int, page: int, segment: int) -> int:
    """Return the end of the last record before an insert LSN.

    At a page's start the insert LSN lies behind a header that is written with the next record. A standby stops before
    the header, so on an idle primary it would never reach the insert LSN.

    Args:
        lsn: an insert or flush LSN.
        page: bytes of a WAL page.
        segment: bytes of a WAL segment file.
    """
    if lsn % segment == _SEGMENT_HEADER:
        return lsn - _SEGMENT_HEADER
    return lsn - _PAGE_HEADER if lsn % page == _PAGE_HEADER else lsn
