"""The routes over a fake generation with one adapter; the rest is in tests/integration."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from cria.config import Adapter
from tests.fakes import FakeGeneration


@pytest.fixture(autouse=True)
def one_adapter(generation: FakeGeneration) -> None:
    generation.adapters.adopt((Adapter("/x/one.gguf", "one", 0.5),), applied=True)


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_they_are_listed(client: FlaskClient, prefix: str) -> None:
    told = client.get(f"{prefix}/lora-adapters").get_json()
    assert told == [{"id": 0, "name": "one", "path": "/x/one.gguf", "scale": 0.5}]


def test_default_scales_are_set(client: FlaskClient) -> None:
    told = client.post("/lora-adapters", json=[{"id": 0, "scale": 0.25}]).get_json()
    assert told[0]["scale"] == 0.25
    assert client.post("/lora-adapters", json=[]).get_json()[0]["scale"] == 0.0
    answer = client.post("/lora-adapters", json=[{"id": 1, "scale": 1}])
    assert answer.status_code == 400
    assert client.post("/lora-adapters", json=[{"id": 0}]).status_code == 400


@pytest.mark.parametrize("path", ["/v1/load_lora_adapter", "/unload_lora_adapter"])
def test_callers_change_nothing_without_a_folder(client: FlaskClient, path: str) -> None:
    answer = client.post(path, json={"lora_name": "x", "lora_path": "y"})
    assert answer.status_code == 403
    assert "--lora-folder" in answer.get_json()["error"]["message"]


def test_they_are_models(client: FlaskClient) -> None:
    card = client.get("/v1/models/fake:one").get_json()
    assert (card["parent"], card["root"], card["scale"]) == ("fake", "one.gguf", 0.5)
