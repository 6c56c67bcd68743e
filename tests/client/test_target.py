from __future__ import annotations

from contextlib import closing

import pytest

from cria.client.api import Api, ClientError
from cria.client.target import Target
from tests.client.fake_openai import FakeOpenAI, answer


def test_the_first_model_until_another_is_chosen(fake_api: FakeOpenAI) -> None:
    fake_api.replies = [answer("a"), answer("b")]
    with closing(Api(fake_api.url, None)) as api:
        target = Target(lambda: api, None)
        list(target.answer("/v1/chat/completions", {"seed": 1}, lambda _: None))
        target.choose("second")
        list(target.answer("/v1/chat/completions", {}, lambda _: None))
        with pytest.raises(ClientError, match="has no model third"):
            target.choose("third")
        assert (target.root, target.model()) == (fake_api.url, "second")
    assert [body["model"] for body in fake_api.bodies] == ["first", "second"]
    assert fake_api.bodies[0]["seed"] == 1
