"""What a child process finds out about a model's text side."""

from __future__ import annotations

from pathlib import Path

import pytest

from cria.errors import ModelFileError
from cria.native.tiny_model import write_tiny_model
from cria.prompt.inspection import inspect

pytestmark = pytest.mark.integration

TOOLS = (
    "{% for t in tools %}{{ t | tojson }}{% endfor %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "{% for c in m.tool_calls %}<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}"
    "<|im_end|>{% endfor %}<|im_start|>assistant\n"
)


def test_a_template_that_chats(tiny_gguf: Path) -> None:
    found = inspect(str(tiny_gguf))
    assert found.text.chats and not found.text.takes_tools and not found.text.thinks
    assert found.machine.free_bytes > 0


def test_a_template_with_tools(tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "tools.gguf", chat_template=TOOLS)
    assert inspect(str(tmp_path / "tools.gguf")).text.takes_tools


def test_none(tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "plain.gguf")
    text = inspect(str(tmp_path / "plain.gguf")).text
    assert not text.chats and text.problem is not None and "no chat template" in text.problem


def test_no_model_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelFileError, match="x.gguf"):
        inspect(str(tmp_path / "x.gguf"))
