from __future__ import annotations

from pathlib import Path

import pytest

from cria.config import EngineConfig
from cria.engine.embedding_only import EmbeddingOnly
from cria.engine.loaded_model import LoadedModel
from cria.engine.scheduled import NO_LOGPROBS
from cria.engine.scheduler import Scheduler
from cria.errors import NativeError
from cria.ipc.messages import FinishReason, Submit
from cria.sampling_params import SamplingParams


@pytest.fixture
def runner(tiny_bert_gguf: Path) -> EmbeddingOnly:
    return EmbeddingOnly(LoadedModel(EngineConfig(str(tiny_bert_gguf))))


@pytest.mark.parametrize("prompt", [[], [5], [5] * 100])
def test_every_sequence_is_refused(runner: EmbeddingOnly, prompt: list[int]) -> None:
    scheduler = Scheduler(
        runner.make_pool(), runner.limits, runner.end_of_generation, runner.make_pacer()
    )
    scheduler.submit(Submit(1, prompt, SamplingParams()))
    assert scheduler.schedule().is_empty
    (output,) = scheduler.take_output().outputs
    assert (output.request_id, output.finish_reason) == (1, FinishReason.ERROR)
    assert scheduler.is_idle


def test_it_says_that_it_cannot_generate(runner: EmbeddingOnly) -> None:
    info = runner.info
    assert (info.can_generate, info.num_slots, info.num_parameters > 0) == (False, 0, True)
    batch = Scheduler(runner.make_pool(), runner.limits, (), runner.make_pacer()).schedule()
    for compute in (runner.start, runner.finish):
        with pytest.raises(NativeError, match="cannot generate"):
            compute(batch)
    assert runner.logprobs(batch) is NO_LOGPROBS
    runner.lose(batch)
