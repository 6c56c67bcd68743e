"""`RowSampler`: the tokens of all rows of a step, in one call and by several threads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cria.native.library import Library
from cria.native.sampler import SamplerChain

MAX_THREADS = 16
"""Beyond this the rows of a step are too few, and memory is the limit."""


class RowSampler:
    """Room for `max_rows` rows; one per process, since its threads are."""

    def __init__(self, library: Library, max_rows: int, num_threads: int) -> None:
        self._library = library
        self._chains = np.zeros(max_rows, np.uint64)
        self._tokens = np.zeros(max_rows, np.int32)
        # The caller's thread works too.
        library.cria_sampling_threads(min(num_threads, MAX_THREADS, max_rows) - 1)

    def sample(
        self, logits: npt.NDArray[np.float32], chains: Sequence[SamplerChain | None]
    ) -> list[int]:
        """One token per row of `logits` [num_rows, vocab_size]; no chain means the most likely.

        The chains choose as llama.cpp's `llama_sampler_sample` would, and remember the choice.
        -1 where nothing can be chosen: every token is banned, or a logit is not a number.
        """
        num_rows, vocab_size = logits.shape
        self._chains[:num_rows] = [chain.pointer.value if chain else 0 for chain in chains]
        self._library.cria_sample_rows(
            logits.ctypes.data,
            num_rows,
            vocab_size,
            self._chains.ctypes.data,
            self._tokens.ctypes.data,
        )
        tokens: list[int] = self._tokens[:num_rows].tolist()
        return tokens
