"""`Quarantine`: requests that ended the engine twice are not tried again for some time.

When an engine process ends by its own fault, each request that it was computing may be the reason.
Who was among them twice is refused. An innocent one that was there both times is refused too, but
only for a while, and never if it was answered in between: that clears its name.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

import msgspec

from cria.errors import RequestQuarantined
from cria.ipc import codec
from cria.ipc.messages import Embed, Submit

DEATHS = 2
SECONDS = 600.0
MAX_SUSPECTS = 256
"""The oldest are forgotten first."""


class Quarantine:
    """What was being computed when engines ended."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._suspects: dict[bytes, tuple[int, float]] = {}
        """By fingerprint: the number of deaths, and the time of the last one; oldest first."""

    def count(self, message: Submit | Embed) -> None:
        """The engine has ended while it computed this."""
        key = fingerprint(message)
        deaths, _ = self._suspects.pop(key, (0, 0.0))
        self._suspects[key] = (deaths + 1, self._clock())
        while len(self._suspects) > MAX_SUSPECTS:
            del self._suspects[next(iter(self._suspects))]

    def clear(self, message: Submit | Embed) -> None:
        """It was answered."""
        if self._suspects:
            self._suspects.pop(fingerprint(message), None)

    def check(self, message: Submit | Embed) -> None:
        """RequestQuarantined if it is not to be tried now."""
        if self._suspects and self.holds(message):
            raise RequestQuarantined(
                "The engine has ended twice while it worked on this request. It is not tried "
                f"again for {SECONDS / 60:.0f} minutes."
            )

    def holds(self, message: Submit | Embed) -> bool:
        """Whether it is refused now."""
        key = fingerprint(message)
        deaths, since = self._suspects.get(key, (0, 0.0))
        if deaths and self._clock() - since >= SECONDS:
            del self._suspects[key]
            return False
        return deaths >= DEATHS


def fingerprint(message: Submit | Embed) -> bytes:
    """The same for the same tokens and parameters, whoever asks and however urgently."""
    if isinstance(message, Submit):
        params = msgspec.structs.replace(message.sampling_params, seed=None)
        message = Submit(0, message.token_ids, params, adapters=message.adapters)
    else:
        message = Embed(0, message.inputs)
    return hashlib.sha256(codec.encode(message)).digest()
