"""Values in Redis that count only under the version they were computed under.

A topic has a version: a random word. Whoever changes the topic's rows sets another one after the commit. A value
carries the version that was read before it was computed, and counts while the two are equal. So nothing has to be found
and deleted, and a value that was computed from old rows and arrives late counts for nothing.

* The version is no counter: every key may vanish, and a counter that begins anew would make old values count again.
* Every word is made for one attempt. A SET that Redis carries out late, after we gave up on it, then sets a word that
  nobody has computed anything under.
* Age is counted from the reading of the version, by Redis's clock: the script that stores says when the value ends.
  A store that is carried out late does not make it live longer.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from aragora_db.shared.gateway import Door

__all__ = ["Seen", "Slot", "Ticket", "Versions"]

_WORD = 32  # hexadecimal digits

# Older servers have neither SET ... NX GET nor PXAT; scripts have both since 2.6, and are one round trip.
_NAME = """
local word = redis.call('GET', KEYS[1])
if not word then
  word = ARGV[1]
  redis.call('SET', KEYS[1], word)
end
return word
"""

_BEGIN = """
local word = redis.call('GET', KEYS[1])
if not word then
  word = ARGV[1]
  redis.call('SET', KEYS[1], word)
end
local mine = redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3])
local now = redis.call('TIME')
return {word, mine and 1 or 0, now[1] * 1000 + math.floor(now[2] / 1000)}
"""

_KEEP = """
if redis.call('GET', KEYS[3]) == ARGV[4] then redis.call('DEL', KEYS[3]) end
if ARGV[2] == '' or redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[1] .. ARGV[2])
redis.call('PEXPIREAT', KEYS[2], ARGV[3])
return 1
"""


def _word() -> str:
    return secrets.token_hex(_WORD // 2)


@dataclass(frozen=True)
class Slot:
    """The keys of one cached value. What stands in braces puts a topic on one node of a Cluster."""

    topic: str
    version: str
    value: str
    filling: str

    @classmethod
    def of(cls, namespace: str, topic: str, key: str) -> Slot:
        """The slot of a key in a topic. Keys may be long and come from outside, so their digest stands for them."""
        digest = blake2b(key.encode(errors="surrogatepass"), digest_size=16).hexdigest()
        tag = f"{namespace}:{{{topic}}}"
        return cls(topic, f"{tag}:version", f"{tag}:value:{digest}", f"{tag}:filling:{digest}")


@dataclass(frozen=True)
class Seen:
    """What a look found: the topic's version, and the value if there is one that counts."""

    version: str
    text: bytes | None


@dataclass(frozen=True)
class Ticket:
    """What `Versions.begin` read before the value is computed.

    Attributes:
        version: the topic's version of then.
        mine: whether this caller is the one to compute the value.
        began_ms: when, by Redis's clock, in milliseconds since 1970.
        filler: what the key that says who computes holds, if it is this caller.
    """

    version: str
    mine: bool
    began_ms: int
    filler: str


class Versions:
    """The four steps of a cached read or write, a round trip each.

    Args:
        door: the way to Redis.
        namespace: how the keys begin.
    """

    def __init__(self, door: Door, namespace: str) -> None:
        self._door = door
        self._namespace = namespace
        self._scripts: dict[str, Any] = {}

    def slot(self, topic: str, key: str) -> Slot:
        """The keys of one value."""
        return Slot.of(self._namespace, topic, key)

    def look(self, slot: Slot) -> Seen:
        """Read version and value.

        Raises:
            RedisUnavailable: Redis is away.
        """

        def work(client: Any) -> Seen:
            found: list[bytes | None] = client.mget(slot.version, slot.value)
            word, kept = found
            if word is None:
                word = bytes(self._run(client, _NAME, [slot.version], [_word()]))
            text = kept[_WORD:] if kept is not None and kept[:_WORD] == word else b""
            return Seen(word.decode(errors="replace"), text or None)

        return self._door.call(work)

    def begin(self, slot: Slot, filling_ms: int) -> Ticket:
        """Read the version before a value is computed, and ask to be the one who computes it.

        Args:
            slot: the value's.
            filling_ms: for how long nobody else is, in milliseconds.

        Raises:
            RedisUnavailable: Redis is away.
        """

        def work(client: Any) -> Ticket:
            filler = _word()
            keys = [slot.version, slot.filling]
            word, mine, now = self._run(client, _BEGIN, keys, [_word(), filler, filling_ms])
            return Ticket(word.decode(errors="replace"), bool(mine), int(now), filler)

        return self._door.call(work)

    def keep(self, slot: Slot, ticket: Ticket, text: bytes, ttl: float) -> bool:
        """Store a value, if the topic's version is still the one it was computed under.

        Args:
            slot: the value's.
            ticket: what `begin` returned.
            text: the value; empty stores nothing and lets somebody else compute it.
            ttl: how long after `begin` it ends, in seconds.

        Returns:
            Whether it counts now.

        Raises:
            RedisUnavailable: Redis is away.
        """
        keys = [slot.version, slot.value, slot.filling]
        arguments = [ticket.version, text, ticket.began_ms + round(ttl * 1000), ticket.filler]
        return bool(self._door.call(lambda client: self._run(client, _KEEP, keys, arguments)))

    def renew(self, topic: str) -> None:
        """Give the topic a new version: nothing that was computed before counts.

        Raises:
            RedisUnavailable: Redis is away; perhaps it was done all the same.
        """
        version = self.slot(topic, "").version
        self._door.call(lambda client: client.set(version, _word()))

    def _run(self, client: Any, text: str, keys: list[str], arguments: list[Any]) -> Any:
        script = self._scripts.get(text)
        if script is None:
            script = self._scripts[text] = client.register_script(text)
        return script(keys=keys, args=arguments, client=client)
