"""`EngineLink`: requests to an engine and their outputs, over one connection after another.

What every front process needs of an engine, whoever started it. Written with the standard library's
threads and queues, which become cooperative where the server process is patched.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from cria.adapter_set import BASE, AdapterSet
from cria.errors import EngineError, EngineUnavailable, ServerStopping
from cria.generation.adapter_link import AdapterLink
from cria.generation.death import Death
from cria.generation.engine_status import EngineStatus
from cria.generation.open_requests import OpenRequest
from cria.generation.quarantine import Quarantine
from cria.generation.unavailable import unavailable
from cria.ipc import codec
from cria.ipc.messages import (
    AdapterLoaded,
    Cancel,
    Embed,
    Embedded,
    EngineStats,
    LoadFailed,
    Progress,
    Ready,
    SequenceOutput,
    StepOutput,
    Submit,
    ToEngine,
    ToServer,
)
from cria.ipc.transport import PeerGone, Transport
from cria.sampling_params import SamplingParams

logger = logging.getLogger(__name__)

Sink = Callable[[SequenceOutput | EngineError], None]
"""An output with nothing in it tells that the engine has begun to compute the sequence."""
EmbeddingSink = Callable[[Embedded | EngineError], None]

JOIN_SECONDS = 6.0


class Turn(NamedTuple):
    """When it is a sequence's: see `Submit`."""

    priority: int = 0
    tenant: int = 0
    max_wait: float | None = None
    adapters: AdapterSet = BASE
    """With which it is computed: whose turn it is depends on that too."""


ANY_TURN = Turn()


