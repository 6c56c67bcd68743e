"""An embedder without a library: an input's vector is the sum and the number of its tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cria.engine.embedding_queue import EmbeddingLimits, Piece, Vector
from cria.errors import NativeError

LIMITS = EmbeddingLimits(context_size=64, batch_size=16, num_inputs=4)
SPLITTING = LIMITS._replace(splits=True, pads=True)


class FakeEmbedder:
    """Keeps the books that llama.cpp keeps: of an input in pieces, what came before."""

    def __init__(self, limits: EmbeddingLimits | None = LIMITS) -> None:
        self.limits = limits
        self.batches: list[list[tuple[int, int, int]]] = []
        """Request id, input and number of tokens of each piece."""
        self.fail_next = False
        self._begun: tuple[int, int, int, int] | None = None

    def compute(self, pieces: Sequence[Piece]) -> list[Vector | None]:
        if self.fail_next:
            self.fail_next = False
            raise NativeError("told to fail.")
        self.batches.append([(p.request_id, p.number, len(p.tokens)) for p in pieces])
        return [self._vector(piece) for piece in pieces]

    def _vector(self, piece: Piece) -> Vector | None:
        before = 0
        if piece.start:
            assert self._begun is not None
            request_id, number, end, before = self._begun
            assert (request_id, number, end) == (piece.request_id, piece.number, piece.start)
        total = before + int(piece.tokens.sum())
        self._begun = (piece.request_id, piece.number, piece.end, total)
        return np.array([total, piece.end], np.float32) if piece.is_last else None


def expected(inputs: list[list[int]]) -> bytes:
    """What an `Embedded` should hold."""
    return np.array([[sum(tokens), len(tokens)] for tokens in inputs], "<f4").tobytes()
