from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from cria.api.decoding import decode
from cria.api.embeddings import EmbeddingRequest
from cria.api.request_settings import RequestSettings
from cria.api.rerank import RerankRequest
from cria.config import ModelSettings, ServerConfig
from cria.errors import ContextLengthExceeded, ModelNotFound, RequestError
from cria.generation.admission import Admission
from cria.generation.embedding_pipeline import EmbeddingPipeline
from cria.generation.engine_status import EngineStatus
from cria.generation.reception import Reception
from cria.ipc.messages import EmbeddingInfo
from cria.prompt.chat_template import ChatTemplate
from cria.prompt.loading import TextSide
from cria.prompt.rerank_prompt import RerankPrompt
from cria.prompt.tokenizer import Tokenizer
from tests.generation.fake_engine import READY, FakeEngineClient
from tests.prompt.fake_vocab import BOS, EOS, SEP, FakeVocab, no_compiler

RANKS = EmbeddingInfo(num_dimensions=2, context_size=16, pooling="rank")


class Bench:
    def __init__(self) -> None:
        vocab = FakeVocab(add_bos=True, add_eos=True, add_sep=True)
        text = TextSide(
            Tokenizer(vocab),
            ChatTemplate(None, "", ""),
            vocab.pieces,
            RerankPrompt(vocab),
            no_compiler,
        )
        self.client = FakeEngineClient()
        self.offloaded: list[str] = []
        self.pipeline = EmbeddingPipeline(
            self.client,  # type: ignore[arg-type]
            text,
            Reception(Admission(ServerConfig()), lambda: READY, 60.0),
            self.offload,
            self.check,
            RequestSettings(ModelSettings()),
        )

    def offload(self, function: Callable[..., Any], *args: object) -> Any:
        self.offloaded.append(function.__name__)
        return function(*args)

    def check(self, model: str) -> EngineStatus:
        if model != "m":
            raise ModelNotFound(model)
        return self.client.status

    def can(self, embedding: EmbeddingInfo | None) -> None:
        info = msgspec.structs.replace(READY, embedding=embedding)
        self.client.status = EngineStatus("ready", 1.0, info)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def embeddings(**fields: object) -> EmbeddingRequest:
    body = {"model": "m", "input": "hi", **fields}
    return decode(json.dumps(body).encode(), EmbeddingRequest)[0]


def rerank(**fields: object) -> RerankRequest:
    body = {"model": "m", "query": "q", "documents": ["a", "b"], **fields}
    return decode(json.dumps(body).encode(), RerankRequest)[0]


def test_texts_are_tokenised_between_the_models_own_tokens(bench: Bench) -> None:
    run = bench.pipeline.start(embeddings(input=["hi", "you"]))
    assert bench.client.embedded == [[[BOS, *b"hi", EOS], [BOS, *b"you", EOS]]]
    assert bench.offloaded == ["_encode"]
    assert (run.num_prompt_tokens, run.warnings) == (9, ())


def test_token_ids_go_through_unchanged(bench: Bench) -> None:
    bench.pipeline.start(embeddings(input=[5, 6]))
    bench.pipeline.start(embeddings(input=[[5], [6, 7]]))
    assert bench.client.embedded == [[[5, 6]], [[5], [6, 7]]]


@pytest.mark.parametrize(
    ("given", "param"), [([5, 999], "input[1]"), ([[5], [6, 999]], "input[1][1]")]
)
def test_unknown_token_ids_are_refused(bench: Bench, given: object, param: str) -> None:
    with pytest.raises(RequestError, match="no token of this model") as caught:
        bench.pipeline.start(embeddings(input=given))
    assert caught.value.param == param
    assert bench.client.embedded == []


