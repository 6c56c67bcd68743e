"""The service is made once for an application, over a store that has been looked through."""

from __future__ import annotations

from pathlib import Path

import pytest

from cria.answer_store.retention import Limits
from cria.answer_store.store import AnswerStore
from cria.api.responses.response_object import Response
from cria.config import ServerConfig
from cria.errors import SetupError
from cria.generation.model_pool import ModelPool
from cria.server.app import create_app
from cria.server.response_service import detach
from cria.server.stored_answers import answer_of, encode
from tests.fakes import FakeGeneration
from tests.server.responding import responding


def test_there_is_one_for_both_prefixes(tmp_path: Path) -> None:
    app = create_app(
        ModelPool.of(FakeGeneration()),  # type: ignore[arg-type]
        ServerConfig(response_store=str(tmp_path / "store")),
    )
    assert len(list(tmp_path.glob("*.lock"))) == 1
    detach(app)
    assert list(tmp_path.glob("*.lock")) == []


def test_what_was_left_unfinished_has_failed(tmp_path: Path) -> None:
    path = tmp_path / "store"
    dead = AnswerStore(str(path), Limits())
    response = Response(id="resp_1", created_at=1, model="m", status="queued", background=True)
    dead.save(answer_of(response, encode(response), ""), [])
    dead.close()
    with responding(FakeGeneration(), path) as client:
        assert client.get("/v1/responses/resp_1").get_json()["status"] == "failed"


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database" * 1000)
    with pytest.raises(SetupError), responding(FakeGeneration(), tmp_path / "text"):
        pytest.fail("it was used")
