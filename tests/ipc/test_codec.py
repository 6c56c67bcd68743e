from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cria.ipc import codec
from cria.ipc.messages import (
    Cancel,
    EngineStats,
    FinishReason,
    LoadFailed,
    Progress,
    Ready,
    SequenceOutput,
    StepOutput,
    Submit,
)
from cria.sampling_params import Dry, Mirostat, SamplingParams

READY = Ready(1, 2, 3, 4, 5, 6, "CPU", 7, ["careful"])
STEP = StepOutput(
    [SequenceOutput(1, (5,)), SequenceOutput(2, (), FinishReason.ERROR, 9, "why")],
    EngineStats(1, 2, 3, 4, 5, 6, 7),
)


@pytest.mark.parametrize("message", [Progress(0.5), READY, LoadFailed("no"), STEP], ids=str)
def test_messages_to_the_server_survive(message: object) -> None:
    assert codec.decode_to_server(codec.encode(message)) == message


@pytest.mark.parametrize(
    "message",
    [
        Cancel(3),
        Submit(1, [1, 2], SamplingParams()),
        Submit(1, [1], SamplingParams(dry=Dry(0.8), mirostat=Mirostat(2), samplers=("dry",))),
        Submit(2, [], SamplingParams(temperature=0, logit_bias=((1, -100.0),), seed=2**32 - 2)),
    ],
    ids=str,
)
def test_messages_to_the_engine_survive(message: object) -> None:
    assert codec.decode_to_engine(codec.encode(message)) == message


def test_the_directions_do_not_mix() -> None:
    with pytest.raises(codec.BadFrame):
        codec.decode_to_engine(codec.encode(READY))
    with pytest.raises(codec.BadFrame):
        codec.decode_to_server(codec.encode(Cancel(1)))


@given(st.binary(max_size=200))
@example(b"\x91\xa6\x00\x00\x00\x00\x00\x80")  # a name that is no UTF-8
@example(b"\x91" * 100_000)
def test_garbage_is_a_bad_frame_and_nothing_else(data: bytes) -> None:
    for decode in (codec.decode_to_engine, codec.decode_to_server):
        try:
            decode(data)
        except codec.BadFrame:
            pass


def test_the_token_of_a_step_costs_few_bytes() -> None:
    outputs = [SequenceOutput(number, (40_000,)) for number in range(64)]
    assert len(codec.encode(StepOutput(outputs, EngineStats()))) < 64 * 16
