"""`EmbeddingSteps`: one batch of inputs at a time, between the steps of the generation.

Beside streams a batch is as small as its own pacer says, so that they do not stop; without them it
is as large as it may be. Whatever goes wrong ends the requests of that batch, and nothing else.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from cria.engine.embedding_queue import EmbeddingLimits, EmbeddingQueue, Piece, Vector
from cria.engine.pacing import PrefillPacer
from cria.errors import BrokenContext, CriaError
from cria.ipc.messages import Cancel, Embed, Embedded

logger = logging.getLogger(__name__)


class Embedder(Protocol):
    """What computes a batch: `embedder.Embedder`, or a fake in tests."""

    @property
    def limits(self) -> EmbeddingLimits | None:
        """None if the model cannot embed."""

    def compute(self, pieces: Sequence[Piece]) -> list[Vector | None]:
        """The vector of each input that is complete; CriaError if there can be none."""


class EmbeddingStep(NamedTuple):
    """What was done."""

    num_inputs: int = 0
    """That are complete."""
    num_tokens: int = 0
    seconds: float = 0.0


class EmbeddingSteps:
    """The embedding side of one engine."""

    def __init__(self, embedder: Embedder, pacer: PrefillPacer) -> None:
        self._embedder = embedder
        self._pacer = pacer
        limits = embedder.limits
        self._batch_size = limits.batch_size if limits else 0
        self._queue = EmbeddingQueue(limits)

    @property
    def is_idle(self) -> bool:
        """Nothing to compute and nothing to tell."""
        return self._queue.is_idle

    def submit(self, message: Embed) -> None:
        self._queue.submit(message)

    def cancel(self, message: Cancel) -> None:
        """Of a request that may be somebody else's."""
        self._queue.cancel(message)

    def step(self, *, beside_streams: bool) -> EmbeddingStep:
        """Compute one batch, if there is one."""
        pieces = self._queue.next_batch(self._pacer.chunk if beside_streams else self._batch_size)
        if not pieces:
            return EmbeddingStep()
        began = time.monotonic()
        try:
            vectors = self._embedder.compute(pieces)
        except BrokenContext:
            raise  # the end of the engine
        except CriaError as error:
            logger.error("an embedding failed: %s", error)
            self._queue.fail(pieces, str(error).rstrip("."))
            return EmbeddingStep(seconds=time.monotonic() - began)
        self._queue.record(pieces, vectors)
        seconds = time.monotonic() - began
        num_tokens = sum(len(piece.tokens) for piece in pieces)
        self._pacer.observe(0, num_tokens, seconds)
        return EmbeddingStep(sum(piece.is_last for piece in pieces), num_tokens, seconds)

    def take_output(self) -> list[Embedded]:
        """The answers since the last call."""
        return self._queue.take_output()
