"""The engine process: `python -m cria.engine CONFIG FD PAGE_FD [LISTENER_FD]`.

CONFIG is an `EngineConfig` as JSON. Inherited are FD, one end of a Unix socket pair, PAGE_FD, a
page of memory for the signs of life, and LISTENER_FD, a Unix socket for further front processes to
connect to. The process says `Ready` or `LoadFailed`, and ends with the socket pair's other end.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import socket
import sys
import time

import msgspec

from cria.config import EngineConfig
from cria.engine.adapter_orders import AdapterOrders
from cria.engine.compiling import Compiling
from cria.engine.core import EngineCore
from cria.engine.embedder import Embedder, warnings_of
from cria.engine.embedding_only import EmbeddingOnly
from cria.engine.embedding_steps import EmbeddingSteps
from cria.engine.fault_hooks import FaultHooks, FaultyRunner
from cria.engine.loaded_model import LoadedModel
from cria.engine.model_runner import ModelRunner
from cria.engine.peers import Peers
from cria.engine.scheduler import Scheduler
from cria.engine.vitals import Vitals
from cria.errors import BrokenContext, CriaError, ModelFileError
from cria.ipc import codec
from cria.ipc.messages import OUT_OF_MEMORY_EXIT, LoadFailed, Progress, Ready
from cria.ipc.pulse import Pulse
from cria.ipc.transport import PeerGone, Transport
from cria.native.process import become_expendable

logger = logging.getLogger(__name__)

PROGRESS_SECONDS = 0.2
BROKEN_EXIT = 13
"""The exit code after an error that leaves nothing to be trusted."""


def main() -> int:
    """The exit code: 0 without a server, 1 without a model, or one of those above."""
    become_expendable()
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR2)  # the supervisor asks what a process is doing that hangs
    config = msgspec.json.decode(sys.argv[1], type=EngineConfig)
    logging.basicConfig(level=config.log_level.upper(), format="%(levelname)s %(message)s")
    connection = socket.socket(fileno=int(sys.argv[2]))
    # The server's gevent made its end non-blocking, and the flag came along with the descriptor.
    connection.setblocking(True)
    pulse = Pulse(int(sys.argv[3]))
    listener = socket.socket(fileno=int(sys.argv[4])) if len(sys.argv) > 4 else None
    try:
        return serve(config, Transport(connection), pulse, listener)
    except MemoryError as error:
        logger.critical("there is no memory: %s", error)
        return OUT_OF_MEMORY_EXIT
    except BrokenContext as error:
        logger.critical("an error after which nothing can be trusted: %s", error)
        return OUT_OF_MEMORY_EXIT if error.is_for_memory else BROKEN_EXIT


def serve(
    config: EngineConfig,
    transport: Transport,
    pulse: Pulse,
    listener: socket.socket | None = None,
) -> int:
    """Load and run; the exit code of the process."""
    try:
        hooks = FaultHooks.from_environment(os.environ)
        if hooks is not None:
            hooks.reach("load")
        loaded = LoadedModel(config, _ProgressSender(transport, pulse))
        loaded.progress_counter = pulse.native_counter
        runner = make_runner(loaded)
        embedder = make_embedder(loaded)
    except CriaError as error:
        _last_words(transport, str(error))
        return 1
    except MemoryError:
        _last_words(transport, "There is not enough memory to load the model.")
        return OUT_OF_MEMORY_EXIT
    except PeerGone:
        return 0
    compiling = Compiling(loaded.make_compiler)
    if loaded.model.has_decoder:
        compiling.prepare()
    peers = Peers(transport, listener)
    peers.welcome(describe(runner.info, embedder, loaded))
    scheduler = Scheduler(
        runner.make_pool(), runner.limits, runner.end_of_generation, runner.make_pacer()
    )
    # Half of the longest pause is for prompts, half for embeddings.
    embeddings = EmbeddingSteps(embedder, loaded.make_pacer(share=0.5))
    steps = runner if hooks is None else FaultyRunner(runner, hooks)
    core = EngineCore(scheduler, steps, peers, embeddings, compiling, Vitals(pulse))
    core.adapters = AdapterOrders(loaded, runner if isinstance(runner, ModelRunner) else None)
    core.run_forever()
    return 0


def make_runner(loaded: LoadedModel) -> ModelRunner | EmbeddingOnly:
    """What generates, or what stands in for it; SetupError if the model is good for nothing."""
    if loaded.model.has_decoder:
        return ModelRunner(loaded)
    if not loaded.model.can_embed:
        raise ModelFileError(f"{loaded.config.model_path} can neither generate text nor embed.")
    return EmbeddingOnly(loaded)


def make_embedder(loaded: LoadedModel) -> Embedder:
    """Tried at once if the model can do nothing else."""
    embedder = Embedder(loaded)
    if not loaded.model.has_decoder:
        embedder.prepare()
    return embedder


def describe(ready: Ready, embedder: Embedder, loaded: LoadedModel) -> Ready:
    """What the front processes are told."""
    warnings = [*ready.warnings, *warnings_of(loaded)]
    return msgspec.structs.replace(ready, embedding=embedder.info, warnings=warnings)


def _last_words(transport: Transport, reason: str) -> None:
    try:
        transport.send(codec.encode(LoadFailed(reason)))
    except PeerGone:
        pass  # nobody is left to hear the reason


class _ProgressSender:
    """Tells the server how much is loaded, a few times a second."""

    def __init__(self, transport: Transport, pulse: Pulse) -> None:
        self._transport = transport
        self._pulse = pulse
        self._next = 0.0

    def __call__(self, fraction: float) -> None:
        self._pulse.beat()
        now = time.monotonic()
        if now >= self._next:
            self._next = now + PROGRESS_SECONDS
            self._transport.send(codec.encode(Progress(fraction)))


if __name__ == "__main__":
    sys.exit(main())
