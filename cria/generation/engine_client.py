"""`EngineClient`: starts the engine process, watches it, and routes its outputs.

The process is started with `subprocess`, never forked. Its death is an event like any other: the
requests in flight fail with `EngineDied`, and a new engine is started, at once after a long life
and later and later after short ones. Written with the standard library's threads and queues,
which become cooperative where the server process is patched.
"""

from __future__ import annotations

import itertools
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping

import msgspec

from cria.config import EngineConfig
from cria.errors import EngineDied, EngineError, EngineUnavailable, ServerStopping
from cria.ipc import codec
from cria.ipc.messages import (
    STALL_BOUNDS_MS,
    Cancel,
    EngineStats,
    LoadFailed,
    Progress,
    Ready,
    SequenceOutput,
    StepOutput,
    Submit,
    ToServer,
)
from cria.ipc.transport import PeerGone, Transport
from cria.sampling_params import SamplingParams

logger = logging.getLogger(__name__)

Sink = Callable[[SequenceOutput | EngineError], None]

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
LONG_LIFE_SECONDS = 60.0
"""An engine that served for so long did not die of its start."""
EXIT_SECONDS = 3.0
"""For an engine whose connection is closed, until it is killed."""
SPIN_COUNT = "1000"
"""How long a compute thread of OpenMP spins for the others before it sleeps. Its own default is
milliseconds, and a hundred times too long wherever anything else wants a core: the thread that all
wait for then waits for a core that is busy waiting for it."""


class EngineStatus(msgspec.Struct, frozen=True):
    """A snapshot, for `/health` and for start-up."""

    state: str
    """`loading`, `ready`, or `down`."""
    progress: float = 0.0
    info: Ready | None = None
    stats: EngineStats = EngineStats()
    reason: str | None = None
    """Why the model cannot be loaded; the engine is not started again after that."""
    restarts: int = 0
    pid: int = 0

    @property
    def stalls_ms(self) -> dict[str, int]:
        """How many pauses between two tokens of a sequence were not longer than so many ms."""
        bounds = [*map(str, STALL_BOUNDS_MS), "longer"]
        return dict(zip(bounds, self.stats.stalls, strict=False))


