"""What becomes of scheduled work, against a fake context with llama.cpp's rules for positions."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.engine.batching import (
    FILLER_TOKEN,
    MAX_FILLERS,
    PADDING,
    Batching,
    PaddedBatching,
    _padded_lengths,
    _runs,
)
from cria.engine.scheduled import Prefill, ScheduledBatch
from cria.engine.sequence import Sequence
from cria.engine.slots import Prefix
from cria.ipc.messages import Submit
from cria.native.batch import Batch
from cria.sampling_params import SamplingParams

NUM_SLOTS, STREAM = 8, 128


class FakeContext:
    """What each sequence holds; positions must follow each other, and a stream has an end."""

    batch_size = NUM_SLOTS * STREAM
    num_cells = NUM_SLOTS * STREAM

    def __init__(self) -> None:
        self.held: list[list[int]] = [[] for _ in range(NUM_SLOTS)]
        self.num_truncates = 0

    def remove(self, slot: int) -> None:
        self.held[slot] = []

    def truncate(self, slot: int, length: int) -> None:
        self.num_truncates += 1
        self.held[slot] = self.held[slot][:length]

    def copy(self, source: int, target: int, length: int) -> None:
        assert not self.held[target] and len(self.held[source]) >= length
        self.held[target] = self.held[source][:length]

    def compute(self, batch: Batch) -> None:
        for row in range(batch.num_tokens):
            held = self.held[batch.sequence_id[row]]
            assert batch.position[row] == len(held), "llama.cpp refuses a gap"
            held.append(int(batch.token[row]))
            assert len(held) <= STREAM, "llama.cpp finds no room"


class Bench:
    """Sequences by slot, whose prompts and tokens are numbers of their own."""

    def __init__(self, layout: type[Batching] = PaddedBatching) -> None:
        self.context = FakeContext()
        self.batching = layout(self.context, NUM_SLOTS)  # type: ignore[arg-type]  # the fake
        self.expected: list[list[int]] = [[] for _ in range(NUM_SLOTS)]
        self.rng = random.Random(1)

    @property
    def batch(self) -> Batch:
        return self.batching.batch

    def take_over(self, slot: int, source: int, length: int) -> None:
        self.batching.take_over(Prefix(slot, source, length))
        self.expected[slot] = self.expected[source][:length]

    def chunk(self, slot: int, num_tokens: int, samples: bool = True) -> Prefill:
        tokens = [self.rng.randrange(1, 100) for _ in range(num_tokens)]
        held = self.expected[slot]
        sequence = Sequence(Submit(slot, [*held, *tokens], SamplingParams()))
        sequence.slot, sequence.num_computed_tokens = slot, len(held)
        return Prefill(sequence, num_tokens, samples)

    def step(self, decodes: tuple[int, ...] = (), *prefills: Prefill) -> list[int]:
        """Compute it; the slots of the rows of logits."""
        self.batching.last_tokens[list(decodes)] = [100 + slot for slot in decodes]
        work = ScheduledBatch([], [], [], np.array(decodes, np.int32), list(prefills))
        rows = self.batching.write(work)
        self.context.compute(self.batch)
        for slot in decodes:
            self.expected[slot].append(100 + slot)
        for prefill in prefills:
            start = prefill.sequence.num_computed_tokens
            tokens = prefill.sequence.prompt[start : start + prefill.num_tokens]
            self.expected[prefill.sequence.slot] += tokens.tolist()
        self.check(work, rows.tolist())
        return rows.tolist()

    def check(self, work: ScheduledBatch, rows: list[int]) -> None:
        extra = self.batch.num_tokens - len(work.decodes) - work.num_prompt_tokens
        assert extra <= self.batching.extra_tokens_per_slot * NUM_SLOTS
        assert self.batching.lengths.tolist() == [len(held) for held in self.expected]
        for held, expected in zip(self.context.held, self.expected, strict=True):
            assert held[: len(expected)] == expected
            assert set(held[len(expected) :]) <= {FILLER_TOKEN}
        outputs = np.flatnonzero(self.batch.output[: self.batch.num_tokens])
        assert self.batch.sequence_id[outputs].tolist() == rows
        assert sorted(rows) == sorted(work.sampling_slots)


def counts(batch: Batch) -> dict[int, int]:
    """How many tokens each id has in the batch."""
    ids = batch.sequence_id[: batch.num_tokens].tolist()
    return {slot: ids.count(slot) for slot in dict.fromkeys(ids)}


def num_passes(batch: Batch) -> int:
    """How llama.cpp splits a batch in streams: equally many tokens of consecutive ids at once."""
    left, passes = counts(batch), 0
    while left:
        first = next(iter(left))
        together = [first]
        while together[-1] + 1 in left:
            together.append(together[-1] + 1)
        taken = min(left[slot] for slot in together)
        left = {
            s: n - taken * (s in together) for s, n in left.items() if n > taken * (s in together)
        }
        passes += 1
    return passes


def fill(bench: Bench, *slots: int, length: int = 5) -> None:
    for slot in slots:
        bench.step((), bench.chunk(slot, length))


class TestUnified:
    def test_decodes_come_first_and_prompts_in_their_order(self) -> None:
        bench = Bench(Batching)
        fill(bench, 1, 4)
        assert bench.step((1, 4), bench.chunk(3, 2), bench.chunk(0, 3, samples=False)) == [1, 4, 3]
        assert bench.batch.sequence_id[:7].tolist() == [1, 4, 3, 3, 0, 0, 0]
        assert bench.batch.position[:7].tolist() == [5, 5, 0, 1, 0, 1, 2]

    def test_there_are_no_fillers(self) -> None:
        bench = Bench(Batching)
        fill(bench, 0, 7)
        bench.step((0, 7), bench.chunk(3, 5))
        assert bench.context.held == bench.expected
        assert Batching.extra_tokens_per_slot == 0


@pytest.mark.parametrize("layout", [Batching, PaddedBatching])
class TestTakingOver:
    def test_a_slot_goes_on_with_its_own_beginning(self, layout: type[Batching]) -> None:
        bench = Bench(layout)
        fill(bench, 2)
        bench.take_over(2, 2, 3)
        bench.step((), bench.chunk(2, 4))

    def test_a_slot_gets_another_ones_beginning(self, layout: type[Batching]) -> None:
        bench = Bench(layout)
        fill(bench, 1, 2)
        bench.take_over(2, 1, 3)
        bench.step((1,), bench.chunk(2, 4))

    def test_what_was_taken_over_can_wait(self, layout: type[Batching]) -> None:
        bench = Bench(layout)
        fill(bench, 0, 1, 2, 3)
        fill(bench, 0)
        bench.take_over(2, 0, 9)
        bench.step((1, 3))
        bench.step((1, 3), bench.chunk(2, 4))

    def test_a_slot_is_emptied(self, layout: type[Batching]) -> None:
        bench = Bench(layout)
        fill(bench, 2)
        bench.take_over(2, 0, 0)
        assert bench.context.held[2] == []
        bench.step((), bench.chunk(2, 4))

    def test_freed_slots_hold_nothing(self, layout: type[Batching]) -> None:
        bench = Bench(layout)
        fill(bench, 1, 2)
        bench.batching.free([1])
        bench.expected[1] = []
        assert bench.context.held[1] == []
        bench.step((2,), bench.chunk(1, 4))


def test_a_hole_between_decodes_gets_a_filler() -> None:
    bench = Bench()
    fill(bench, 1, 3, 6)
    assert bench.step((1, 3, 6)) == [1, 3, 6]
    assert counts(bench.batch) == dict.fromkeys(range(1, 7), 1)
    assert bench.batch.token[:6].tolist() == [101, 0, 103, 0, 0, 106]
    assert num_passes(bench.batch) == 1


def test_prompts_beside_decodes_are_in_the_order_of_ids() -> None:
    bench = Bench()
    fill(bench, 0, 5)
    assert bench.step((0, 5), bench.chunk(7, 3), bench.chunk(2, 4, samples=False)) == [0, 5, 7]
    assert counts(bench.batch) == {0: 1, 1: 1, 2: 4, 3: 1, 4: 1, 5: 1, 6: 1, 7: 3}


def test_prompts_of_nearly_one_length_are_one_pass() -> None:
    bench = Bench()
    bench.step((), *(bench.chunk(slot, length) for slot, length in enumerate((33, 40, 38))))
    assert counts(bench.batch) == dict.fromkeys(range(3), 40)
    assert num_passes(bench.batch) == 1


def test_decodes_and_one_prompt_are_two_passes() -> None:
    bench = Bench()
    fill(bench, *range(8))
    bench.take_over(3, 0, 0)
    bench.step((0, 1, 2, 4, 5, 6, 7), bench.chunk(3, 50))
    assert num_passes(bench.batch) == 2, "one token of all, then the rest of the prompt"


def test_padding_does_not_reach_beyond_the_stream() -> None:
    bench = Bench()
    fill(bench, 0, length=STREAM - 4)
    bench.step((), bench.chunk(0, 3), bench.chunk(1, 20))
    assert counts(bench.batch) == {0: 4, 1: 20}
    assert len(bench.context.held[0]) == STREAM
    bench.step((0, 1))
    assert len(bench.expected[0]) == STREAM


def test_fillers_make_room_for_what_counts() -> None:
    bench = Bench()
    fill(bench, 0, 1, 2)
    for _ in range(5):
        bench.step((0, 2))
    assert len(bench.context.held[1]) == 10
    bench.step((0, 1, 2))
    assert bench.context.held[1] == bench.expected[1]


def test_fillers_are_removed_now_and_then() -> None:
    bench = Bench()
    fill(bench, 0, 1, 2)
    most, before = 0, bench.context.num_truncates
    for _ in range(3 * MAX_FILLERS):
        bench.step((0, 2))
        most = max(most, len(bench.context.held[1]) - 5)
    assert most == MAX_FILLERS
    assert bench.context.num_truncates - before <= 3


def test_a_full_stream_between_others_loses_its_fillers_at_its_end() -> None:
    bench = Bench()
    fill(bench, 0, 2)
    fill(bench, 1, length=STREAM - 2)
    for _ in range(6):
        bench.step((0, 2))


def test_a_failure_removes_fillers_everywhere() -> None:
    """Also of slots that hold nothing else, and of those that the failed batch did not touch."""
    bench = Bench()
    fill(bench, 0, 1, 3)
    for _ in range(3):
        bench.step((0, 3))
    assert (len(bench.context.held[1]), len(bench.context.held[2])) == (8, 3)
    bench.batching.free([3])
    bench.expected[3] = []
    assert bench.context.held == bench.expected
    fill(bench, 3)
    bench.step((0, 3))


@given(st.dictionaries(st.integers(0, 20), st.integers(1, 600), min_size=1))
def test_padding_is_little_and_never_negative(lengths: dict[int, int]) -> None:
    padded = _padded_lengths(lengths)
    assert padded.keys() == lengths.keys()
    for run in _runs(sorted(lengths)):
        assert max(padded[slot] for slot in run) == max(lengths[slot] for slot in run)
        for slot in run:
            assert lengths[slot] <= padded[slot] < lengths[slot] + PADDING


@pytest.mark.parametrize(
    ("lengths", "padded"),
    [
        ({0: 5}, {0: 5}),
        ({0: 5, 1: 7}, {0: 7, 1: 7}),
        ({0: 5, 2: 7}, {0: 5, 2: 7}),
        ({0: 5, 1: 40}, {0: 16, 1: 40}),
        ({0: 32, 1: 33, 2: 34}, {0: 32, 1: 34, 2: 34}),
    ],
)
def test_padded_lengths(lengths: dict[int, int], padded: dict[int, int]) -> None:
    assert _padded_lengths(lengths) == padded


def test_runs_are_consecutive_ids() -> None:
    assert _runs([]) == []
    assert _runs([3]) == [[3]]
    assert _runs([0, 1, 3, 4, 5, 7]) == [[0, 1], [3, 4, 5], [7]]


@given(st.data())
def test_any_order_of_work_keeps_every_sequence_whole(data: st.DataObject) -> None:
    """No gap, no stream that overflows, the right rows: `Bench.step` and the context look."""
    bench = Bench(data.draw(st.sampled_from([Batching, PaddedBatching])))
    for _ in range(data.draw(st.integers(1, 25))):
        slots = data.draw(st.lists(st.integers(0, NUM_SLOTS - 1), unique=True, min_size=1))
        move = data.draw(st.sampled_from(["step", "step", "step", "take over", "free"]))
        if move == "free":
            bench.batching.free(slots)
            for slot in slots:
                bench.expected[slot] = []
        elif move == "take over":
            source = data.draw(st.integers(0, NUM_SLOTS - 1))
            bench.take_over(
                slots[0], source, data.draw(st.integers(0, len(bench.expected[source])))
            )
        else:
            # The last cell of a stream stays free: a sequence's last token is never computed.
            room = {slot: STREAM - 1 - len(bench.expected[slot]) for slot in slots}
            decodes = [
                s for s in slots if room[s] and bench.expected[s] and data.draw(st.booleans())
            ]
            chunks = [
                bench.chunk(slot, data.draw(st.integers(1, room[slot])), data.draw(st.booleans()))
                for slot in slots
                if slot not in decodes and room[slot]
            ]
            if decodes or chunks:
                bench.step(tuple(sorted(decodes)), *chunks)
