"""From scheduled work to the arrays of one native batch, as it comes or padded.

Where each slot has a stream of its own, llama.cpp computes a batch in one pass over the weights
only as far as the ids in it are consecutive and have equally many tokens: every hole and every
difference in length is another pass. A GPU takes about as long for one token as for many: one hole
among 64 ids costs an H100 8 ms of a step of 14, and every other id missing makes the step twelve
times as long. There, idle slots between busy ones get a token that is forgotten afterwards, and
chunks of prompts are padded to common lengths. A CPU takes as long for such a token as for any
other one, about what another pass costs: there the batch is left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence as Many
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cria.engine.scheduled import Prefill, ScheduledBatch
from cria.engine.slots import Prefix
from cria.native.batch import Batch
from cria.native.context import Context

Slots = npt.NDArray[np.int32]

FILLER_TOKEN = 0
"""Any id will do: nobody reads what becomes of it."""
PADDING = 16
"""Chunks in streams are padded to multiples of this, but not beyond the longest neighbour."""
MAX_FILLERS = 32
"""That an idle slot collects before they are removed: removing takes 9 microseconds a slot."""
MAX_REPEATS = 32
"""Steps for which a batch is only changed where the next one differs."""


class ScoredRows(NamedTuple):
    """Rows of logits that tell how likely the tokens of a prompt were."""

    request_id: int
    first: int
    """The first one's number among all rows of the batch; the others follow it."""
    targets: Slots
    """The tokens, one a row."""
    num_top: int
    """How many most likely tokens are wanted beside each."""


class Batching:
    """The work as it comes, decodes first.

    `lengths` [num_slots] is how many cells each slot holds; `last_tokens` [num_slots] the token of
    each decoding one that is to be computed next.
    """

    extra_tokens_per_slot = 0
    """In a batch, beside the scheduled work."""

    def __init__(self, context: Context, num_slots: int) -> None:
        self._context = context
        self.batch = Batch(context.batch_size)
        self.lengths = np.zeros(num_slots, np.int32)
        self.last_tokens = np.zeros(num_slots, np.int32)
        self._rows: Slots = np.zeros(0, np.int32)
        self._row_indices: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self.scored: list[ScoredRows] = []
        self._scored_chunks: list[tuple[Prefill, int]] = []  # and where in the batch they begin
        self._decodes: Slots | None = None  # what the batch is of, if it is of nothing else
        self._repeats_left = 0

    def take_over(self, prefix: Prefix) -> None:
        """Make a slot hold the first tokens of its source, and nothing else."""
        slot, source, length = prefix
        if slot == source and length:
            self._context.truncate(slot, length)
        else:
            self._context.remove(slot)
            if length:
                self._context.copy(source, slot, length)
        self.lengths[slot] = length

    def free(self, slots: Many[int]) -> None:
        """Whatever these slots held, and whatever became of it."""
        for slot in slots:
            self._context.remove(slot)
            self.lengths[slot] = 0

    def write(self, work: ScheduledBatch) -> Slots:
        """Fill `batch`; the slots of its rows of logits from which tokens are chosen, in order.

        The others are told by `scored`: who has asked for the log probabilities of a prompt.
        """
        if self._goes_on(work):
            self._go_on()
        else:
            self._write(work)
            is_plain = not work.prefills
            self._decodes = work.decodes if is_plain else None
        self.lengths[work.decodes] += 1
        return self._rows

    def _goes_on(self, work: ScheduledBatch) -> bool:
        """Whether the batch is the last one, each sequence one token further."""
        return (
            work.decodes is self._decodes
            and not (work.prefills or work.prefixes)
            and self._repeats_left > 0
        )

    def _go_on(self) -> None:
        self._repeats_left -= 1
        self.batch.position[: self.batch.num_tokens] += 1
        self.batch.token[self._row_indices] = self.last_tokens[self._rows]

    def _write(self, work: ScheduledBatch) -> None:
        """Fill `batch`, and note which slots its rows are of, and which tokens bring them."""
        self.batch.clear()
        decodes = work.decodes
        self.batch.append_each(self.last_tokens[decodes], self.lengths[decodes], decodes, True)
        for prefill in work.prefills:
            self._append_chunk(prefill)
        self._note_rows(work.sampling_slots)
        self._repeats_left = MAX_REPEATS

    def _note_rows(self, slots: Slots) -> None:
        self._rows = slots
        self._row_indices = np.flatnonzero(self.batch.output[: self.batch.num_tokens])
        self.scored = [
            _scored_rows(prefill, start, self._row_indices)
            for prefill, start in self._scored_chunks
        ]
        self._scored_chunks = []

    def _append_chunk(self, prefill: Prefill) -> None:
        sequence, start = prefill.sequence, prefill.sequence.num_computed_tokens
        tokens = sequence.prompt[start : start + prefill.num_tokens]
        begin = self.batch.num_tokens
        self.batch.append(tokens, start, sequence.slot, prefill.samples)
        if scored := prefill.scored_positions:
            self.batch.output[begin + scored.start - start : begin + scored.stop - start] = True
            self._scored_chunks.append((prefill, begin))
        self.lengths[sequence.slot] += prefill.num_tokens


