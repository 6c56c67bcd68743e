"""Templates written here, and those that come with llama.cpp's source, if it is at hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cria.formats.derive_reasoning import derive_reasoning
from cria.formats.draw import Draw
from cria.formats.reasoning_format import (
    APRIEL,
    GEMMA_4,
    GPT_OSS,
    KIMI_K3,
    MUSE,
    SOLAR,
    THINK,
    ReasoningFormat,
    Start,
    starts_thinking,
)
from cria.native.library import LIBRARY_DIR
from cria.prompt.template_environment import make_environment


def make_draw(source: str) -> Draw:
    template = make_environment().from_string(source)

    def draw(
        messages: list[dict[str, Any]],
        *,
        tools: list[dict[str, Any]] | None = None,
        add_generation_prompt: bool = False,
        kwargs: Mapping[str, Any] | None = None,
    ) -> str:
        given = {"messages": messages, "add_generation_prompt": add_generation_prompt}
        try:
            return template.render(
                **given, tools=tools, bos_token="<s>", eos_token="</s>", **(kwargs or {})
            )
        except Exception:
            return ""

    return draw


def derive(thinking: str) -> ReasoningFormat | None:
    """Of a template that writes this before the answer of an assistant."""
    source = (
        "{% for m in messages %}<|{{ m.role }}|>"
        f"{thinking}{{{{ m.content }}}}<|end|>{{% endfor %}}"
    )
    return derive_reasoning(make_draw(source), source)


def test_any_tag_that_is_named_so() -> None:
    found = derive("{% if m.reasoning %}<my:think>\n{{ m.reasoning }}</my:think>\n\n{% endif %}")
    assert found == ReasoningFormat("<my:think>", "</my:think>")


def test_what_announces_the_answer() -> None:
    found = derive("{% if m.thinking %}[THINKS]{{ m.thinking }}[/THINKS][SAYS]{% endif %}")
    assert found == ReasoningFormat("[THINKS]", "[/THINKS]", ("[SAYS]",))


def test_a_turn_is_no_mark() -> None:
    assert derive("{{ m.reasoning_content }}<|mid|>") is None


def test_a_template_that_only_cuts_thinking_out() -> None:
    assert derive("{% if '</think>' in m.content %}{% endif %}") == THINK


def test_a_template_without_thinking() -> None:
    assert derive("") is None


def test_a_template_that_refuses_all() -> None:
    assert derive_reasoning(lambda *args, **kwargs: "", "<|START_THINKING|>") == ReasoningFormat(
        "<|START_THINKING|>", "<|END_THINKING|>", ("<|START_RESPONSE|>", "<|START_TEXT|>")
    )


def template_source(name: str) -> str:
    """One of those that come with llama.cpp's source, if that is still there."""
    info_file = LIBRARY_DIR / "BUILD_INFO.json"
    info = json.loads(info_file.read_text()) if info_file.is_file() else {}
    tree = Path(info.get("flags", {}).get("LLAMA_CPP_DIR", "/nonexistent"))
    for folder in (tree / "models", tree / "vendor" / "llama.cpp" / "models"):
        if (folder / "templates" / f"{name}.jinja").is_file():
            return (folder / "templates" / f"{name}.jinja").read_text()
    pytest.skip("llama.cpp's source is not at hand")


@pytest.mark.parametrize(
    ("name", "format", "start"),
    [
        ("Qwen-Qwen3-0.6B", THINK, Start.FREE),
        ("Qwen3.5-4B", THINK, Start.OPEN),
        ("deepseek-ai-DeepSeek-V3.1", THINK, Start.CLOSED),
        ("deepseek-ai-DeepSeek-R1-Distill-Llama-8B", THINK, Start.OPEN),
        ("LFM2.5-8B-A1B", THINK, Start.FREE),
        ("ByteDance-Seed-OSS", ReasoningFormat("<seed:think>", "</seed:think>"), Start.FREE),
        ("MiniMax-M3", ReasoningFormat("<mm:think>", "</mm:think>"), Start.FREE),
        ("tencent-Hy3", ReasoningFormat("<think:opensource>", "</think:opensource>"), Start.CLOSED),
        ("mistralai-Ministral-3-14B-Reasoning-2512", ReasoningFormat("[THINK]", "[/THINK]"),
         Start.FREE),
        ("Apriel-1.6-15b-Thinker-fixed", APRIEL, Start.OPEN),
        ("google-gemma-4-31B-it", GEMMA_4, Start.CLOSED),
        ("openai-gpt-oss-120b", GPT_OSS, Start.FREE),
        ("upstage-Solar-Open-100B", SOLAR, Start.FREE),
        ("Kimi-K3", KIMI_K3, Start.OPEN),
        ("muse-glimmer", MUSE, Start.FREE),
        ("Qwen3-Coder", None, None),
        ("meta-llama-Llama-3.1-8B-Instruct", None, None),
        ("mistralai-Mistral-Nemo-Instruct-2407", None, None),
    ],
)  # fmt: skip
def test_templates_of_models(name: str, format: ReasoningFormat | None, start: Start) -> None:
    source = template_source(name)
    draw = make_draw(source)
    assert derive_reasoning(draw, source) == format
    if format:
        prompt = draw([{"role": "user", "content": "Hi"}], add_generation_prompt=True)
        assert starts_thinking(format, prompt) is start
