"""What instances share through Redis: cache, locks, leaders, events. Redis is never the only copy of anything.

`state` is the whole. Below it: `cache` over `versions`, `flights` and `unsent`; `locks` and `leader` over `leases` and
`fencing`; `broadcast` over `listener`, `subscriptions` and `events`; all of them over `door`, the only way to Redis,
with `breaker`, `client` and `address`. redis-py is imported when Redis is used, not before.
"""

from aragora_db.shared.events import DEBATE_CREATED, DEBATE_FINISHED, DEBATE_UPDATED, GAP, Event
from aragora_db.shared.leader import Leader
from aragora_db.shared.locks import HeldLock
from aragora_db.shared.state import SharedState
from aragora_db.shared.subscriptions import Subscription
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
