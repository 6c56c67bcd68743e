"""`--chat-template`: the operator's file in place of the model's own template."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from tests.prompt import templates
from tests.real_server import RealServer

pytestmark = pytest.mark.integration

CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2}


def test_it_is_used_and_shown_by_every_process(tiny_gguf: Path, tmp_path: Path) -> None:
    path = tmp_path / "chat.jinja"
    path.write_text(templates.TOOLS)
    options = ("--alias", "tiny", "--chat-template", str(path), "--workers", "2")
    with RealServer.start(tiny_gguf, *options, log=tmp_path / "log") as server:
        path.unlink()  # read once, at the start
        props = requests.get(f"{server.url}/props", timeout=30).json()
        assert props["chat_template"] == templates.TOOLS
        for _ in range(8):
            done = server.post("/apply-template", CHAT)
            prompt = "<|im_start|>user\nHello\n<|im_end|>\n<|im_start|>assistant\n"
            assert done.json() == {"prompt": prompt}
        assert server.post("/v1/chat/completions", CHAT).status_code == 200
