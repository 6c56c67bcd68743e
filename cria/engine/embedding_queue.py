"""`EmbeddingQueue`: which inputs, or which part of one, are embedded next.

Requests take turns, so that one with thousands of inputs does not hold up one with a single input;
what one leaves free in a batch, the next ones fill. An input that is too long for a batch is
computed piece by piece, if the model can do that, and then nothing else is until it is complete.

Knows no clock, no socket and no llama.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cria.ipc.messages import Cancel, Embed, Embedded

Tokens = npt.NDArray[np.int32]
Vector = npt.NDArray[np.float32]


class EmbeddingLimits(NamedTuple):
    """What one batch takes."""

    context_size: int
    """Tokens of one input."""
    batch_size: int
    """Tokens of a batch."""
    num_inputs: int
    pads: bool = False
    """Every input takes as many tokens of the batch as the longest one."""
    splits: bool = False
    """An input may be computed in pieces; else it has to fit into a batch."""


class Piece(NamedTuple):
    """Some tokens of one input, usually all of them."""

    request_id: int
    number: int
    """Of the input in its request."""
    tokens: Tokens
    start: int
    """How many tokens of the input came before."""
    num_tokens_in_all: int
    """Of the input."""

    @property
    def end(self) -> int:
        return self.start + len(self.tokens)

    @property
    def is_last(self) -> bool:
        """With it the input is complete."""
        return self.end == self.num_tokens_in_all


class _Request:
    """What is still to be computed, and what is there already."""

    def __init__(self, message: Embed) -> None:
        self.request_id = message.request_id
        self.inputs = [np.array(tokens, np.int32) for tokens in message.inputs]
        # The longest first: neighbours in a batch are then of about the same length.
        self.waiting = sorted(range(len(self.inputs)), key=lambda i: len(self.inputs[i]))
        self.vectors: dict[int, Vector] = {}

    def next_length(self) -> int:
        return len(self.inputs[self.waiting[-1]])

    def piece(self, index: int, start: int, end: int) -> Piece:
        tokens = self.inputs[index]
        return Piece(self.request_id, index, tokens[start:end], start, len(tokens))

    def answer(self) -> Embedded:
        vectors = [self.vectors[index] for index in range(len(self.inputs))]
        return Embedded(self.request_id, np.stack(vectors).astype("<f4").tobytes())


class EmbeddingQueue:
    """`submit` and `cancel`, then `next_batch` and `record` or `fail`.

    `take_output` returns the answers since the last call: exactly one for each request.
    """

    def __init__(self, limits: EmbeddingLimits | None) -> None:
        """Without limits the model cannot embed, and every request is refused."""
        self._limits = limits
        self._requests: dict[int, _Request] = {}
        self._turns: list[_Request] = []
        """Those with inputs that wait; the first one begins the next batch."""
        self._begun: Piece | None = None
        """The last piece of an input that is not complete."""
        self._outputs: list[Embedded] = []

    @property
    def is_idle(self) -> bool:
        """Nothing to compute and nothing to tell."""
        return not (self._requests or self._outputs)

    def submit(self, message: Embed) -> None:
        """Queue a request, or refuse one that can never be computed."""
        reason = self._why_not(message)
        if reason:
            self._outputs.append(Embedded(message.request_id, error=reason))
            return
        request = _Request(message)
        self._requests[request.request_id] = request
        self._turns.append(request)

    def cancel(self, message: Cancel) -> None:
        """End a request now; one that has ended already is not an error."""
        if message.request_id in self._requests:
            self._end(message.request_id, Embedded(message.request_id, error="cancelled"))

    def next_batch(self, max_tokens: int) -> list[Piece]:
        """What to compute now, in one batch of about `max_tokens` or fewer; empty if nothing is."""
        if self._limits is None or not self._requests:
            return []
        limit = min(max_tokens, self._limits.batch_size)
        if self._begun is not None:
            return [self._go_on(self._begun, limit)]
        first = self._turns[0]
        if self._limits.splits and first.next_length() > limit:
            return [self._begin(first, limit)]
        return self._gather(limit)

    def record(self, pieces: Sequence[Piece], vectors: Sequence[Vector | None]) -> None:
        """The batch is computed; the vectors of the inputs that are complete, else None."""
        for piece, vector in zip(pieces, vectors, strict=True):
            request = self._requests[piece.request_id]
            if vector is None:
                self._begun = piece
                continue
            self._begun = None
            request.vectors[piece.number] = vector
            if len(request.vectors) == len(request.inputs):
                self._end(request.request_id, request.answer())

    def fail(self, pieces: Sequence[Piece], reason: str) -> None:
        """End the requests of a batch that could not be computed."""
        for request_id in {piece.request_id for piece in pieces}:
            self._end(request_id, Embedded(request_id, error=reason))

    def take_output(self) -> list[Embedded]:
        """What has ended since the last call."""
        outputs, self._outputs = self._outputs, []
        return outputs

    def _why_not(self, message: Embed) -> str | None:
        if self._limits is None:
            return "this model cannot embed"
        if message.request_id in self._requests:
            return f"request id {message.request_id} is in use"
        lengths = [len(tokens) for tokens in message.inputs]
        if not lengths or not min(lengths):
            return "an input is empty"
        if max(lengths) > self._limits.context_size:
            return (
                f"an input has {max(lengths)} tokens, and {self._limits.context_size} are possible"
            )
        return None

    def _begin(self, request: _Request, limit: int) -> Piece:
        index = request.waiting.pop()
        self._rotate()
        return request.piece(index, 0, limit)

    def _go_on(self, last: Piece, limit: int) -> Piece:
        end = min(last.end + limit, last.num_tokens_in_all)
        return self._requests[last.request_id].piece(last.number, last.end, end)

    def _gather(self, limit: int) -> list[Piece]:
        """Whole inputs in turn, one at least."""
        pieces: list[Piece] = []
        for request in list(self._turns):
            while request.waiting and self._fits(pieces, request.next_length(), limit):
                index = request.waiting.pop()
                pieces.append(request.piece(index, 0, len(request.inputs[index])))
        self._rotate()
        return pieces

    def _fits(self, pieces: Sequence[Piece], length: int, limit: int) -> bool:
        if not pieces:
            return True
        assert self._limits is not None
        if len(pieces) >= self._limits.num_inputs:
            return False
        lengths = [len(piece.tokens) for piece in pieces] + [length]
        if self._limits.pads:
            # Not beside much longer ones: most of the work would be padding.
            return len(lengths) * max(lengths) <= limit and 2 * min(lengths) >= max(lengths)
        return sum(lengths) <= limit

    def _rotate(self) -> None:
        """The next one's turn; whoever has no more inputs that wait is out."""
        turns = self._turns[1:] + self._turns[:1]
        self._turns = [request for request in turns if request.waiting]

    def _end(self, request_id: int, answer: Embedded) -> None:
        request = self._requests.pop(request_id)
        self._turns = [other for other in self._turns if other is not request]
        if self._begun is not None and self._begun.request_id == request_id:
            self._begun = None
        self._outputs.append(answer)
