"""State that instances share through Redis: cache, locks, leaders, events. Redis is never the only copy of anything.

`state` holds `SharedState`, the only entry. `cache` uses `versioned_cache` and `single_flight`; `locks` and `leader`
use `leases` and `fencing`; `pubsub` sends the messages of `events`. All of them call Redis through `gateway`, which
uses `breaker`, `client` and `address`. redis-py is imported when Redis is used, not before.
"""

from aragora_db.shared.events import DEBATE_CREATED, DEBATE_FINISHED, DEBATE_UPDATED, GAP, Event
from aragora_db.shared.leader import Leader
from aragora_db.shared.locks import HeldLock
from aragora_db.shared.pubsub import Subscription
from aragora_db.shared.state import SharedState
from aragora_db.shared.topics import LEADERBOARD, PERSONAS

__all__ = [
    "DEBATE_CREATED",
    "DEBATE_FINISHED",
    "DEBATE_UPDATED",
    "GAP",
    "LEADERBOARD",
    "PERSONAS",
    "Event",
    "HeldLock",
    "Leader",
    "SharedState",
    "Subscription",
]
