from __future__ import annotations

import json

from cria.api.anthropic.models import encode_model_info, encode_model_page
from cria.api.models import ModelCard

CARD = ModelCard("m", 1_700_000_000, meta={"n_ctx": 8})
INFO = {
    "type": "model",
    "id": "m",
    "display_name": "m",
    "created_at": "2023-11-14T22:13:20Z",
    "lifecycle": "active",
    "max_input_tokens": 8,
    "max_tokens": 8,
}


def test_one_model() -> None:
    assert json.loads(encode_model_info(CARD)) == INFO


def test_a_model_that_is_loading_says_less() -> None:
    info = json.loads(encode_model_info(ModelCard("m", 0)))
    assert (info["max_input_tokens"], info["max_tokens"]) == (None, None)


def test_all_models() -> None:
    page = {"data": [INFO, INFO], "has_more": False, "first_id": "m", "last_id": "m"}
    assert json.loads(encode_model_page([CARD, CARD])) == page
    empty = {"data": [], "has_more": False, "first_id": None, "last_id": None}
    assert json.loads(encode_model_page([])) == empty
