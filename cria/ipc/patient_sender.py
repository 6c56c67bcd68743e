"""`PatientSender`: sends frames and never waits for the other side.

What the other side does not read at once is kept here. It is gone, as far as this side is
concerned, when it has read nothing for too long or when too much has piled up.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from cria.ipc.transport import PeerGone, Transport, pack

MAX_KEPT_BYTES = 64 * 1024 * 1024
CHUNK_BYTES = 256 * 1024


class PatientSender:
    """The sending half of one connection."""

    def __init__(
        self, transport: Transport, patience: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`patience` is in seconds."""
        self._transport = transport
        self._patience = patience
        self._clock = clock
        self._kept = bytearray()
        self._moved = 0.0

    @property
    def has_more(self) -> bool:
        """Something is still to be sent: call `flush` again soon."""
        return bool(self._kept)

    def send(self, *frames: bytes) -> None:
        """Now, or as soon as the other side reads; PeerGone if it is not to be waited for."""
        if len(self._kept) > MAX_KEPT_BYTES:
            raise PeerGone(f"{len(self._kept)} bytes are unread")
        data = pack(frames)
        if self._kept:
            self._kept += data
            self.flush()
            return
        num_sent = self._transport.send_now(data)
        if num_sent < len(data):
            self._kept += data[num_sent:]
            self._moved = self._clock()

    def flush(self) -> None:
        """Send of the rest what the other side takes; PeerGone as from `send`."""
        while self._kept:
            num_sent = self._transport.send_now(bytes(self._kept[:CHUNK_BYTES]))
            if not num_sent:
                break
            del self._kept[:num_sent]
            self._moved = self._clock()
        if self._kept and self._clock() - self._moved > self._patience:
            raise PeerGone(f"nothing was read for {self._patience:.0f} s")
