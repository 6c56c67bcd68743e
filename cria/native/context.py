"""`Context`: the KV cache and the computation over one model.

The cache has one of two layouts. *Unified*: all sequences share one pool of cells, and every row of
attention runs over all of it that is in use, foreign cells masked out. *Streams*: each sequence has
a part of its own. A GPU multiplies masked cells, and loses a third of its throughput at 64
sequences; a CPU only looks at them, but with 4,096 cells of others in use a step takes a third
longer too (`docs/measurements.md`). In streams, a batch is one forward pass only if the ids in it
are consecutive: each hole splits it.

One thread at a time may use a context. libllama aborts the process when its contract is broken
(`GGML_ASSERT` is active in release builds), so `decode` checks everything that could break it.
"""

from __future__ import annotations

import ctypes

import msgspec
import numpy as np
import numpy.typing as npt

from cria.errors import BrokenContext, NativeError, SetupError
from cria.native import log, structs
from cria.native.batch import Batch
from cria.native.handles import NativeHandle
from cria.native.model import Model

CACHE_TYPES = {
    name: structs.ENUMS[f"GGML_TYPE_{name.upper()}"]
    for name in ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")
}
CACHE_TYPE_BYTES = {
    "f32": 4.0,
    "f16": 2.0,
    "bf16": 2.0,
    "q8_0": 34 / 32,
    "q5_0": 22 / 32,
    "q5_1": 24 / 32,
    "q4_0": 18 / 32,
    "q4_1": 20 / 32,
    "iq4_nl": 18 / 32,
}
"""Bytes of one value in the cache, the scales of its block included."""

INVALID = -(2**31) + 2
"""`cria_decode` has found what `llama_decode` would abort on."""

FLASH_ATTENTION = {
    "auto": structs.ENUMS["LLAMA_FLASH_ATTN_TYPE_AUTO"],
    "off": structs.ENUMS["LLAMA_FLASH_ATTN_TYPE_DISABLED"],
    "on": structs.ENUMS["LLAMA_FLASH_ATTN_TYPE_ENABLED"],
}

NO_MEMORY = -2
DECODE_ERRORS = {
    1: "the KV cache has no room for the batch",
    2: "the computation was aborted",
    -1: "the batch is invalid",
    NO_MEMORY: "there is not enough memory to compute the batch",
    -3: "the computation failed",
}


class ContextOptions(msgspec.Struct, frozen=True):
    """Sizes are in tokens (cells of the KV cache)."""

    num_cells: int
    num_sequences: int
    batch_size: int
    ubatch_size: int
    num_threads: int
    num_outputs: int = 0
    """Rows of logits of one batch; one per sequence if that is more."""
    flash_attention: str = "auto"
    cache_type_k: str = "f16"
    cache_type_v: str = "f16"
    unified: bool = True


class Context(NativeHandle):
    """A `struct llama_context`; sequence ids are 0 to `num_sequences - 1`."""

    def __init__(self, model: Model, options: ContextOptions) -> None:
        """SetupError if there is no memory for it, or the options contradict each other."""
        self.model = model
        self.library = model.library
        pointer = self.library.llama_init_from_model(model.pointer, _params(model, options))
        errors = log.drain(self.library, expected=not pointer)
        if not pointer:
            raise SetupError(_creation_error(options, errors))
        super().__init__(pointer, self.library.llama_free)
        self._memory = self.library.llama_get_memory(pointer)
        self.num_cells = int(self.library.llama_n_ctx(pointer))
        self.num_sequences = int(self.library.llama_n_seq_max(pointer))
        self.batch_size = int(self.library.llama_n_batch(pointer))
        self.vocab_size = model.vocab.num_tokens
        self._unified = options.unified
        self.num_outputs = max(options.num_outputs, self.num_sequences)
        self._limits = (self.vocab_size, self.num_sequences, self.num_cells, self.num_outputs)
        self._logits: npt.NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._logits_address = 0

    def count_progress(self, counter: memoryview) -> None:
        """Add 1 to the 8 bytes of `counter` with each node of the graph that a CPU computes."""
        self._counter = np.frombuffer(counter, np.uint64)  # keeps alive what is pointed to
        self.library.cria_count_progress(self.pointer, self._counter.ctypes.data)

    def decode(self, batch: Batch) -> None:
        """Compute the batch, and wait for the result; NativeError as from `submit`."""
        self.submit(batch)
        self.wait()

    def submit(self, batch: Batch) -> None:
        """Compute the batch: a CPU has done it on return, a GPU has begun.

        NativeError leaves the cache as it was for the codes 1 and -1, which `code` tells.
        """
        if not 0 < batch.num_tokens <= self.batch_size:
            raise NativeError(
                f"a batch of {batch.num_tokens} tokens is not in 1..{self.batch_size}"
            )
        batch.struct.n_tokens = batch.num_tokens
        code = self.library.cria_decode(self.pointer, batch.struct_pointer, *self._limits)
        if code == INVALID:
            explain_invalid(batch, *self._limits)
        if code:
            log.drain(self.library)
            raise decode_error(code)

    def wait(self) -> None:
        """Until everything submitted is computed."""
        self.library.cria_synchronize(self.pointer)

    def logits(self, num_rows: int) -> npt.NDArray[np.float32]:
        """The rows of the last decode, [num_rows, vocab_size], in the batch's order.

        A view of native memory: the next decode overwrites it.
        """
        address = self.library.llama_get_logits(self.pointer)
        if address != self._logits_address:  # libllama moves its buffer only to let it grow
            rows = ctypes.cast(address, ctypes.POINTER(ctypes.c_float))
            shape = (self.num_outputs, self.vocab_size)
            self._logits, self._logits_address = np.ctypeslib.as_array(rows, shape), address
        return self._logits[:num_rows]

    def remove(self, sequence_id: int) -> None:
        """Free all cells of a sequence."""
        self._check_sequence(sequence_id)
        if self._memory:  # models that only encode have none
            self.library.llama_memory_seq_rm(self._memory, sequence_id, -1, -1)

    def truncate(self, sequence_id: int, length: int) -> None:
        """Free the cells of a sequence from position `length` on; not on recurrent models."""
        self._check_sequence(sequence_id)
        if not self.library.llama_memory_seq_rm(self._memory, sequence_id, length, -1):
            raise NativeError(f"the model cannot forget the end of sequence {sequence_id}")

    def copy(self, source: int, target: int, length: int) -> None:
        """Give an empty sequence the first `length` tokens of another one.

        Unified: the cells get a second owner. Streams: the whole stream is copied, before the
        next decode, and cut.
        """
        self._check_sequence(source)
        self._check_sequence(target)
        end = length if self._unified else -1  # libllama aborts on a partial copy of a stream
        self.library.llama_memory_seq_cp(self._memory, source, target, -1, end)
        self.truncate(target, length)

    def clear(self) -> None:
        """Free all cells of all sequences."""
        if self._memory:
            self.library.llama_memory_clear(self._memory, False)

    def last_position(self, sequence_id: int) -> int:
        """The highest position that the cache holds of a sequence; -1 if none."""
        self._check_sequence(sequence_id)
        return int(self.library.llama_memory_seq_pos_max(self._memory, sequence_id))

    def _check_sequence(self, sequence_id: int) -> None:
        if not 0 <= sequence_id < self.num_sequences:
            raise NativeError(f"sequence id {sequence_id} is not in 0..{self.num_sequences - 1}")


