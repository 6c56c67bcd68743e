"""The raw limit: `python -m cria.engine.raw_limit CONFIG`, what the model can do without a server.

CONFIG is an `EngineConfig` as JSON. Each line of standard input is a Case, each line of standard
output its Timing, or an object with `error`. Nothing is scheduled, sampled, or made text of: the
prompts are computed in full batches, and then every step computes one token of every sequence, as
llama.cpp's own `llama-batched-bench` does.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from queue import SimpleQueue

import msgspec
import numpy as np

from cria.config import EngineConfig
from cria.engine.model_runner import (
    BATCH_SIZE_CPU,
    BATCH_SIZE_GPU,
    UBATCH_SIZE_CPU,
    UBATCH_SIZE_GPU,
)
from cria.errors import CriaError, ModelFileError, SetupError
from cria.native import devices, library
from cria.native.batch import Batch, Tokens
from cria.native.context import CACHE_TYPE_BYTES, Context, ContextOptions
from cria.native.model import Model, ModelOptions


class Case(msgspec.Struct, frozen=True):
    """So many sequences, each with a prompt as long as this one, and so many tokens after it."""

    clients: int
    prompt: str
    max_tokens: int


class Timing(msgspec.Struct, frozen=True):
    """Seconds; the last prompt token brings the first generated one, each step one more."""

    prompt_tokens: int
    """Of one sequence."""
    prefill: float
    steps: list[float]


class RawLimit:
    """A loaded model, with a context as large as the last case needed."""

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        native = library.load()
        gpus = devices.gpus(native)
        layers = -1 if config.num_gpu_layers is None else config.num_gpu_layers
        self._on_gpu = bool(gpus) and layers != 0
        self._free_bytes = (
            sum(gpu.free_bytes for gpu in gpus) if self._on_gpu else devices.free_main_memory()
        )
        options = ModelOptions(
            num_gpu_layers=layers if gpus else 0,
            main_gpu=config.main_gpu,
            split_mode=config.split_mode,
            tensor_split=config.tensor_split,
            use_mmap=config.use_mmap,
        )
        self._model = Model(native, config.model_path, options)
        if not self._model.has_decoder:
            raise ModelFileError(f"{config.model_path} is an embedding model: it has no steps.")
        self._context: Context | None = None
        self._context_options: ContextOptions | None = None

    def measure(self, case: Case) -> Timing:
        """Compute it; the model's memory of cases before is gone."""
        vocab = self._model.vocab
        length = len(vocab.tokenize(case.prompt.encode(), add_special=True, parse_special=False))
        # The text does not matter, only that the sequences differ.
        tokens = np.random.default_rng(0).integers(
            0, vocab.num_tokens, (case.clients, length), np.int32
        )
        options = self._options(case, length)
        self._check_memory(options)
        context = self._context_for(options, tokens)
        batch = Batch(context.batch_size)
        context.clear()
        return Timing(
            length,
            prefill(context, batch, tokens),
            decode(context, batch, length, case.max_tokens - 1),
        )

    def _context_for(self, options: ContextOptions, tokens: Tokens) -> Context:
        """A new one computes the prompts once for nothing: memory nobody has touched is slow."""
        if self._context is None or self._context_options != options:
            if self._context is not None:
                self._context.close()
                self._context = None
            self._context = Context(self._model, options)
            self._context_options = options
            batch = Batch(self._context.batch_size)
            prefill(self._context, batch, tokens)
            decode(self._context, batch, tokens.shape[1], 1)
        return self._context

    def _check_memory(self, options: ContextOptions) -> None:
        """llama.cpp would take what there is, and the system would end somebody."""
        bytes_per_cell = self._model.kv_bytes_per_token(
            CACHE_TYPE_BYTES[options.cache_type_k], CACHE_TYPE_BYTES[options.cache_type_v]
        )
        if options.num_cells * bytes_per_cell > self._free_bytes:
            raise SetupError(
                f"The raw limit needs a cache of {options.num_cells} tokens, for which there is no "
                "memory: take fewer --clients, or a smaller --max-tokens or --prompt-words."
            )

    def _options(self, case: Case, num_prompt_tokens: int) -> ContextOptions:
        """As `ModelRunner` has them, for as many tokens as the case needs."""
        config = self._config
        # In streams llama.cpp rounds each sequence's part up to this by itself.
        length = -(-(num_prompt_tokens + case.max_tokens) // 256) * 256
        batch_size = config.batch_size or (BATCH_SIZE_GPU if self._on_gpu else BATCH_SIZE_CPU)
        ubatch_size = config.ubatch_size or (UBATCH_SIZE_GPU if self._on_gpu else UBATCH_SIZE_CPU)
        return ContextOptions(
            num_cells=case.clients * length,
            num_sequences=case.clients,
            batch_size=min(max(batch_size, case.clients), case.clients * length),
            ubatch_size=min(ubatch_size, batch_size),
            num_threads=config.num_threads or devices.num_cores(),
            flash_attention=config.flash_attention,
            cache_type_k=config.cache_type_k,
            cache_type_v=config.cache_type_v,
            unified=self._is_unified(),
        )

    def _is_unified(self) -> bool:
        return not self._model.has_plain_cache or self._config.kv_layout == "unified"


def prefill(context: Context, batch: Batch, tokens: Tokens) -> float:
    """Compute the prompts [sequence, position] in as few batches as hold them; seconds.

    Several in a batch only if they fit whole: in streams, pieces of different lengths would be
    computed one after another.
    """
    start = time.perf_counter()
    clients, length = tokens.shape
    together = max(1, batch.capacity // length)
    for first in range(0, clients, together):
        group = range(first, min(first + together, clients))
        for begin in range(0, length, batch.capacity):
            end = min(begin + batch.capacity, length)
            batch.clear()
            for sequence in group:
                batch.append(tokens[sequence, begin:end], begin, sequence, end == length)
            context.decode(batch)
    return time.perf_counter() - start


def decode(context: Context, batch: Batch, length: int, num_steps: int) -> list[float]:
    """Go on from `length` tokens in every sequence; seconds of each step."""
    batch.clear()
    for sequence in range(context.num_sequences):
        batch.append([0], length, sequence, output=True)
    seconds = []
    for _ in range(num_steps):
        start = time.perf_counter()
        context.decode(batch)
        seconds.append(time.perf_counter() - start)
        batch.position[: batch.num_tokens] += 1
    return seconds


def answer(limit: RawLimit, line: bytes) -> bytes:
    """The timing of one case; what does not fit into memory is an error and no end."""
    try:
        return msgspec.json.encode(limit.measure(msgspec.json.decode(line, type=Case)))
    except CriaError as error:
        return failure(error)


def failure(error: CriaError) -> bytes:
    return msgspec.json.encode({"error": str(error)})


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it is told too, and ends it
    try:
        limit = RawLimit(msgspec.json.decode(sys.argv[1], type=EngineConfig))
    except CriaError as error:
        write(failure(error))
        return
    write(b"{}")
    lines: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_read_lines, args=(lines,), daemon=True).start()
    while True:
        write(answer(limit, lines.get()))


def _read_lines(lines: SimpleQueue[bytes]) -> None:
    """Whoever started this is gone at the end of them, and nobody waits for a result."""
    for line in sys.stdin.buffer:
        lines.put(line)
    os._exit(0)


def write(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
