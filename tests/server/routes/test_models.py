"""GET /v1/models over a fake generation with two names."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient


def test_every_name_is_listed(client: FlaskClient) -> None:
    body = client.get("/v1/models").get_json()
    assert body["object"] == "list"
    assert [card["id"] for card in body["data"]] == ["fake", "org/fake:1"]


@pytest.mark.parametrize("path", ["fake", "org/fake:1", "org%2Ffake:1", "org/fake:1/"])
def test_a_name_with_slashes_is_found(client: FlaskClient, path: str) -> None:
    card = client.get(f"/v1/models/{path}").get_json()
    assert card["id"] in ("fake", "org/fake:1")
    assert (card["object"], card["created"], card["owned_by"]) == ("model", 1_700_000_000, "cria")


def test_an_unknown_name_is_a_404(client: FlaskClient) -> None:
    answer = client.get("/v1/models/nope")
    assert answer.status_code == 404
    assert answer.get_json()["error"]["code"] == "model_not_found"


def test_anthropics_clients_get_their_shape(client: FlaskClient) -> None:
    headers = {"anthropic-version": "2023-06-01"}
    page = client.get("/v1/models", headers=headers).get_json()
    assert [info["id"] for info in page["data"]] == ["fake", "org/fake:1"]
    assert (page["has_more"], page["first_id"], page["last_id"]) == (False, "fake", "org/fake:1")
    info = client.get("/v1/models/org/fake:1", headers=headers).get_json()
    assert info == page["data"][1]
    assert (info["type"], info["max_input_tokens"]) == ("model", 2048)
    missing = client.get("/v1/models/nope", headers=headers)
    assert missing.get_json()["error"]["type"] == "not_found_error"
