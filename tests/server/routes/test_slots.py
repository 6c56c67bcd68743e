"""GET /slots: so many sequences, and nothing of what is in them."""

from __future__ import annotations

import msgspec
from flask.testing import FlaskClient

from tests.fakes import READY, SILENCE, FakeGeneration, FakeRun


def test_the_busy_ones_stand_first(client: FlaskClient, generation: FakeGeneration) -> None:
    generation.runs.append(FakeRun([SILENCE], 0))
    slots = client.get("/v1/slots").get_json()
    assert [slot["is_processing"] for slot in slots] == [True] + [False] * 7
    assert [slot["id"] for slot in slots] == list(range(8))
    assert set(slots[0]) == {"id", "n_ctx", "is_processing", "speculative"}
    assert slots[0]["n_ctx"] == 2048


def test_a_probe_for_a_free_slot(client: FlaskClient, generation: FakeGeneration) -> None:
    info = msgspec.structs.replace(READY, num_slots=1)
    generation.engine = msgspec.structs.replace(generation.engine, info=info)
    assert client.get("/slots?fail_on_no_slot=1").status_code == 200
    generation.runs.append(FakeRun([SILENCE], 0))
    full = client.get("/slots?fail_on_no_slot=1")
    assert (full.status_code, full.headers["Retry-After"]) == (503, "1")
    assert full.get_json()["error"]["code"] == "no_slot_available"
    assert client.get("/slots").status_code == 200
