from __future__ import annotations

import msgspec

from cria.generation.model_meta import describe, model_name
from cria.ipc.messages import EmbeddingInfo
from tests.generation.fake_engine import READY


def test_names() -> None:
    assert model_name("/a/b.Q4_0.gguf") == "b.Q4_0" and model_name("c") == "c"


def test_what_a_model_can_do() -> None:
    only = msgspec.structs.replace(READY, embedding=None, can_generate=True)
    assert describe(only)["capabilities"] == ["completion"]
    embedding = EmbeddingInfo(num_dimensions=3, context_size=7, pooling="rank")
    ranking = msgspec.structs.replace(READY, embedding=embedding, can_generate=False)
    assert describe(ranking)["capabilities"] == ["rerank"]
    assert (describe(ranking)["n_ctx"], describe(ranking)["n_embd"]) == (7, 3)
