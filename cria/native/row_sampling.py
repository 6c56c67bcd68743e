"""`RowSampler`: the tokens of all rows of a step, in one call and by several threads."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cria.native.library import Library
from cria.native.sampler import DirectSampler, SamplerChain

Sampler = SamplerChain | DirectSampler | None

MAX_THREADS = 16
"""Beyond this the rows of a step are too few, and memory is the limit."""


class RowSampler:
    """Samplers of `num_slots` slots; one per process, since its threads are."""

    def __init__(self, library: Library, num_slots: int, num_threads: int) -> None:
        self._library = library
        self._samplers: list[Sampler] = [None] * num_slots
        self._chains = np.zeros(num_slots, np.uint64)
        self._direct = np.zeros(num_slots, np.uint64)
        self._tokens = np.zeros(num_slots, np.int32)
        # The caller's thread works too.
        library.cria_sampling_threads(min(num_threads, MAX_THREADS, num_slots) - 1)

    def assign(self, slot: int, sampler: Sampler) -> None:
        """The rows of this slot are chosen by `sampler` from now on; None: the most likely."""
        self._samplers[slot] = sampler
        address = 0 if sampler is None else sampler.pointer.value
        self._chains[slot] = address if isinstance(sampler, SamplerChain) else 0
        self._direct[slot] = address if isinstance(sampler, DirectSampler) else 0

    def sample(
        self, logits: npt.NDArray[np.float32], slots: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.int32]:
        """One token per row of `logits` [num_rows, vocab_size]; `slots` tells whose row it is.

        Chains choose as llama.cpp's `llama_sampler_sample` would, and remember the choice;
        direct samplers choose as a chain with their parameters would.
        -1 where nothing can be chosen: every token is banned, or a logit is not a number.
        The next call overwrites the result.
        """
        num_rows, vocab_size = logits.shape
        chains, direct = self._chains[slots], self._direct[slots]
        self._library.cria_sample_rows(
            logits.ctypes.data,
            num_rows,
            vocab_size,
            chains.ctypes.data,
            direct.ctypes.data,
            self._tokens.ctypes.data,
        )
        return self._tokens[:num_rows]
