"""`RowSampler`: the tokens of all rows of a step, in one call and by several threads."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cria.errors import NativeError
from cria.logprobs import MAX_TOP_LOGPROBS, TokenLogprobs
from cria.native.library import Library
from cria.native.sampler import Sampler
from cria.native.sampler_chain import SamplerChain

MAX_THREADS = 16
"""Beyond this the rows of a step are too few, and memory is the limit."""

SLOT = np.dtype(
    [
        ("chain", np.uint64),
        ("direct", np.uint64),
        ("num_logprobs", np.int32),
        ("is_proposal", np.int32),
    ],
    align=True,
)
"""struct Slot of native/cria_native.cpp"""
LOGPROBS = np.dtype(
    [
        ("count", np.int32),
        ("chosen", np.float32),
        ("tokens", np.int32, MAX_TOP_LOGPROBS),
        ("values", np.float32, MAX_TOP_LOGPROBS),
    ],
    align=True,
)
"""struct Logprobs of native/logprobs.h"""


class RowSampler:
    """Knows who chooses the tokens of each slot; one per process, since its threads are."""

    def __init__(self, library: Library, num_slots: int, num_threads: int) -> None:
        self._library = library
        self._samplers: list[Sampler] = [None] * num_slots  # keeps alive what the table points to
        self._table = np.zeros(num_slots, SLOT)
        self._table["num_logprobs"] = -1
        self._tokens = np.zeros(num_slots, np.int32)
        self._logprobs = np.zeros(num_slots, LOGPROBS)
        # Looking an address up takes longer than sampling a short row.
        self._addresses = [a.ctypes.data for a in (self._table, self._tokens, self._logprobs)]
        self._num_rows = 0  # of the last step
        # The caller's thread works too.
        library.cria_sampling_threads(min(num_threads, MAX_THREADS, num_slots) - 1)

    def assign(
        self,
        slot: int,
        sampler: Sampler,
        num_logprobs: int | None = None,
        *,
        proposes: bool = False,
    ) -> None:
        """The tokens of this slot are chosen by `sampler` from now on (None: the most likely one).

        The sampler belongs to this slot alone, and must not be closed before the slot gets
        another. `num_logprobs` most likely tokens come with each choice, 20 at most; 0 for the
        log probability of the choice only, None for nothing. If it `proposes`, a choice counts when
        it is told to `accept`, and there may be another one before.
        """
        pointer = 0 if sampler is None else sampler.pointer.value
        is_chain = isinstance(sampler, SamplerChain)
        wanted = -1 if num_logprobs is None else num_logprobs
        self._table[slot] = (pointer * is_chain, pointer * (not is_chain), wanted, proposes)
        self._samplers[slot] = sampler

    def sample(
        self, logits: npt.NDArray[np.float32], slots: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.int32]:
        """One token per row of `logits` [num_rows, vocab_size], which stays as it is.

        `slots` [num_rows] tells whose row it is; a slot has one row at most. -1 where nothing can
        be chosen: every token is banned, or no logit is a number. The next call overwrites the
        result.
        """
        num_rows, vocab_size = logits.shape
        if len(slots) != num_rows:
            raise ValueError(f"{num_rows} rows of {len(slots)} slots")
        logits = np.ascontiguousarray(logits, np.float32)
        slots = np.ascontiguousarray(slots, np.int32)
        table, tokens, logprobs = self._addresses
        self._num_rows = 0
        self._library.cria_sample_rows(
            logits.ctypes.data,
            num_rows,
            vocab_size,
            table,
            len(self._samplers),
            slots.ctypes.data,
            tokens,
            logprobs,
        )
        self._num_rows = num_rows
        return self._tokens[:num_rows]

    def propose_again(
        self,
        row: int,
        logits: npt.NDArray[np.float32],
        slot: int,
        allowed: npt.NDArray[np.int32],
    ) -> int:
        """Another token for a row of the last `sample`, whose `logits` [vocab_size] these are.

        `allowed` [vocab_size / 32, rounded up] has a bit for each token that may be chosen. -1 if
        none can be. The row's log probabilities are those of the new token.
        """
        table, _, logprobs = self._addresses
        token: int = self._library.cria_propose_again(
            logits.ctypes.data,
            len(logits),
            table + slot * SLOT.itemsize,
            allowed.ctypes.data,
            logprobs + row * LOGPROBS.itemsize,
        )
        return token

    def accept(self, slots: npt.NDArray[np.int32], tokens: npt.NDArray[np.int32]) -> None:
        """These proposals count; -1 stands for none."""
        slots = np.ascontiguousarray(slots, np.int32)
        tokens = np.ascontiguousarray(tokens, np.int32)
        self._library.cria_accept_rows(
            self._addresses[0],
            len(self._samplers),
            slots.ctypes.data,
            tokens.ctypes.data,
            len(slots),
        )

    def logprobs(self, row: int) -> TokenLogprobs | None:
        """Of a row of the last `sample`, if its slot asked for it and a token was chosen."""
        if not 0 <= row < self._num_rows:
            raise IndexError(f"no row {row} in the last step")
        return _entry(self._logprobs[row])


def score_rows(
    library: Library,
    logits: npt.NDArray[np.float32],
    targets: npt.NDArray[np.int32],
    num_top: int,
) -> list[TokenLogprobs]:
    """The log probability of one target per row of `logits` [num_rows, vocab_size].

    Beside each those of the `num_top` most likely tokens of its row, 20 at most. NativeError for a
    target that is not in the vocabulary.
    """
    num_rows, vocab_size = logits.shape
    if len(targets) != num_rows:
        raise ValueError(f"{num_rows} rows of {len(targets)} targets")
    logits = np.ascontiguousarray(logits, np.float32)
    targets = np.ascontiguousarray(targets, np.int32)
    scores = np.zeros(num_rows, LOGPROBS)
    library.cria_score_rows(
        logits.ctypes.data, num_rows, vocab_size, targets.ctypes.data, num_top, scores.ctypes.data
    )
    entries = [_entry(score) for score in scores]
    if None in entries:
        raise NativeError(f"a target is not in 0..{vocab_size - 1}")
    return [entry for entry in entries if entry is not None]


def _entry(record: np.void) -> TokenLogprobs | None:
    count = int(record["count"])
    if count < 0:
        return None
    tokens, values = record["tokens"][:count].tolist(), record["values"][:count].tolist()
    return TokenLogprobs(float(record["chosen"]), list(zip(tokens, values, strict=True)))
