"""`Follower`: the events of a stored response, told again, and then as they come."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator

from cria.answer_store.store import UNFINISHED, AnswerStore
from cria.generation.run import Offload
from cria.server.sse import PING

POLL_SECONDS = 0.05
MOST_FRAMES = 1000
"""Read at a time."""


class Follower:
    """Read `frames()` once; `cancel()` ends it."""

    def __init__(
        self, store: AnswerStore, offload: Offload, answer_id: str, longest_silence: float
    ) -> None:
        self._store, self._offload = store, offload
        self._id = answer_id
        self._longest_silence = longest_silence
        self._gone = threading.Event()

    def cancel(self) -> None:
        """Nobody reads any more."""
        self._gone.set()

    def wait_begun(self) -> None:
        """Not here: there is something to tell at once."""

    def frames(self, first: int = 0) -> Generator[bytes, None, None]:
        """From event number `first` on, to the last one; comments where nothing happens."""
        told = time.monotonic()
        while not self._gone.is_set():
            status, found = self._offload(self._store.frames, self._id, first, MOST_FRAMES)
            if found:
                yield b"".join(found)
                first += len(found)
                told = time.monotonic()
            elif status not in UNFINISHED:
                return
            elif time.monotonic() - told >= self._longest_silence:
                yield PING
                told = time.monotonic()
            else:
                self._gone.wait(POLL_SECONDS)
