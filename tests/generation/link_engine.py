"""The engine's end of a connection, played by the test."""

from __future__ import annotations

import queue

from cria.errors import EngineError
from cria.ipc import codec
from cria.ipc.messages import SequenceOutput, ToEngine, ToServer
from cria.ipc.transport import Transport

Outputs = queue.Queue[SequenceOutput | EngineError]


class Heard(Outputs):
    """What a sink hears, without the signs that sequences have begun."""

    def put(
        self, item: SequenceOutput | EngineError, block: bool = True, timeout: float | None = None
    ) -> None:
        if not isinstance(item, SequenceOutput) or item.token_ids or item.finish_reason:
            super().put(item, block, timeout)


class LinkEngine:
    """Says what it is told to say, and hears what it is told."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._heard: list[ToEngine] = []

    def tell(self, *messages: ToServer) -> None:
        self.transport.send(*map(codec.encode, messages))

    def next(self) -> ToEngine:
        """The next message; waits for it."""
        while not self._heard:
            self._heard += map(codec.decode_to_engine, self.transport.receive())
        return self._heard.pop(0)

    def take(self) -> list[ToEngine]:
        """What has arrived; does not wait."""
        heard, self._heard = self._heard, []
        return heard + list(map(codec.decode_to_engine, self.transport.receive(block=False)))
