from __future__ import annotations

import json

from cria.api.models import ModelCard, encode_model, encode_models

CARD = ModelCard("org/name", 5, meta={"n_vocab": 7, "file": "x.gguf"})
EXPECTED = {
    "id": "org/name",
    "object": "model",
    "created": 5,
    "owned_by": "cria",
    "meta": {"n_vocab": 7, "file": "x.gguf"},
}


def test_one_model() -> None:
    assert json.loads(encode_model(CARD)) == EXPECTED


def test_all_models() -> None:
    assert json.loads(encode_models([CARD])) == {"object": "list", "data": [EXPECTED]}
