"""What is kept is shown, listed, ended and deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from cria.api.events import ChoiceDelta
from tests.fakes import SILENCE, FakeGeneration
from tests.server.responding import responding


@pytest.fixture
def client(tmp_path: Path) -> Iterator[FlaskClient]:
    scripts = {"wait": [ChoiceDelta(0, "a"), SILENCE]}
    with responding(FakeGeneration(scripts), tmp_path / "store") as made:
        yield made


def create(client: FlaskClient, text: Any = "hi", **fields: Any) -> str:
    """The path of a new response."""
    answer = client.post("/v1/responses", json={"model": "fake", "input": text, **fields})
    return f"/v1/responses/{answer.get_json()['id']}"


@pytest.mark.parametrize(
    ("method", "tail"), [("get", ""), ("delete", ""), ("post", "/cancel"), ("get", "/input_items")]
)
def test_what_is_not_there_is_a_404(client: FlaskClient, method: str, tail: str) -> None:
    answer = getattr(client, method)(f"/v1/responses/resp_x{tail}")
    assert answer.status_code == 404
    error = answer.get_json()["error"]
    assert error["message"] == "Response with id 'resp_x' not found."
    assert error["type"] == "invalid_request_error"


def test_delete(client: FlaskClient) -> None:
    path = create(client)
    deleted = client.delete(path).get_json()
    assert deleted == {"id": path.rpartition("/")[2], "object": "response", "deleted": True}
    assert client.get(path).status_code == 404


def test_deleting_what_runs_ends_it(client: FlaskClient) -> None:
    path = create(client, "wait", background=True)
    assert client.delete(path).status_code == 200
    assert client.get(path).status_code == 404


def test_cancel(client: FlaskClient) -> None:
    path = create(client, "wait", background=True)
    first = client.post(f"{path}/cancel").get_json()
    assert first["status"] == "cancelled"
    assert client.post(f"{path}/cancel").get_json() == first
    assert client.get(path).get_json() == first
    refused = client.post(f"{create(client)}/cancel")
    assert refused.status_code == 400
    assert "synchronous" in refused.get_json()["error"]["message"]


def test_input_items_are_pages(client: FlaskClient) -> None:
    path = create(client, [{"role": "user", "content": word} for word in ("a", "b", "c")])

    def page(query: str) -> tuple[list[str], bool, str]:
        found = client.get(f"{path}/input_items{query}").get_json()
        assert found["first_id"] == found["data"][0]["id"]
        texts = [item["content"][0]["text"] for item in found["data"]]
        return texts, found["has_more"], found["last_id"]

    assert page("")[:2] == (["c", "b", "a"], False)
    texts, has_more, last = page("?limit=2")
    assert (texts, has_more) == (["c", "b"], True)
    assert page(f"?limit=2&after={last}")[:2] == (["a"], False)
    assert page("?order=asc&limit=1")[:2] == (["a"], True)


def test_input_items_are_those_of_the_request_alone(client: FlaskClient) -> None:
    first = create(client)
    second = create(client, "two", previous_response_id=first.rpartition("/")[2])
    (item,) = client.get(f"{second}/input_items").get_json()["data"]
    assert item["content"] == [{"type": "input_text", "text": "two"}]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("/input_items?limit=0", "limit"),
        ("/input_items?after=x", "after"),
        ("/input_items?order=up", "order"),
        ("?stream=true", "stream"),
        ("?starting_after=1", "starting_after"),
    ],
)
def test_queries_that_are_none_are_named(client: FlaskClient, query: str, param: str) -> None:
    answer = client.get(create(client) + query)
    assert (answer.status_code, answer.get_json()["error"]["param"]) == (400, param)


def test_queries_without_effect_are_reported(client: FlaskClient) -> None:
    answer = client.get(f"{create(client)}?include[]=reasoning.encrypted_content")
    assert answer.headers["x-cria-warnings"] == "include[]"
