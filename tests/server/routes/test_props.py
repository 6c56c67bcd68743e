"""GET /props: llama-server's names, and nothing that is not so."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from cria import __version__
from cria.generation.text_tools import TextTools
from tests.fakes import TEMPLATE


def test_props(client: FlaskClient) -> None:
    body = client.get("/props").get_json()
    settings = body.pop("default_generation_settings")
    assert body == {
        "total_slots": 8,
        "model_alias": "fake",
        "model_path": "/models/fake.gguf",
        "chat_template": TEMPLATE,
        "bos_token": "<s>",
        "eos_token": "</s>",
        "build_info": f"cria-{__version__}",
        "modalities": {"vision": False, "audio": False, "video": False},
        "endpoint_slots": True,
        "endpoint_props": False,
        "is_sleeping": False,
    }
    assert settings["n_ctx"] == 2048
    params = settings["params"]
    assert (params["temperature"], params["top_k"], params["top_p"]) == (1.0, 0, 1.0)
    assert (params["n_predict"], params["max_tokens"], params["stop"]) == (-1, -1, [])


def test_a_second_template_is_shown(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TextTools, "tool_template_source", "{{ tools }}")
    assert client.get("/props").get_json()["chat_template_tool_use"] == "{{ tools }}"


def test_nothing_can_be_changed(client: FlaskClient) -> None:
    assert client.post("/props", json={}).status_code == 405
