"""The raw limit: every token computed, in batches that are full."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cria.config import EngineConfig
from cria.engine.raw_limit import RawLimit, answer, decode, prefill
from cria.native.batch import Batch
from cria.native.context import Context

CASE = b'{"clients": 3, "prompt": "a b c d e f g h", "max_tokens": 5}'


class RecordingContext:
    """Stands for a Context; writes down what is computed."""

    def __init__(self, num_sequences: int) -> None:
        self.num_sequences = num_sequences
        self.steps: list[list[tuple[int, int, bool]]] = []

    def decode(self, batch: Batch) -> None:
        used = slice(batch.num_tokens)
        columns = (batch.sequence_id[used], batch.position[used], batch.output[used])
        rows = zip(*(column.tolist() for column in columns), strict=True)
        self.steps.append(
            [(sequence, position, bool(output)) for sequence, position, output in rows]
        )


def computed(context: RecordingContext) -> Context:
    return context  # type: ignore[return-value]


def test_short_prompts_share_batches() -> None:
    context = RecordingContext(5)
    assert prefill(computed(context), Batch(8), np.zeros((5, 4), np.int32)) > 0
    assert [len(step) for step in context.steps] == [8, 8, 4]
    assert context.steps[2] == [(4, 0, False), (4, 1, False), (4, 2, False), (4, 3, True)]


def test_long_prompts_take_several() -> None:
    context = RecordingContext(2)
    prefill(computed(context), Batch(8), np.zeros((2, 12), np.int32))
    assert [len(step) for step in context.steps] == [8, 4, 8, 4]
    outputs = [(s, p) for step in context.steps for s, p, output in step if output]
    assert outputs == [(0, 11), (1, 11)]


def test_a_step_is_one_token_of_every_sequence() -> None:
    context = RecordingContext(2)
    assert len(decode(computed(context), Batch(8), 12, 2)) == 2
    assert context.steps == [[(0, 12, True), (1, 12, True)], [(0, 13, True), (1, 13, True)]]


@pytest.mark.parametrize("layout", ["auto", "unified", "streams"])
def test_a_model(tiny_gguf: Path, layout: str) -> None:
    limit = RawLimit(EngineConfig(str(tiny_gguf), num_threads=1, kv_layout=layout))
    for _ in range(2):
        found = json.loads(answer(limit, CASE))
        assert len(found["steps"]) == 4
        assert found["prefill"] > 0
        assert found["prompt_tokens"] >= 8
    other = json.loads(answer(limit, CASE.replace(b"3", b"7")))
    assert len(other["steps"]) == 4


def test_what_does_not_fit_is_an_error(tiny_gguf: Path) -> None:
    limit = RawLimit(EngineConfig(str(tiny_gguf), num_threads=1))
    found = json.loads(answer(limit, CASE.replace(b"3", b"3000")))
    assert "sequences" in found["error"]
    found = json.loads(answer(limit, CASE.replace(b"5", b"2000000000")))
    assert "a cache of 6000000768 tokens, for which there is no memory" in found["error"]
    assert "error" not in json.loads(answer(limit, CASE))


def test_the_process_ends_with_its_input_also_in_the_middle_of_a_case(tiny_gguf: Path) -> None:
    config = json.dumps({"model_path": str(tiny_gguf), "num_threads": 1})
    command = [sys.executable, "-m", "cria.engine.raw_limit", config]
    endless = b'{"clients": 1, "prompt": "a", "max_tokens": 200000}\n'
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == b"{}\n"
        process.stdin.write(endless)
        process.stdin.close()
        assert process.wait(20) == 0
        assert process.stdout.read() == b"", "not computed to the end"