class EngineClient:
    """The server's handle on one engine process."""

    def __init__(self, config: EngineConfig, environment: Mapping[str, str]) -> None:
        self._config = config
        self._environment = dict(environment)
        self._lock = threading.Lock()  # two senders at once would interleave their frames
        self._sinks: dict[int, Sink] = {}
        self._request_ids = itertools.count()
        self._status = EngineStatus("loading")
        self._settled = threading.Event()
        self._stopping = threading.Event()
        self._transport: Transport | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._supervise, name="engine", daemon=True)

    @property
    def status(self) -> EngineStatus:
        return self._status

    def start(self) -> None:
        """Start the engine; returns at once."""
        self._thread.start()

    def wait_settled(self, timeout: float | None) -> bool:
        """Wait until the first load has ended, well or badly."""
        return self._settled.wait(timeout)

    def submit(
        self, token_ids: list[int], params: SamplingParams, sink: Sink, priority: int = 0
    ) -> int:
        """Queue a sequence; `sink` gets its outputs. Returns the id for `cancel`."""
        if self._status.state != "ready":
            raise EngineUnavailable("The model is not ready; try again in a moment.")
        request_id = next(self._request_ids)
        self._sinks[request_id] = sink
        try:
            self._send(Submit(request_id, token_ids, params, priority))
        except PeerGone:
            self._sinks.pop(request_id, None)
            raise EngineUnavailable("The engine has just ended; try again in a moment.") from None
        return request_id

    def cancel(self, request_id: int) -> None:
        """Free the sequence; its sink hears no more."""
        if self._sinks.pop(request_id, None) is None:
            return
        try:
            self._send(Cancel(request_id))
        except PeerGone:
            pass  # then it is free already

    def close(self) -> None:
        """End the engine process and wait for that."""
        self._stopping.set()
        if self._transport is not None:
            self._transport.close()
        if self._thread.is_alive():
            self._thread.join(2 * EXIT_SECONDS)

    def _send(self, message: Submit | Cancel) -> None:
        frame = codec.encode(message)
        with self._lock:
            if self._transport is None:
                raise PeerGone("no engine")
            self._transport.send(frame)

    def _supervise(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            born = time.monotonic()
            self._run_engine()
            if self._stopping.is_set() or self._status.reason is not None:
                return
            if time.monotonic() - born > LONG_LIFE_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            logger.error("the engine ended; starting it again in %.1f s", pause)
            self._stopping.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            self._update(state="loading", restarts=self._status.restarts + 1)

    def _run_engine(self) -> None:
        """One engine process, from its start to its end."""
        try:
            process, transport = self._start_process()
        except (OSError, ValueError) as error:  # no memory, no descriptors, an impossible path
            self._bury(f"cannot be started ({error})")
            return
        self._process, self._transport = process, transport
        self._update(pid=process.pid)
        try:
            self._read(transport)
        except PeerGone as news:
            logger.debug("connection to the engine: %s", news)
        finally:
            self._transport = None
            transport.close()
            self._bury(_describe_exit(_reap(process)))

    def _start_process(self) -> tuple[subprocess.Popen[bytes], Transport]:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                return self._spawn(theirs), Transport(ours)
            except BaseException:
                ours.close()
                raise

    def _spawn(self, theirs: socket.socket) -> subprocess.Popen[bytes]:
        config = msgspec.json.encode(self._config).decode()
        command = [sys.executable, "-m", "cria.engine", str(theirs.fileno()), config]
        return subprocess.Popen(
            command,
            pass_fds=[theirs.fileno()],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in a terminal is for the server, which then ends it
        )

    def _read(self, transport: Transport) -> None:
        while True:
            for frame in transport.receive():
                try:
                    message = codec.decode_to_server(frame)
                except codec.BadFrame as error:
                    raise PeerGone(f"a frame that does not decode: {error}") from None
                self._handle(message)

    def _handle(self, message: ToServer) -> None:
        if isinstance(message, StepOutput):
            self._update(stats=message.stats)
            for request_id, token in zip(message.request_ids, message.token_ids, strict=False):
                self._route(SequenceOutput(request_id, (token,)))
            for output in message.outputs:
                self._route(output)
        elif isinstance(message, Progress):
            self._update(progress=message.fraction)
        elif isinstance(message, Ready):
            self._update(state="ready", progress=1.0, info=message, stats=EngineStats())
            self._settled.set()
        elif isinstance(message, LoadFailed):
            self._update(state="down", reason=message.reason)

    def _route(self, output: SequenceOutput) -> None:
        if output.finish_reason is None:
            sink = self._sinks.get(output.request_id)
        else:
            sink = self._sinks.pop(output.request_id, None)
        if sink is not None:  # else it was cancelled while this was on its way
            sink(output)

    def _bury(self, how: str) -> None:
        """Tell everybody who waits."""
        loading = self._status.state == "loading"
        if loading and not self._settled.is_set() and self._status.reason is None:
            # The first load: with the same file and settings, a second try would end the same.
            self._update(reason=f"The engine process {how} while it loaded the model.")
        self._update(state="down", pid=0)
        sinks, self._sinks = self._sinks, {}
        for sink in sinks.values():
            sink(self._obituary(how))
        self._settled.set()

    def _obituary(self, how: str) -> EngineError:
        if self._stopping.is_set():
            return ServerStopping("The server is shutting down.")
        return EngineDied(f"The engine process {how} while it worked on this request.")

    def _update(self, **changes: object) -> None:
        self._status = msgspec.structs.replace(self._status, **changes)


def engine_environment() -> dict[str, str]:
    """The environment for the engine; take it before the server hides the GPUs from itself."""
    environment = {**os.environ, "GGML_NO_BACKTRACE": "1"}
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    return environment


def _reap(process: subprocess.Popen[bytes]) -> int:
    """Its connection is closed, so it ends by itself, or hangs and is ended."""
    try:
        return process.wait(EXIT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _describe_exit(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
