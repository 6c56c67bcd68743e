"""`Embedder`: batches of inputs to vectors, with contexts of their own beside the generation's.

Two kinds of models, two ways:

1. Models that see a text at once (BERT and its like) pool in llama.cpp. An input has to fit into
   one batch, which several inputs share.
2. Models that generate see a token and what came before. Their tokens' vectors are pooled here, so
   that an input may be as long as the context: it comes in pieces, and the cache remembers what
   came before. Short ones share a batch, each in a stream of its own and padded to the longest: in
   one pool of cells the vectors of a quantised model would depend on their neighbours (measured: a
   cosine of 0.9994 instead of 1).

A context is made when it is first needed, and grows when an input needs more; what there is no
memory for is an error of that batch alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cria.engine.embedding_queue import EmbeddingLimits, Piece, Vector
from cria.engine.loaded_model import LoadedModel
from cria.errors import NativeError, SetupError
from cria.ipc.messages import EmbeddingInfo
from cria.native.batch import Batch
from cria.native.embedding_context import EmbeddingContext, EmbeddingOptions, Vectors, output_bytes

DEFAULT_CONTEXT = 8192
BATCH_SIZE = 512
"""Logits of every token of a batch are kept, wanted or not: larger ones would cost too much."""
NUM_INPUTS, NUM_STREAMS = 64, 8
STREAM_SIZE = 256
"""Cells of one stream; longer inputs are computed alone."""
CACHE_BYTES = 2.0
"""Of one number in the cache, which is half precision here."""


class Embedder:
    """One model's; `limits` and `info` are None if it cannot embed."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        self._model = loaded.model
        self._pooling = pooling_of(loaded)
        self._is_causal = self._model.has_decoder
        self._context_size = _context_size(loaded)
        self._contexts: dict[bool, EmbeddingContext] = {}
        """One for several inputs (True), one for a single one (False)."""
        self._sum = _Sum(self._pooling)

    @property
    def limits(self) -> EmbeddingLimits | None:
        """What fits into a batch."""
        if not self._model.can_embed:
            return None
        if not self._is_causal:
            return EmbeddingLimits(self._context_size, BATCH_SIZE, NUM_INPUTS)
        shares = self._pools_here and self._model.has_plain_cache
        num_inputs = NUM_STREAMS if shares else 1
        return EmbeddingLimits(self._context_size, BATCH_SIZE, num_inputs, pads=True, splits=True)

    @property
    def info(self) -> EmbeddingInfo | None:
        """What requests can have."""
        if not self._model.can_embed:
            return None
        size = self._model.num_classes if self._pooling == "rank" else self._model.embedding_size
        return EmbeddingInfo(size, self._context_size, self._pooling)

    def prepare(self) -> None:
        """Embed one token: a model that cannot be computed shows now, not on a request."""
        self.compute([Piece(0, 0, np.zeros(1, np.int32), 0, 1)])

    def compute(self, pieces: Sequence[Piece]) -> list[Vector | None]:
        """The vector of each input that is complete.

        SetupError if there is no memory, NativeError if llama.cpp fails.
        """
        if not self._is_causal:
            return list(self._compute_pooled(pieces))
        longest = max(piece.num_tokens_in_all for piece in pieces)
        if len(pieces) > 1 and longest <= STREAM_SIZE:
            return list(self._compute_padded(pieces))
        return [self._compute_piece(piece) for piece in pieces]

    @property
    def _pools_here(self) -> bool:
        """A classification head has to be llama.cpp's last step."""
        return self._is_causal and self._pooling != "rank"

    def _compute_pooled(self, pieces: Sequence[Piece]) -> list[Vector]:
        """Whole inputs, each a sequence, in one pass."""
        context = self._context(True, max(len(piece.tokens) for piece in pieces))
        batch = Batch(context.batch_size)
        for number, piece in enumerate(pieces):
            batch.append(piece.tokens, 0, number, output=True)
        context.clear()
        context.decode(batch)
        return [_checked(context.sequence_vector(number)) for number in range(len(pieces))]

    def _compute_padded(self, pieces: Sequence[Piece]) -> list[Vector]:
        """Whole inputs, each in a stream; what comes after a token does not change it."""
        context = self._context(True, STREAM_SIZE)
        longest = max(len(piece.tokens) for piece in pieces)
        batch = Batch(context.batch_size)
        for number, piece in enumerate(pieces):
            padded = np.pad(piece.tokens, (0, longest - len(piece.tokens)), mode="edge")
            batch.append(padded, 0, number, output=True)
        context.clear()
        context.decode(batch)
        rows = context.token_vectors(batch.num_tokens).reshape(len(pieces), longest, -1)
        return [
            _Sum(self._pooling).of(rows[number, : len(piece.tokens)])
            for number, piece in enumerate(pieces)
        ]

    def _compute_piece(self, piece: Piece) -> Vector | None:
        """A part of one input, or all of it; the cache holds what came before."""
        context = self._context(False, piece.num_tokens_in_all)
        if not piece.start:
            context.clear()
            self._sum = _Sum(self._pooling)
        batch = Batch(context.batch_size)
        batch.append(piece.tokens, piece.start, 0, output=True)
        context.decode(batch)
        if not self._pools_here:
            return _checked(context.sequence_vector(0)) if piece.is_last else None
        self._sum.add(context.token_vectors(batch.num_tokens))
        return self._sum.vector() if piece.is_last else None

    def _context(self, shared: bool, sequence_size: int) -> EmbeddingContext:
        """The one for several inputs or for a single one, made or made anew if it is too small."""
        found = self._contexts.get(shared)
        if found is not None and found.options.sequence_size >= sequence_size:
            return found
        if found is not None:
            del self._contexts[shared]
            found.close()
        options = self._options(shared, sequence_size)
        self._check_memory(options)
        context = EmbeddingContext(self._model, options)
        self._loaded.adapters.steer(context)
        if (counter := self._loaded.progress_counter) is not None:
            context.count_progress(counter)
        if context.is_causal != self._is_causal:
            raise NativeError("the model's attention is not what its file says")
        self._contexts[shared] = context
        return context

    def _options(self, shared: bool, sequence_size: int) -> EmbeddingOptions:
        size = sequence_size
        if size != STREAM_SIZE:  # more than needed, or every longer input would cost a new one
            size = min(max(BATCH_SIZE, 1 << (size - 1).bit_length()), self._context_size)
        streams = NUM_STREAMS if self._is_causal else NUM_INPUTS
        return EmbeddingOptions(
            sequence_size=size,
            num_sequences=streams if shared else 1,
            batch_size=BATCH_SIZE if self._is_causal else max(BATCH_SIZE, size),
            num_threads=self._loaded.num_threads,
            pooling="none" if self._pools_here else self._pooling,
            flash_attention=self._loaded.config.flash_attention,
        )

    def _check_memory(self, options: EmbeddingOptions) -> None:
        """llama.cpp would take what there is, and the system would end somebody."""
        num_cells = options.num_sequences * options.sequence_size if self._is_causal else 0
        needed = output_bytes(self._model, options.batch_size)
        needed += int(num_cells * self._model.kv_bytes_per_token(CACHE_BYTES, CACHE_BYTES))
        free = self._loaded.free_bytes()
        if needed > free:
            raise SetupError(
                f"embedding {options.sequence_size} tokens needs {needed / 2**30:.2f} GiB, and "
                f"{free / 2**30:.2f} GiB are free"
            )


