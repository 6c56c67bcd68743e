from __future__ import annotations

import pytest

from cria.formats.reasoning_format import (
    GPT_OSS,
    KIMI_K3,
    KNOWN,
    SOLAR,
    THINK,
    ReasoningFormat,
    Start,
    starts_thinking,
)


@pytest.mark.parametrize(
    ("format", "tail", "start"),
    [
        (THINK, "<|im_start|>assistant\n<think>\n", Start.OPEN),
        (THINK, "<|im_start|>assistant\n<think>\n\n</think>\n\n", Start.CLOSED),
        (THINK, "<|Assistant|></think>", Start.CLOSED),
        (THINK, "<|im_start|>assistant\n", Start.FREE),
        (THINK, "<think>a</think>b<|im_start|>assistant\n", Start.FREE),
        (GPT_OSS, "<|end|><|start|>assistant", Start.FREE),
        (SOLAR, "<|begin|>assistant<|think|><|end|><|begin|>assistant", Start.CLOSED),
        (SOLAR, "<|end|><|begin|>assistant", Start.FREE),
        (KIMI_K3, '<|open|>message role="assistant"<|sep|><|open|>think<|sep|>', Start.OPEN),
        (KIMI_K3, '<|open|>message role="assistant"<|sep|><|open|>response<|sep|>', Start.CLOSED),
    ],
)
def test_how_a_prompt_ends(format: ReasoningFormat, tail: str, start: Start) -> None:
    assert starts_thinking(format, tail) is start


def test_the_known_ones_are_whole() -> None:
    for format in KNOWN.values():
        assert format.open.strip() and format.close.strip()
        assert all(header.strip() for header in format.headers)
