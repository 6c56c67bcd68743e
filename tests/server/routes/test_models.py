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