class _Sum:
    """The vectors of one input's tokens, pooled as they come."""

    def __init__(self, pooling: str) -> None:
        self._pooling = pooling
        self._total: np.ndarray[tuple[int], np.dtype[np.float64]] | None = None
        self._count = 0

    def add(self, rows: Vectors) -> None:
        """Further tokens, [num_tokens, size]."""
        if self._total is None:
            self._total = np.zeros(rows.shape[1], np.float64)
            if self._pooling == "cls":
                self._total[:] = rows[0]
        if self._pooling == "mean":
            self._total += rows.sum(axis=0, dtype=np.float64)
        elif self._pooling == "last":
            self._total[:] = rows[-1]
        self._count += len(rows)

    def vector(self) -> Vector:
        """The input's; NativeError if it is no vector of numbers."""
        assert self._total is not None
        total = self._total / self._count if self._pooling == "mean" else self._total
        return _checked(total.astype(np.float32))

    def of(self, rows: Vectors) -> Vector:
        """All at once."""
        self.add(rows)
        return self.vector()


def pooling_of(loaded: LoadedModel) -> str:
    """What was asked for; else what the model was trained with; else the mean."""
    wanted, trained = loaded.config.pooling, loaded.model.pooling
    if wanted != "auto":
        return wanted
    return "mean" if trained == "none" else trained


def warnings_of(loaded: LoadedModel) -> list[str]:
    """What may be a mistake of the operator's."""
    model, config = loaded.model, loaded.config
    warnings = []
    if config.pooling == "rank" and model.pooling != "rank":
        warnings.append(
            "The model's file does not say that it is a reranker: without a classification head "
            "its scores mean nothing."
        )
    if not model.has_decoder and (config.context_size or 0) > _context_size(loaded):
        warnings.append(f"The model cannot read more than {_context_size(loaded)} tokens.")
    return warnings


def _context_size(loaded: LoadedModel) -> int:
    """Beyond what a model was trained with, BERT and its like have no positions."""
    trained = loaded.model.training_context
    wanted = loaded.config.context_size or min(trained or DEFAULT_CONTEXT, DEFAULT_CONTEXT)
    return wanted if loaded.model.has_decoder else min(wanted, trained or DEFAULT_CONTEXT)


def _checked(vector: Vector) -> Vector:
    if not np.isfinite(vector).all():
        raise NativeError("the model gives numbers that are not finite")
    return vector
