"""`AdapterLink`: what one engine after another is told of adapters that came at run time.

An engine knows those of its configuration. The others are loaded again in each new engine, before
it is asked for anything; one that has gone meanwhile only if an open request still needs it.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable

from cria.errors import EngineDied, RequestError
from cria.ipc.messages import AdapterLoaded, LoadAdapter, Submit, ToEngine, UnloadAdapter
from cria.ipc.transport import PeerGone

NO_REQUEST = -1
"""The id of an order whose answer nobody waits for."""


class AdapterLink:
    """`send` raises PeerGone without an engine."""

    def __init__(self, send: Callable[[ToEngine], None]) -> None:
        self._send = send
        self._paths: dict[int, str] = {}
        self._gone: set[int] = set()
        self._waiting: dict[int, queue.SimpleQueue[str | None]] = {}
        self._next_id = 0

    def load(self, adapter_id: int, path: str) -> None:
        """Wait until the engine has it; RequestError says why it cannot, EngineDied if it ended."""
        self._next_id += 1
        request_id, answer = self._next_id, queue.SimpleQueue[str | None]()
        self._waiting[request_id] = answer
        try:
            self._send(LoadAdapter(request_id, adapter_id, path))
        except PeerGone:
            self._waiting.pop(request_id, None)
            raise _died() from None
        error = answer.get()
        if error == "":
            raise _died()
        if error is not None:
            raise RequestError(error, param="lora_path", code="invalid_value")
        self._paths[adapter_id] = path

    def unload(self, adapter_id: int) -> None:
        """Nobody asks for it any more; the engine frees it when it can."""
        self._gone.add(adapter_id)
        try:
            self._send(UnloadAdapter(NO_REQUEST, adapter_id))
        except PeerGone:
            pass  # the next engine hears of it

    def note(self, message: AdapterLoaded) -> None:
        """The engine's answer."""
        if (answer := self._waiting.pop(message.request_id, None)) is not None:
            answer.put(message.error)

    def greet(self, open_messages: Iterable[object]) -> None:
        """A new engine is there; these are the requests that it will be asked."""
        needed = {
            number
            for message in open_messages
            if isinstance(message, Submit)
            for number, _ in message.adapters
        }
        for number, path in self._paths.items():
            if number not in self._gone or number in needed:
                self._send(LoadAdapter(NO_REQUEST, number, path))

    def dismiss(self) -> None:
        """The same engine has been asked them: what has gone may go there too."""
        for number in self._gone:
            self._send(UnloadAdapter(NO_REQUEST, number))

    def bury(self) -> None:
        """The engine has ended: nobody answers any more."""
        while self._waiting:
            _, answer = self._waiting.popitem()
            answer.put("")


def _died() -> EngineDied:
    return EngineDied("The engine process has ended while it loaded the adapter.", may_retry=True)
