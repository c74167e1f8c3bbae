"""Debates: published once, found again, and what came of them."""

from aragora_db.stores.debates.listing import Listing
from aragora_db.stores.debates.publishing import Publishing
from aragora_db.stores.debates.results import NewCritique, Results

__all__ = ["DebateStore", "NewCritique"]


class DebateStore(Publishing, Listing, Results):
    """Everything about debates, over one session: ``DebateStore(session).create("Do we cache?", ["a", "b"], {})``.

    Reads and changes take ``org_id``: a debate of another organisation is then as if it were not there. Without it
    there is no tenant, and every debate is seen. Never commits; see `aragora_db.stores`.
    """
