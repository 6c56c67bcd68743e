"""`EmbeddingContext`: a computation over one model whose results are vectors, not tokens.

It is a context of its own beside the one that generates: whether a context embeds, and how it
pools, is fixed when it is made. Two things go wrong in llama.cpp without a word, so that they are
refused here: a batch of more than one pass (`n_ubatch`) is pooled pass by pass, and only the last
pass's vector is kept; and pooled sequences must not be in streams.

One thread at a time may use a context, as with `Context`.
"""

from __future__ import annotations

import ctypes

import msgspec
import numpy as np
import numpy.typing as npt

from cria.errors import NativeError, SetupError
from cria.native import log, structs
from cria.native.batch import Batch
from cria.native.context import FLASH_ATTENTION, INVALID, decode_error, explain_invalid
from cria.native.handles import NativeHandle
from cria.native.model import POOLING_TYPES, Model

Vectors = npt.NDArray[np.float32]

OUTPUT_BYTES = 4
"""Of each number that a token gets: with every batch, llama.cpp keeps logits and embeddings."""


class EmbeddingOptions(msgspec.Struct, frozen=True):
    """Sizes are in tokens."""

    sequence_size: int
    """Of one sequence, at most."""
    num_sequences: int
    """Ids 0 to `num_sequences - 1`."""
    batch_size: int
    """Of one batch, which is one pass over the weights."""
    num_threads: int
    pooling: str = "none"
    """`none` leaves a vector for each token, in streams; else sequences share one pool of cells."""
    flash_attention: str = "auto"


class EmbeddingContext(NativeHandle):
    """A `struct llama_context` that embeds."""

    def __init__(self, model: Model, options: EmbeddingOptions) -> None:
        """SetupError if there is no memory for it."""
        self.model = model
        self.library = model.library
        self.options = options
        pointer = self.library.llama_init_from_model(model.pointer, _params(model, options))
        errors = log.drain(self.library, expected=not pointer)
        if not pointer:
            raise SetupError(_creation_error(options, errors))
        super().__init__(pointer, self.library.llama_free)
        self._memory = self.library.llama_get_memory(pointer)
        self.batch_size = int(self.library.llama_n_batch(pointer))
        self.is_pooled = self.library.llama_pooling_type(pointer) != POOLING_TYPES["none"]
        self.is_causal = bool(self.library.llama_get_causal_attn(pointer))
        is_rank = options.pooling == "rank"
        self.vector_size = model.num_classes if is_rank else model.embedding_size
        num_positions = options.sequence_size
        if not self.is_causal and model.training_context:
            # BERT looks positions up in a table, and libllama aborts beyond its end.
            num_positions = min(num_positions, model.training_context)
        self._limits = (
            model.vocab.num_tokens,
            options.num_sequences,
            num_positions,
            self.batch_size,
        )

    def decode(self, batch: Batch) -> None:
        """Compute the batch, all of whose tokens get an output; NativeError if that fails."""
        if not 0 < batch.num_tokens <= self.batch_size:
            raise NativeError(
                f"a batch of {batch.num_tokens} tokens is not in 1..{self.batch_size}"
            )
        batch.struct.n_tokens = batch.num_tokens
        batch.output[: batch.num_tokens] = 1
        code = self.library.cria_decode(self.pointer, batch.struct_pointer, *self._limits)
        if code == INVALID:
            explain_invalid(batch, *self._limits)
        if code:
            log.drain(self.library)
            raise decode_error(code)
        self.library.cria_synchronize(self.pointer)

    def count_progress(self, counter: memoryview) -> None:
        """As `Context.count_progress`."""
        self._counter = np.frombuffer(counter, np.uint64)
        self.library.cria_count_progress(self.pointer, self._counter.ctypes.data)

    def clear(self) -> None:
        """Forget all sequences; models that see a whole text at once remember none."""
        if self._memory:
            self.library.llama_memory_clear(self._memory, False)

    def token_vectors(self, num_tokens: int) -> Vectors:
        """Of the last batch, [num_tokens, vector_size], in its order; needs `none` as pooling.

        A view of native memory: the next decode overwrites it.
        """
        if self.is_pooled:
            raise NativeError("a context that pools has no vectors of tokens")
        address = self.library.llama_get_embeddings(self.pointer)
        return _array(address, (num_tokens, self.vector_size))

    def sequence_vector(self, sequence_id: int) -> Vectors:
        """The pooled one of a sequence of the last batch, [vector_size]; NativeError if none."""
        address = self.library.llama_get_embeddings_seq(self.pointer, sequence_id)
        return _array(address, (self.vector_size,)).copy()


def output_bytes(model: Model, batch_size: int) -> int:
    """What a context keeps for the outputs of a batch: most of it is logits that nobody wants."""
    return OUTPUT_BYTES * batch_size * (model.vocab.num_tokens + model.embedding_size)


def _params(model: Model, options: EmbeddingOptions) -> structs.llama_context_params:
    params: structs.llama_context_params = model.library.llama_context_default_params()
    is_pooled = options.pooling != "none"
    # Pooled sequences are forgotten after their batch: they never need more cells than it has.
    params.n_ctx = (
        max(options.batch_size, options.sequence_size)
        if is_pooled
        else options.num_sequences * options.sequence_size
    )
    params.n_seq_max = options.num_sequences
    params.n_batch = params.n_ubatch = max(options.batch_size, options.num_sequences)
    params.n_outputs_max = params.n_batch
    params.n_threads = params.n_threads_batch = options.num_threads
    params.embeddings = True
    params.pooling_type = POOLING_TYPES[options.pooling]
    params.kv_unified = is_pooled
    params.flash_attn_type = FLASH_ATTENTION[options.flash_attention]
    return params


def _array(address: int, shape: tuple[int, ...]) -> Vectors:
    numbers = ctypes.cast(address, ctypes.POINTER(ctypes.c_float))
    return np.ctypeslib.as_array(numbers, shape)


def _creation_error(options: EmbeddingOptions, errors: list[str]) -> str:
    reason = f" llama.cpp says: {errors[0].rstrip('.')}." if errors else ""
    return (
        f"There is no memory for {options.num_sequences} inputs of {options.sequence_size} tokens "
        f"to embed.{reason}"
    )
