"""The thread that holds a process's subscription to Redis's pub/sub, and says when messages may have been missed."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aragora_db.errors import AragoraDBError
from aragora_db.shared.gateway import Door

__all__ = ["POLL_SECONDS", "Listener"]

log = logging.getLogger("aragora_db.shared")

POLL_SECONDS = 0.5
_RETRY_SECONDS = 0.5
_SILENCE_SECONDS = 5.0  # after this it asks whether Redis is still there: a cut cable says nothing by itself


class Listener(threading.Thread):
    """Subscribes, delivers, and subscribes again whenever the connection is lost. Ends with `stop`.

    Args:
        door: the way to Redis.
        channel: the channel's name.
        timeout: how long Redis has to answer, in seconds.
        deliver: gets each message.
        missed: called after each subscription has begun: what was published before it did not come.
    """

    def __init__(
        self,
        door: Door,
        channel: str,
        timeout: float,
        deliver: Callable[[bytes], None],
        missed: Callable[[], None],
    ) -> None:
        super().__init__(name=f"events {channel}", daemon=True)
        self._door = door
        self._channel = channel
        self._timeout = timeout
        self._deliver = deliver
        self._missed = missed
        self._stopping = threading.Event()
        self.connected = threading.Event()

    def stop(self) -> None:
        """End the thread soon."""
        self._stopping.set()

    def run(self) -> None:
        """See the class."""
        while not self._stopping.is_set():
            try:
                self._listen()
            except AragoraDBError as problem:
                log.warning("events: %s; subscribing again", type(problem).__name__)
            except Exception:
                if self._stopping.is_set():
                    return  # redis-py's pool was closed under it
                log.exception("events: unexpected; subscribing again")  # the thread must go on: nobody would hear more
            self._stopping.wait(_RETRY_SECONDS * random.uniform(0.5, 1.0))  # noqa: S311 -- no cryptography here

    def _listen(self) -> None:
        pubsub = self._door.call(self._subscribe)
        from aragora_db.shared.client import REDIS_ERRORS  # noqa: PLC0415 -- imports redis-py

        try:
            self._missed()
            self.connected.set()
            with suppress(*REDIS_ERRORS, OSError):
                self._read(pubsub)
        finally:
            self.connected.clear()
            with suppress(*REDIS_ERRORS, OSError):
                if pubsub.connection is not None:
                    # The pool it goes back to may be closed by now, and would keep its socket.
                    pubsub.connection.disconnect()
                pubsub.close()

    def _subscribe(self, client: Any) -> Any:
        """A subscription that Redis has confirmed."""
        from redis.exceptions import TimeoutError as RedisTimeoutError  # noqa: PLC0415 -- redis-py is loaded when used

        pubsub = client.pubsub()
        confirmed = False
        try:
            pubsub.subscribe(self._channel)
            confirmed = pubsub.get_message(timeout=self._timeout) is not None
        finally:
            if not confirmed:
                pubsub.close()
        if not confirmed:
            raise RedisTimeoutError("no answer to SUBSCRIBE")
        return pubsub

    def _read(self, pubsub: Any) -> None:
        """Deliver until it is time to stop, or Redis does not answer."""
        heard, asked = time.monotonic(), None
        while not self._stopping.is_set():
            message = pubsub.get_message(timeout=POLL_SECONDS)
            now = time.monotonic()
            if message is not None:
                heard, asked = now, None
                if message["type"] == "message":
                    self._deliver(message["data"])
                elif message["type"] == "subscribe":
                    self._missed()  # redis-py has connected again by itself
            elif asked is not None and now - asked > self._timeout:
                return
            elif asked is None and now - heard > _SILENCE_SECONDS:
                pubsub.ping()
                asked = now