def _scored_rows(prefill: Prefill, begin: int, row_indices: npt.NDArray[np.int64]) -> ScoredRows:
    sequence, scored = prefill.sequence, prefill.scored_positions
    first = begin + scored.start - sequence.num_computed_tokens
    return ScoredRows(
        sequence.request_id,
        int(np.searchsorted(row_indices, first)),
        sequence.prompt[scored.start + 1 : scored.stop + 1],
        sequence.params.logprobs or 0,
    )


class PaddedBatching(Batching):
    """For streams on a GPU: a step is one pass for the decodes, and few for prompts.

    Fillers and padding stay in a slot's cells behind its own tokens until they would be in the way.
    """

    extra_tokens_per_slot = 1 + PADDING

    def __init__(self, context: Context, num_slots: int) -> None:
        super().__init__(context, num_slots)
        self._ends = np.zeros(num_slots, np.int32)  # the lengths with what is to be removed
        self._num_cells = context.num_cells // num_slots
        self._low = self._high = 0

    def take_over(self, prefix: Prefix) -> None:
        """The same, and what was left behind is gone."""
        super().take_over(prefix)
        self._ends[prefix.slot] = prefix.length

    def free(self, slots: Many[int]) -> None:
        """After a failure nobody knows what is left of the fillers: all of them go."""
        super().free(slots)
        for slot, length in enumerate(self.lengths.tolist()):
            self._context.truncate(slot, length)
        self._ends[:] = self.lengths

    def _go_on(self) -> None:
        """The fillers too, of which not too many pile up before all is written anew."""
        super()._go_on()
        self._ends[self._low : self._high] += 1

    def _write(self, work: ScheduledBatch) -> None:
        """Fill `batch` with the slots from the lowest to the highest that has work."""
        self.batch.clear()
        chunks = {prefill.sequence.slot: prefill for prefill in work.prefills}
        slots = np.sort(np.append(work.decodes, np.array([*chunks], np.int32)))
        self._low, self._high = int(slots[0]), int(slots[-1]) + 1
        self._trim(slots)
        padded = _padded_lengths({slot: chunk.num_tokens for slot, chunk in chunks.items()})
        is_decoding = np.zeros(len(self.lengths), bool)
        is_decoding[work.decodes] = True
        low = self._low
        for slot in sorted(chunks):
            self._append_singles(low, slot, is_decoding)
            self._append_padded(chunks[slot], padded[slot])
            low = slot + 1
        self._append_singles(low, self._high, is_decoding)
        self._note_rows(np.sort(work.sampling_slots) if chunks else work.decodes)
        room = self._num_cells - int(self._ends[self._low : self._high].max())
        self._repeats_left = min(MAX_REPEATS, room)

    def _append_singles(self, low: int, high: int, is_decoding: npt.NDArray[np.bool_]) -> None:
        """One token for each slot from `low` to `high`, a filler for those that do not decode."""
        decoding, ends = is_decoding[low:high], self._ends[low:high]
        tokens = np.where(decoding, self.last_tokens[low:high], FILLER_TOKEN)
        self.batch.append_each(tokens, ends, np.arange(low, high, dtype=np.int32), decoding)
        ends += 1

    def _append_padded(self, prefill: Prefill, length: int) -> None:
        slot = prefill.sequence.slot
        self._append_chunk(prefill)
        self._ends[slot] = self.lengths[slot]
        room = self._num_cells - int(self.lengths[slot])
        fillers = min(length - prefill.num_tokens, room)
        if fillers:
            self.batch.append([FILLER_TOKEN] * fillers, int(self.lengths[slot]), slot, False)
            self._ends[slot] += fillers

    def _trim(self, slots: Slots) -> None:
        """Remove what is behind the tokens of these slots, and where no more would fit."""
        has_leftover = self._ends > self.lengths
        in_the_way = has_leftover & (self._ends + MAX_REPEATS >= self._num_cells)
        in_the_way |= self._ends - self.lengths >= MAX_FILLERS
        in_the_way[slots] = has_leftover[slots]
        for slot in np.flatnonzero(in_the_way).tolist():
            self._context.truncate(slot, int(self.lengths[slot]))
            self._ends[slot] = self.lengths[slot]


def _padded_lengths(lengths: dict[int, int]) -> dict[int, int]:
    """A common length for neighbouring slots where that wastes little."""
    padded = {}
    for run in _runs(sorted(lengths)):
        longest = max(lengths[slot] for slot in run)
        for slot in run:
            padded[slot] = min(-(-lengths[slot] // PADDING) * PADDING, longest)
    return padded


def _runs(slots: list[int]) -> list[list[int]]:
    """Consecutive ids together."""
    runs: list[list[int]] = []
    for slot in slots:
        if runs and runs[-1][-1] == slot - 1:
            runs[-1].append(slot)
        else:
            runs.append([slot])
    return runs
