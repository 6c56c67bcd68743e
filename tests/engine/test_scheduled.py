from __future__ import annotations

import numpy as np

from cria.engine.scheduled import Prefill, ScheduledBatch
from cria.engine.sequence import Sequence
from cria.ipc.messages import Submit
from cria.sampling_params import SamplingParams


def chunk(slot: int, num_tokens: int, samples: bool) -> Prefill:
    sequence = Sequence(Submit(slot, [1] * 9, SamplingParams()))
    sequence.slot = slot
    return Prefill(sequence, num_tokens, samples)


def batch(decodes: list[int], *prefills: Prefill) -> ScheduledBatch:
    return ScheduledBatch([], [], [], np.array(decodes, np.int32), list(prefills))


def test_tokens_are_chosen_for_decodes_and_for_prompts_that_end() -> None:
    work = batch([1, 4], chunk(3, 5, samples=True), chunk(0, 2, samples=False), chunk(2, 1, True))
    assert work.sampling_slots.tolist() == [1, 4, 3, 2], "prompts in the order of the batch"
    assert work.num_prompt_tokens == 8


def test_a_batch_is_empty_if_there_is_nothing_to_compute() -> None:
    assert batch([]).is_empty
    assert not batch([0]).is_empty, "a slot, although its number is 0"
    assert not batch([], chunk(0, 1, samples=False)).is_empty
    told = ScheduledBatch([7], [], [], np.zeros(0, np.int32), [])
    assert told.is_empty