class DecodeError(NativeError):
    """`llama_decode` returned `code`, not 0."""

    is_for_batch = True

    def __init__(self, code: int) -> None:
        super().__init__(_explain_code(code))
        self.code = code

    @property
    def cache_is_intact(self) -> bool:
        """The cache is as before the call, and the context can go on."""
        return self.code in (1, -1)


def decode_error(code: int) -> NativeError:
    """What a result of `llama_decode` other than 0 means.

    1, 2 and -1: this batch was not computed, and the next one can be. BrokenContext for what is
    below: nobody knows what state the context is in.
    """
    if code >= -1:
        return DecodeError(code)
    return BrokenContext(_explain_code(code), is_for_memory=code == NO_MEMORY)


def _explain_code(code: int) -> str:
    return f"{DECODE_ERRORS.get(code, 'decoding failed')} (llama_decode: {code})"


def _params(model: Model, options: ContextOptions) -> structs.llama_context_params:
    params: structs.llama_context_params = model.library.llama_context_default_params()
    params.n_ctx = options.num_cells
    params.n_seq_max = options.num_sequences
    # Fewer than one token, or one row, per sequence aborts at the first full step.
    params.n_batch = max(options.batch_size, options.num_sequences)
    params.n_ubatch = min(max(options.ubatch_size, options.num_sequences), params.n_batch)
    params.n_outputs_max = max(options.num_outputs, options.num_sequences)
    params.n_threads = params.n_threads_batch = options.num_threads
    params.flash_attn_type = FLASH_ATTENTION[options.flash_attention]
    params.type_k = CACHE_TYPES[options.cache_type_k]
    params.type_v = CACHE_TYPES[options.cache_type_v]
    params.kv_unified = options.unified
    return params


def explain_invalid(
    batch: Batch, vocab_size: int, num_sequences: int, num_positions: int, num_rows: int
) -> None:
    """Say what is wrong with a batch that would have ended the process."""
    count = batch.num_tokens
    _check_range("token id", batch.token[:count], vocab_size)
    _check_range("sequence id", batch.sequence_id[:count], num_sequences)
    _check_range("position", batch.position[:count], num_positions)
    if np.count_nonzero(batch.output[:count]) > num_rows:
        raise NativeError(f"a batch has more than {num_rows} rows of output")


def _check_range(what: str, values: npt.NDArray[np.int32], limit: int) -> None:
    # One comparison finds negative values too: as unsigned numbers they are huge.
    if values.view(np.uint32).max() >= limit:
        raise NativeError(f"a {what} of the batch is not in 0..{limit - 1}")


def _creation_error(options: ContextOptions, errors: list[str]) -> str:
    reason = f" llama.cpp says: {errors[0].rstrip('.')}." if errors else ""
    return (
        f"The context cannot be created with {options.num_cells} cells of {options.cache_type_k}/"
        f"{options.cache_type_v} for {options.num_sequences} sequences.{reason} Try a smaller "
        "--context-size or --parallel, or other cache types."
    )
