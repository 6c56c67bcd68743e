"""`Batch`: the tokens of one `llama_decode`, in arrays made once and refilled each step."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cria.native.structs import llama_batch

Tokens = npt.NDArray[np.int32]


class Batch:
    """Room for `capacity` tokens, each of one sequence.

    `token`, `position` and `sequence_id` are int32 arrays and `output` an int8 array, all of
    shape [capacity], of which the first `num_tokens` count. The C struct points into them, so
    filling the arrays is all the work there is.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.num_tokens = 0
        self.token: npt.NDArray[np.int32] = np.zeros(capacity, np.int32)
        self.position: npt.NDArray[np.int32] = np.zeros(capacity, np.int32)
        self.sequence_id: npt.NDArray[np.int32] = np.zeros(capacity, np.int32)
        self.output: npt.NDArray[np.int8] = np.zeros(capacity, np.int8)
        self._num_ids = np.ones(capacity, np.int32)
        # llama_seq_id **: one pointer per token, to its own element of sequence_id
        first, stride = self.sequence_id.ctypes.data, self.sequence_id.itemsize
        self._id_pointers = first + stride * np.arange(capacity, dtype=np.uint64)
        self.struct_pointer = ctypes.pointer(llama_batch())
        self.struct_pointer.contents = self.struct = llama_batch(
            n_tokens=0,
            token=self.token.ctypes.data,
            embd=None,
            pos=self.position.ctypes.data,
            n_seq_id=self._num_ids.ctypes.data,
            seq_id=self._id_pointers.ctypes.data,
            logits=self.output.ctypes.data,
        )

    def clear(self) -> None:
        """Forget all tokens."""
        self.num_tokens = 0

    def append(
        self, token_ids: Sequence[int] | Tokens, start: int, sequence_id: int, output: bool
    ) -> int:
        """Add tokens of one sequence from position `start` on; returns the last one's index.

        With `output`, the last of them gets a row of logits.
        """
        begin, end = self.num_tokens, self.num_tokens + len(token_ids)
        if end > self.capacity:
            raise ValueError(f"batch of {self.capacity} tokens cannot take {end}")
        self.token[begin:end] = token_ids
        self.position[begin:end] = np.arange(start, start + len(token_ids))
        self.sequence_id[begin:end] = sequence_id
        self.output[begin:end] = 0
        self.output[end - 1] = output
        self.num_tokens = end
        return end - 1

    def append_each(
        self,
        token_ids: Tokens,
        positions: Tokens,
        sequence_ids: Tokens,
        output: bool | npt.NDArray[np.bool_],
    ) -> None:
        """Add one token of each of these sequences; those with `output` get a row of logits."""
        begin, end = self.num_tokens, self.num_tokens + len(token_ids)
        if end > self.capacity:
            raise ValueError(f"batch of {self.capacity} tokens cannot take {end}")
        self.token[begin:end] = token_ids
        self.position[begin:end] = positions
        self.sequence_id[begin:end] = sequence_ids
        self.output[begin:end] = output
        self.num_tokens = end