def test_the_answer_is_written_off_the_hub(bench: Bench) -> None:
    wanted = embeddings(encoding_format="base64", dimensions=2)
    run = bench.pipeline.start(wanted)
    bench.client.answer(np.array([[3, 4, 5, 6]], "<f4").tobytes())
    answer = json.loads(bench.pipeline.answer(run, wanted, "name"))
    data = base64.b64decode(answer["data"][0]["embedding"])
    np.testing.assert_allclose(np.frombuffer(data, "<f4"), [0.6, 0.8])
    assert (answer["model"], answer["usage"]["prompt_tokens"]) == ("name", 4)
    assert bench.offloaded == ["_encode", "write"]


@pytest.mark.parametrize(("wanted", "warnings"), [(3, ("dimensions",)), (4, ()), (None, ())])
def test_fewer_dimensions_are_reported(
    bench: Bench, wanted: int | None, warnings: tuple[str, ...]
) -> None:
    assert bench.pipeline.start(embeddings(dimensions=wanted)).warnings == warnings


def test_more_dimensions_than_there_are_are_refused(bench: Bench) -> None:
    with pytest.raises(RequestError, match="<= 4, but got 5") as caught:
        bench.pipeline.start(embeddings(dimensions=5))
    assert (caught.value.param, caught.value.code) == ("dimensions", "integer_above_max_value")


def test_an_input_may_fill_the_context_and_no_more(bench: Bench) -> None:
    bench.pipeline.start(embeddings(input=[5] * 16))
    for given in ([5] * 17, [[5], [5] * 17], "x" * 15):
        with pytest.raises(ContextLengthExceeded, match="length is 16 tokens.*17 tokens") as caught:
            bench.pipeline.start(embeddings(input=given))
        assert caught.value.param == "input"
    assert len(bench.client.embedded) == 1


def test_hopelessly_long_texts_are_not_even_tokenised(bench: Bench) -> None:
    with pytest.raises(RequestError, match="length is 16 tokens.*bytes") as caught:
        bench.pipeline.start(embeddings(input="x" * 100_000))
    assert caught.value.code == "context_length_exceeded"
    bench.can(RANKS)
    for fields in ({"query": "x" * 100_000}, {"documents": ["a", "x" * 100_000]}):
        with pytest.raises(RequestError, match="length is 16 tokens.*bytes"):
            bench.pipeline.start_rerank(rerank(**fields))


def test_other_models_are_not_known(bench: Bench) -> None:
    with pytest.raises(ModelNotFound):
        bench.pipeline.start(embeddings(model="other"))
    with pytest.raises(ModelNotFound):
        bench.pipeline.start_rerank(rerank(model="other"))


def test_a_reranker_ranks_and_does_nothing_else(bench: Bench) -> None:
    bench.can(RANKS)
    wanted = rerank(top_n=1)
    run = bench.pipeline.start_rerank(wanted)
    assert bench.client.embedded == [
        [[BOS, *b"q", EOS, SEP, *b"a", EOS], [BOS, *b"q", EOS, SEP, *b"b", EOS]]
    ]
    bench.client.answer(np.array([[1, 9], [2, 0]], "<f4").tobytes())
    answer = json.loads(bench.pipeline.answer_rerank(run, wanted, "name"))
    assert answer["results"] == [{"index": 1, "relevance_score": 2.0}]
    assert answer["usage"] == {"prompt_tokens": 12, "total_tokens": 12}
    with pytest.raises(RequestError, match="is a reranker"):
        bench.pipeline.start(embeddings())
    with pytest.raises(ContextLengthExceeded) as caught:
        bench.pipeline.start_rerank(rerank(documents=["a", "x" * 12]))
    assert caught.value.param == "documents[1]"


@pytest.mark.parametrize("embedding", [None, READY.embedding])
def test_other_models_do_not_rank(bench: Bench, embedding: EmbeddingInfo | None) -> None:
    bench.can(embedding)
    with pytest.raises(RequestError, match="cannot embed|is no reranker") as caught:
        bench.pipeline.start_rerank(rerank())
    assert caught.value.param == "model"


def test_a_model_that_cannot_embed_says_so(bench: Bench) -> None:
    bench.can(None)
    with pytest.raises(RequestError, match="`m` cannot embed") as caught:
        bench.pipeline.start(embeddings())
    assert caught.value.param == "model"
