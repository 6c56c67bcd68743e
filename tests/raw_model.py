"""A model without a server: what its answers are compared with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from cria.native import library
from cria.native.batch import Batch
from cria.native.context import Context, ContextOptions
from cria.native.model import Model


class RawModel:
    """Computes on one thread: two would wait for each other, spinning, on a busy machine.

    Quantised weights are multiplied in another way for many tokens than for one: logits agree
    closely only with those of batches of the same sizes, here `CHUNK` as in the server.
    """

    CHUNK = 128

    def __init__(self, path: Path) -> None:
        self._model = Model(library.load(), str(path))
        options = ContextOptions(512, 1, self.CHUNK, self.CHUNK, 1, num_outputs=self.CHUNK)
        self._context = Context(self._model, options)
        self._batch = Batch(self.CHUNK)

    def log_softmax(self, token_ids: list[int]) -> npt.NDArray[np.float64]:
        """For each token the logarithms of the probabilities of what follows, [n, vocab_size]."""
        self._context.clear()
        starts = range(0, len(token_ids), self.CHUNK)
        return np.concatenate([self._next(token_ids[s : s + self.CHUNK], s) for s in starts])

    def greedy(self, token_ids: list[int], num_tokens: int) -> list[int]:
        """What is most likely to follow."""
        self._context.clear()
        sequence, row = list(token_ids), self._next(token_ids, 0)[-1]
        for _ in range(num_tokens):
            sequence.append(int(row.argmax()))
            row = self._next(sequence[-1:], len(sequence) - 1)[-1]
        return sequence[len(token_ids) :]

    def pieces(self, token_ids: list[int]) -> list[str]:
        return [self._model.vocab.pieces[token].decode() for token in token_ids]

    def tokenize(self, text: str) -> list[int]:
        return self._model.vocab.tokenize(text.encode(), add_special=True, parse_special=True)

    @property
    def bos_id(self) -> int | None:
        return self._model.vocab.bos_id

    def _next(self, token_ids: list[int], position: int) -> npt.NDArray[np.float64]:
        self._batch.clear()
        self._batch.append(token_ids, position, 0, True)
        self._batch.output[: len(token_ids)] = True
        self._context.decode(self._batch)
        rows = self._context.logits(len(token_ids)).astype(np.float64)
        shifted: npt.NDArray[np.float64] = rows - rows.max(axis=1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
