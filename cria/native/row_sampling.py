"""`RowSampler`: the tokens of all rows of a step, in one call and by several threads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cria.native.library import Library
from cria.native.sampler import DirectSampler, SamplerChain

Sampler = SamplerChain | DirectSampler | None

MAX_THREADS = 16
"""Beyond this the rows of a step are too few, and memory is the limit."""


class RowSampler:
    """Room for `max_rows` rows; one per process, since its threads are."""

    def __init__(self, library: Library, max_rows: int, num_threads: int) -> None:
        self._library = library
        self._chains = np.zeros(max_rows, np.uint64)
        self._direct = np.zeros(max_rows, np.uint64)
        self._tokens = np.zeros(max_rows, np.int32)
        # The caller's thread works too.
        library.cria_sampling_threads(min(num_threads, MAX_THREADS, max_rows) - 1)

    def sample(self, logits: npt.NDArray[np.float32], samplers: Sequence[Sampler]) -> list[int]:
        """One token per row of `logits` [num_rows, vocab_size]; no sampler means the most likely.

        Chains choose as llama.cpp's `llama_sampler_sample` would, and remember the choice;
        direct samplers choose as a chain with their parameters would.
        -1 where nothing can be chosen: every token is banned, or a logit is not a number.
        """
        num_rows, vocab_size = logits.shape
        self._chains[:num_rows] = _pointers(samplers, SamplerChain)
        self._direct[:num_rows] = _pointers(samplers, DirectSampler)
        self._library.cria_sample_rows(
            logits.ctypes.data,
            num_rows,
            vocab_size,
            self._chains.ctypes.data,
            self._direct.ctypes.data,
            self._tokens.ctypes.data,
        )
        tokens: list[int] = self._tokens[:num_rows].tolist()
        return tokens


def _pointers(samplers: Sequence[Sampler], kind: type) -> list[int]:
    """The address of each sampler of this kind, 0 for the others."""
    return [s.pointer.value if s is not None and isinstance(s, kind) else 0 for s in samplers]
