"""Databases for tests: create, drop, and a template that is built once per run and copied for every test."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

import psycopg
from psycopg import sql

from aragora_db.testing.handles import PostgresServer, url_of_database

__all__ = ["create_database", "drop_database", "drop_run", "template_database"]


def create_database(admin_url: str, name: str, template: str | None = None) -> str:
    """Create a database and return its URL.

    Args:
        admin_url: a superuser's URL, or that of a role that may create databases.
        name: the new database's name.
        template: the database to copy; None for an empty one (``template0``, UTF-8).

    Raises:
        psycopg.Error: the server refused; ``DuplicateDatabase`` when the name is taken.
    """
    command = sql.SQL("CREATE DATABASE {name} TEMPLATE {template}").format(
        name=sql.Identifier(name), template=sql.Identifier(template or "template0")
    )
    if template is None:
        command += sql.SQL(" ENCODING 'UTF8'")
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(command)
    return url_of_database(admin_url, name)


def drop_database(admin_url: str, name: str) -> None:
    """Drop a database, disconnecting whoever uses it. One that does not exist is fine.

    Raises:
        psycopg.Error: the server refused.
    """
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def drop_run(server: PostgresServer) -> None:
    """Drop every database of this run. Needed only on a server that outlives the run.

    Raises:
        psycopg.Error: the server refused.
    """
    with psycopg.connect(server.admin_url) as connection:
        found = connection.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (server.prefix,))
        names = [str(name) for (name,) in found]
    for name in names:
        drop_database(server.admin_url, name)


def template_database(server: PostgresServer, key: str, build: Callable[[str], None]) -> str:
    """The name of a database to copy from, built by the first one who asks in this run.

    Args:
        server: where to build it.
        key: what it contains; the same key means the same template. A part of it is in the name.
        build: fills the new, empty database at the URL it gets, and leaves no connection open.

    Raises:
        psycopg.Error: the server refused, or ``build`` left a connection open. What ``build`` raises is passed on, and
            the next caller builds again.
    """
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    readable = re.sub(r"[^a-z0-9]+", "_", key.lower())[:16]
    name = f"{server.prefix}t_{readable}_{digest.hex()[:8]}"
    with psycopg.connect(server.admin_url, autocommit=True) as connection:
        # Held by the session: a worker that is killed while it builds lets go of it.
        connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (name,))
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
        if found.fetchone() is not None:
            return name
        # Built under another name, so that a half-built one is never taken for the template.
        scratch = f"{name}_new"
        drop_database(server.admin_url, scratch)
        build(create_database(server.admin_url, scratch))
        # CREATE DATABASE fails while somebody is connected to its template, so nobody may.
        connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(scratch)))
        connection.execute(
            sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(scratch), sql.Identifier(name))
        )
    return name
