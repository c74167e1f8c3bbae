"""What a statement leaves behind; a failure means memory that grows until the next full collection."""

from __future__ import annotations

import gc
import weakref

from sqlalchemy import event


def test_a_statement_is_freed_without_a_collection(database):
    """Forty requests with large documents took more than a gigabyte while context and deadline held each other."""
    contexts = []

    def note(session):
        @event.listens_for(session.get_bind(), "before_cursor_execute")
        def _begin(_connection, _cursor, _statement, _parameters, context, _many):
            contexts.append(weakref.ref(context))

        session.connection().exec_driver_sql("SELECT 1").scalar_one()
        event.remove(session.get_bind(), "before_cursor_execute", _begin)

    gc.disable()
    try:
        database.run(note)
        left = [context for context in contexts if context() is not None]
    finally:
        gc.enable()
    assert contexts
    assert left == []
