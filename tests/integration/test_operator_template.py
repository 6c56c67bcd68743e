"""Templates in a real server: the operator's file, and a model's that does harm to a request."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from cria.native.tiny_model import write_tiny_model
from tests.prompt import templates
from tests.prompt.hostile import LONG
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


def test_a_template_cannot_hang_the_server(tmp_path: Path) -> None:
    """One that is quick when it is tried, and slow with what a user says."""
    model = tmp_path / "hostile.gguf"
    slow = "{% if 'slow' in messages[-1].content %}" + LONG["nested loops"] + "{% endif %}"
    write_tiny_model(model, chat_template=templates.TOOLS + slow)
    with RealServer.start(model, "--alias", "tiny", log=tmp_path / "log") as server:
        body = CHAT | {"messages": [{"role": "user", "content": "slow"}]}
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(server.post, "/v1/chat/completions", body)
            assert server.post("/v1/chat/completions", CHAT).status_code == 200
            assert not waiting.done()
            refused = waiting.result()
        assert refused.status_code == 400
        error = refused.json()["error"]
        assert error["param"] == "messages"
        assert "it takes too long" in error["message"]