class EngineLink(ABC):
    """A handle on an engine; how its connections come about is the subclass's `_run`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # two senders at once would interleave their frames
        self._open: dict[int, OpenRequest] = {}
        self._quarantine = Quarantine()
        self._down_since = time.monotonic()
        self._request_ids = itertools.count()
        self._status = EngineStatus("loading")
        self._settled = threading.Event()
        self._was_lost = threading.Event()
        self._stopping = threading.Event()
        self._transport: Transport | None = None
        self.adapters = AdapterLink(self._send)
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    @property
    def status(self) -> EngineStatus:
        return self._status

    def start(self) -> None:
        """Find or start the engine; returns at once."""
        self._thread.start()

    def wait_settled(self, timeout: float | None) -> bool:
        """Wait until the first load has ended, well or badly."""
        return self._settled.wait(timeout)

    def submit(
        self, token_ids: list[int], params: SamplingParams, sink: Sink, turn: Turn = ANY_TURN
    ) -> int:
        """Queue a sequence; `sink` gets its outputs. Returns the id for `cancel`.

        RequestQuarantined if the like of it has ended engines.
        """
        request_id = next(self._request_ids)
        self._ask(Submit(request_id, token_ids, params, *turn), sink)
        return request_id

    def embed(self, inputs: list[list[int]], sink: EmbeddingSink) -> int:
        """Queue inputs; `sink` gets the one answer. Returns the id for `cancel`."""
        request_id = next(self._request_ids)
        self._ask(Embed(request_id, inputs), sink)
        return request_id

    def cancel(self, request_id: int) -> None:
        """Free the sequence, or drop the inputs; the sink hears no more."""
        request = self._open.pop(request_id, None)
        if request is None or not request.is_sent:
            return
        try:
            self._send(Cancel(request_id))
        except PeerGone:
            pass  # then it is free already

    def stop(self, request_id: int) -> None:
        """Free the sequence; its sink still hears its last output."""
        try:
            self._send(Cancel(request_id))
        except PeerGone:
            pass  # its sink hears of that

    def close(self) -> None:
        """End the connection and wait for that; open requests fail with ServerStopping."""
        self._stopping.set()
        self._was_lost.set()
        if self._transport is not None:
            self._transport.close()
        if self._thread.is_alive():
            self._thread.join(JOIN_SECONDS)
        self._fail_all(ServerStopping("The server is shutting down."))

    def wait_lost(self) -> bool:
        """Wait until engines have ended too often, or for `close`; whether they have."""
        self._was_lost.wait()
        return not self._stopping.is_set()

    @abstractmethod
    def _run(self) -> None:
        """The thread: connections, one after another, until `_stopping`."""

    def _ask(self, message: Submit | Embed, sink: Sink | EmbeddingSink) -> None:
        if self._status.state != "ready":
            raise unavailable(self._status)
        self._quarantine.check(message)
        self._open[message.request_id] = OpenRequest(message, sink)
        try:
            self._send(message)
        except PeerGone:
            self._open.pop(message.request_id, None)
            raise EngineUnavailable(
                "The engine has just ended; try again in a moment.",
                retry_after=self._status.restart_seconds,
            ) from None

    def _send(self, message: ToEngine) -> None:
        frame = codec.encode(message)
        with self._lock:
            if self._transport is None:
                raise PeerGone("no engine")
            self._transport.send(frame)

    def _talk(self, transport: Transport) -> None:
        """Hand out what comes over this connection until it ends; closes it."""
        self._transport = transport
        try:
            while not self._stopping.is_set():
                self._read(transport)
        except PeerGone as news:
            logger.debug("connection to the engine: %s", news)
        finally:
            self._transport = None
            transport.close()

    def _read(self, transport: Transport) -> None:
        for frame in transport.receive():
            try:
                message = codec.decode_to_server(frame)
            except codec.BadFrame as error:
                raise PeerGone(f"a frame that does not decode: {error}") from None
            self._handle(message)

    def _handle(self, message: ToServer) -> None:
        if isinstance(message, StepOutput):
            self._handle_step(message)
        elif isinstance(message, Embedded):
            # None if it was cancelled while this was on its way.
            if request := self._open.pop(message.request_id, None):
                self._answer(request, message)
        elif isinstance(message, AdapterLoaded):
            self.adapters.note(message)
        elif isinstance(message, Progress):
            self._update(progress=message.fraction)
        elif isinstance(message, Ready):
            self._welcome(message)
        elif isinstance(message, LoadFailed):
            self._update(state="down", reason=message.reason)

    def _handle_step(self, message: StepOutput) -> None:
        self._update(stats=message.stats)
        for request_id in message.admitted_ids:
            if request := self._open.get(request_id):
                request.is_running = True
                # No more than a sign of its beginning: the next engine could begin again.
                request.sink(SequenceOutput(request_id, ()))
        for request_id, token in zip(message.request_ids, message.token_ids, strict=False):
            self._route(SequenceOutput(request_id, (token,)))
        for output in message.outputs:
            self._route(output)

    def _welcome(self, ready: Ready) -> None:
        """An engine is there; who has waited since the last one's end is asked of it."""
        took = time.monotonic() - self._down_since
        self._update(
            state="ready",
            progress=1.0,
            info=ready,
            stats=EngineStats(),
            restart_seconds=took,
            gave_up=False,
        )
        waiting = [request for request in self._open.values() if not request.is_sent]
        self.adapters.greet(request.message for request in waiting)
        for request in waiting:
            request.is_sent = True
            self._send(request.message)
        self.adapters.dismiss()
        self._settled.set()

    def _route(self, output: SequenceOutput) -> None:
        if output.finish_reason is None:
            request = self._open.get(output.request_id)
        else:
            request = self._open.pop(output.request_id, None)
        if request is not None:  # else it was cancelled while this was on its way
            request.was_heard = request.is_running = True
            self._answer(request, output)

    def _answer(self, request: OpenRequest, answer: SequenceOutput | Embedded) -> None:
        if isinstance(answer, Embedded) or answer.finish_reason is not None:
            self._quarantine.clear(request.message)
        request.sink(answer)

    def _bury(self, death: Death) -> None:
        """The engine is gone: tell everybody who cannot wait for the next one."""
        if self._status.state in ("ready", "unresponsive"):
            self._down_since = time.monotonic()
        self._update(state="down", pid=0)
        self.adapters.bury()
        for request_id, request in list(self._open.items()):
            if request.is_suspect_of(death):
                self._quarantine.count(request.message)
            if self._stopping.is_set() or not request.may_go_on_after(death):
                self._open.pop(request_id, None)
                request.sink(self._obituary(request, death))
            else:
                request.wait_for_next()

    def _fail_all(self, error: EngineError) -> None:
        """Nobody is going to answer them any more."""
        while self._open:
            _, request = self._open.popitem()
            request.sink(error)

    def _obituary(self, request: OpenRequest, death: Death) -> EngineError:
        if self._stopping.is_set():
            return ServerStopping("The server is shutting down.")
        if not request.is_sent:
            return unavailable(self._status)
        return request.obituary(death, self._status.restart_seconds)

    def _update(self, **changes: object) -> None:
        self._status = msgspec.structs.replace(self._status, **changes)
