"""The engine process: `python -m cria.engine FD CONFIG [LISTENER_FD]`.

FD is the inherited end of a Unix socket pair, CONFIG an `EngineConfig` as JSON, LISTENER_FD an
inherited Unix socket that further front processes connect to. The process says `Ready` or
`LoadFailed`, and ends when the other end of the socket pair does.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import time

import msgspec

from cria.config import EngineConfig
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
from cria.errors import CriaError, ModelFileError
from cria.ipc import codec
from cria.ipc.messages import LoadFailed, Progress, Ready
from cria.ipc.transport import PeerGone, Transport

PROGRESS_SECONDS = 0.2


def main() -> int:
    config = msgspec.json.decode(sys.argv[2], type=EngineConfig)
    logging.basicConfig(
        level=config.log_level.upper(), format="%(asctime)s %(levelname)s engine %(message)s"
    )
    connection = socket.socket(fileno=int(sys.argv[1]))
    # The server's gevent made its end non-blocking, and the flag came along with the descriptor.
    connection.setblocking(True)
    listener = socket.socket(fileno=int(sys.argv[3])) if len(sys.argv) > 3 else None
    return serve(config, Transport(connection), listener)


def serve(config: EngineConfig, transport: Transport, listener: socket.socket | None = None) -> int:
    """Load and run; the exit code of the process."""
    try:
        hooks = FaultHooks.from_environment(os.environ)
        if hooks is not None:
            hooks.reach("load")
        loaded = LoadedModel(config, _ProgressSender(transport))
        runner = make_runner(loaded)
        embedder = make_embedder(loaded)
    except CriaError as error:
        _last_words(transport, str(error))
        return 1
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
    EngineCore(scheduler, steps, peers, embeddings, compiling).run_forever()
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

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._next = 0.0

    def __call__(self, fraction: float) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + PROGRESS_SECONDS
            self._transport.send(codec.encode(Progress(fraction)))


if __name__ == "__main__":
    sys.exit(main())
