"""`EngineLink`: requests to an engine and their outputs, over one connection after another.

What every front process needs of an engine, whoever started it. Written with the standard library's
threads and queues, which become cooperative where the server process is patched.
"""

from __future__ import annotations

import itertools
import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from cria.errors import EngineDied, EngineError, EngineUnavailable, ServerStopping
from cria.ipc import codec
from cria.ipc.messages import (
    STALL_BOUNDS_MS,
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


ANY_TURN = Turn()


class EngineStatus(msgspec.Struct, frozen=True):
    """A snapshot, for `/health` and for start-up."""

    state: str
    """`loading`, `ready`, or `down`."""
    progress: float = 0.0
    info: Ready | None = None
    stats: EngineStats = EngineStats()
    reason: str | None = None
    """Why the model could not be loaded; after the first load the engine is not started again."""
    restarts: int = 0
    pid: int = 0
    """0 also for those who did not start it."""

    @property
    def stalls_ms(self) -> dict[str, int]:
        """How many pauses between two tokens of a sequence were not longer than so many ms."""
        bounds = [*map(str, STALL_BOUNDS_MS), "longer"]
        return dict(zip(bounds, self.stats.stalls, strict=False))


class EngineLink(ABC):
    """A handle on an engine; how its connections come about is the subclass's `_run`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # two senders at once would interleave their frames
        self._sinks: dict[int, Sink] = {}
        self._embedding_sinks: dict[int, EmbeddingSink] = {}
        self._request_ids = itertools.count()
        self._status = EngineStatus("loading")
        self._settled = threading.Event()
        self._stopping = threading.Event()
        self._transport: Transport | None = None
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
        """Queue a sequence; `sink` gets its outputs. Returns the id for `cancel`."""
        self._check_ready()
        request_id = next(self._request_ids)
        self._sinks[request_id] = sink
        self._ask(Submit(request_id, token_ids, params, *turn))
        return request_id

    def embed(self, inputs: list[list[int]], sink: EmbeddingSink) -> int:
        """Queue inputs; `sink` gets the one answer. Returns the id for `cancel`."""
        self._check_ready()
        request_id = next(self._request_ids)
        self._embedding_sinks[request_id] = sink
        self._ask(Embed(request_id, inputs))
        return request_id

    def cancel(self, request_id: int) -> None:
        """Free the sequence, or drop the inputs; the sink hears no more."""
        if not self._forget(request_id):
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
        if self._transport is not None:
            self._transport.close()
        if self._thread.is_alive():
            self._thread.join(JOIN_SECONDS)

    @abstractmethod
    def _run(self) -> None:
        """The thread: connections, one after another, until `_stopping`."""

    def _check_ready(self) -> None:
        if self._status.state != "ready":
            raise EngineUnavailable("The model is not ready; try again in a moment.")

    def _ask(self, message: Submit | Embed) -> None:
        try:
            self._send(message)
        except PeerGone:
            self._forget(message.request_id)
            raise EngineUnavailable("The engine has just ended; try again in a moment.") from None

    def _forget(self, request_id: int) -> bool:
        """Whether somebody waited for it."""
        known = self._sinks.pop(request_id, None) or self._embedding_sinks.pop(request_id, None)
        return known is not None

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
            if sink := self._embedding_sinks.pop(message.request_id, None):
                sink(message)
        elif isinstance(message, Progress):
            self._update(progress=message.fraction)
        elif isinstance(message, Ready):
            self._update(state="ready", progress=1.0, info=message, stats=EngineStats())
            self._settled.set()
        elif isinstance(message, LoadFailed):
            self._update(state="down", reason=message.reason)

    def _handle_step(self, message: StepOutput) -> None:
        self._update(stats=message.stats)
        for request_id in message.admitted_ids:
            self._route(SequenceOutput(request_id, ()))
        for request_id, token in zip(message.request_ids, message.token_ids, strict=False):
            self._route(SequenceOutput(request_id, (token,)))
        for output in message.outputs:
            self._route(output)

    def _route(self, output: SequenceOutput) -> None:
        if output.finish_reason is None:
            sink = self._sinks.get(output.request_id)
        else:
            sink = self._sinks.pop(output.request_id, None)
        if sink is not None:  # else it was cancelled while this was on its way
            sink(output)

    def _bury(self, how: str) -> None:
        """The engine is gone: tell everybody who waits."""
        self._update(state="down", pid=0)
        sinks, self._sinks = self._sinks, {}
        embedding_sinks, self._embedding_sinks = self._embedding_sinks, {}
        for sink in [*sinks.values(), *embedding_sinks.values()]:
            sink(self._obituary(how))

    def _obituary(self, how: str) -> EngineError:
        if self._stopping.is_set():
            return ServerStopping("The server is shutting down.")
        return EngineDied(f"The engine process {how} while it worked on this request.")

    def _update(self, **changes: object) -> None:
        self._status = msgspec.structs.replace(self._status, **changes)
