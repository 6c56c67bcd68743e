"""Embeddings and rankings by the official client, over real models."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openai
import psutil
import pytest

from cria import model_store
from cria.native import library
from cria.native.batch import Batch
from cria.native.embedding_context import EmbeddingContext, EmbeddingOptions
from cria.native.model import Model
from tests.convert import tiny_bert
from tests.real_server import RealServer, wait_for

pytestmark = pytest.mark.integration

TEXTS = ["A man is eating food.", "A man is eating a piece of bread.", "The girl carries a baby."]
HI = [{"role": "user", "content": "Hi"}]


@pytest.fixture(scope="module")
def minilm_gguf() -> Path:
    """The known model that embeds, fetched and converted on first use."""
    return model_store.resolve("all-minilm-l6-v2", lambda _done, _total: None)


@pytest.fixture(scope="module")
def minilm(minilm_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    log = tmp_path_factory.mktemp("minilm") / "log"
    with RealServer.start(minilm_gguf, "--alias", "minilm", "--workers", "2", log=log) as running:
        yield running


@pytest.fixture(scope="module")
def reranker(
    tiny_reranker_gguf: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealServer]:
    log = tmp_path_factory.mktemp("reranker") / "log"
    with RealServer.start(tiny_reranker_gguf, "--alias", "ranks", log=log) as running:
        yield running


@pytest.fixture(params=["smollm2", "minilm"])
def served(request: pytest.FixtureRequest) -> tuple[openai.OpenAI, str]:
    """A model that also generates, and one that does not."""
    server = request.getfixturevalue("server" if request.param == "smollm2" else "minilm")
    return server.client(), request.param


def embed(client: openai.OpenAI, model: str, given: object, **options: object) -> np.ndarray:
    answer = client.embeddings.create(model=model, input=given, **options)  # type: ignore[arg-type]
    assert [each.index for each in answer.data] == list(range(len(answer.data)))
    return np.array([each.embedding for each in answer.data])


def test_base64_and_floats_are_the_same_vector(served: tuple[openai.OpenAI, str]) -> None:
    client, model = served
    answer = client.embeddings.create(model=model, input="x")
    vector = np.array(answer.data[0].embedding)
    assert len(vector) == {"smollm2": 576, "minilm": 384}[model]
    np.testing.assert_allclose(np.linalg.norm(vector), 1, atol=1e-6)
    floats = embed(client, model, "x", encoding_format="float")[0]
    np.testing.assert_allclose(vector, floats, atol=1e-6)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0
    assert (answer.object, answer.model) == ("list", model)


def test_many_inputs_are_what_single_ones_are(served: tuple[openai.OpenAI, str]) -> None:
    client, model = served
    texts = [*TEXTS, "x", "Hello, world! " * 12]
    together = embed(client, model, texts)
    alone = np.concatenate([embed(client, model, text) for text in texts])
    np.testing.assert_allclose((together * alone).sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)


def test_what_means_the_same_is_near(minilm: RealServer) -> None:
    food, bread, girl = embed(minilm.client(), "minilm", TEXTS)
    assert food @ bread > 0.7 and abs(food @ girl) < 0.3


def test_the_vector_is_what_the_library_computes(minilm: RealServer, minilm_gguf: Path) -> None:
    model = Model(library.load(), str(minilm_gguf))
    ids = model.vocab.tokenize(TEXTS[0].encode(), add_special=True, parse_special=True)
    context = EmbeddingContext(model, EmbeddingOptions(512, 1, 512, 1, "none"))
    batch = Batch(512)
    batch.append(ids, 0, 0, output=True)
    context.decode(batch)
    expected = context.token_vectors(len(ids)).mean(0)
    context.close()
    (found,) = embed(minilm.client(), "minilm", TEXTS[0])
    assert found @ expected / np.linalg.norm(expected) > 0.99999


def test_token_ids_are_taken_and_checked(served: tuple[openai.OpenAI, str]) -> None:
    client, model = served
    both = embed(client, model, [[400, 401, 402], [500]])
    np.testing.assert_allclose(both[0] @ embed(client, model, [400, 401, 402])[0], 1, atol=1e-5)
    with pytest.raises(openai.BadRequestError) as caught:
        embed(client, model, [5, 100_000])
    assert caught.value.param == "input[1]"


def test_fewer_dimensions_are_the_first_ones(served: tuple[openai.OpenAI, str]) -> None:
    client, model = served
    raw = client.embeddings.with_raw_response.create(model=model, input="x", dimensions=8)
    assert raw.headers["x-cria-warnings"] == "dimensions"
    (whole,) = embed(client, model, "x")
    (cut,) = embed(client, model, "x", dimensions=8)
    np.testing.assert_allclose(cut, whole[:8] / np.linalg.norm(whole[:8]), atol=1e-6)
    same = client.embeddings.with_raw_response.create(model=model, input="x", dimensions=len(whole))
    assert "x-cria-warnings" not in same.headers


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"input": ""}, "input", "empty_string"),
        ({"input": []}, "input", "empty_array"),
        ({"input": ["a", ""]}, "input[1]", "empty_string"),
        ({"dimensions": 100_000}, "dimensions", "integer_above_max_value"),
        ({"input": "word " * 9000}, "input", "context_length_exceeded"),
        ({"input": [5] * 9000}, "input", "context_length_exceeded"),
    ],
)
def test_mistakes_are_named(
    served: tuple[openai.OpenAI, str], fields: dict[str, object], param: str, code: str
) -> None:
    client, model = served
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(**{"model": model, "input": "x", **fields})  # type: ignore[arg-type]
    assert (caught.value.param, caught.value.code) == (param, code)
    if code == "context_length_exceeded":
        assert "This model's maximum context length is" in caught.value.message


def test_other_models_are_not_found(served: tuple[openai.OpenAI, str]) -> None:
    with pytest.raises(openai.NotFoundError):
        served[0].embeddings.create(model="other", input="x")


def test_a_text_longer_than_a_batch(server: RealServer, default_model: Path) -> None:
    text = "The quick brown fox jumps over the lazy dog. " * 56
    client = server.client()
    answer = client.embeddings.create(model="smollm2", input=text)
    assert 512 < answer.usage.prompt_tokens < 1024
    model = Model(library.load(), str(default_model))
    ids = model.vocab.tokenize(text.encode(), add_special=True, parse_special=True)
    context = EmbeddingContext(model, EmbeddingOptions(1024, 1, 1024, 2, "mean"))
    batch = Batch(1024)
    batch.append(ids, 0, 0, output=True)
    context.decode(batch)
    expected = context.sequence_vector(0)
    context.close()
    found = np.array(answer.data[0].embedding)
    assert found @ expected / np.linalg.norm(expected) > 0.9999


def test_a_model_that_only_embeds_says_so(minilm: RealServer) -> None:
    client = minilm.client()
    for ask in (
        lambda: client.chat.completions.create(model="minilm", messages=HI),  # type: ignore[arg-type]
        lambda: client.completions.create(model="minilm", prompt="Hi"),
    ):
        with pytest.raises(openai.BadRequestError, match="cannot generate text"):
            ask()
    (card,) = [model for model in client.models.list().data if model.id == "minilm"]
    assert card.meta["capabilities"] == ["embedding"]  # type: ignore[attr-defined]
    assert minilm.counters()["running"] == 0


def test_a_chat_streams_the_same_tokens_while_others_embed(server: RealServer) -> None:
    """The contexts know nothing of each other."""
    client = server.client()

    def chat() -> str:
        stream = client.chat.completions.create(
            model="smollm2",
            messages=HI,  # type: ignore[arg-type]
            stream=True,
            temperature=0,
            max_tokens=48,
        )
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    expected = chat()
    before = server.counters()
    done = threading.Event()
    failures: list[Exception] = []

    def embed_on() -> None:
        try:
            while not done.is_set():
                embed(client, "smollm2", [*TEXTS, "The quick brown fox. " * 40])
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=embed_on) for _ in range(2)]
    for thread in threads:
        thread.start()
    found = chat()
    done.set()
    for thread in threads:
        thread.join(60)
    after = server.counters()
    assert (failures, found) == ([], expected)
    assert after["embedded_inputs_total"] > before["embedded_inputs_total"]
    assert after["decode_tokens_total"] > before["decode_tokens_total"]


def test_what_an_engine_was_embedding_when_it_was_killed_is_embedded_by_the_next(
    tiny_server: RealServer,
) -> None:
    client = tiny_server.client()
    big = [[5] * 500] * 2048
    outcomes: list[object] = []

    def ask() -> None:
        try:
            client.embeddings.create(model="tiny", input=big)
            outcomes.append("an answer")
        except openai.APIError as error:
            outcomes.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    wait_for(tiny_server.counters, lambda c: c["embedded_tokens_total"], "an embedding")
    (engine,) = psutil.Process(tiny_server.process.pid).children()
    engine.kill()
    thread.join(60)
    assert outcomes == ["an answer"] and tiny_server.counters()["restarts"] == 1
    wait_for(lambda: can_embed(client), bool, "the next engine")


def can_embed(client: openai.OpenAI) -> bool:
    try:
        return len(embed(client, "tiny", "x")) == 1
    except openai.InternalServerError:
        return False


def test_who_leaves_is_not_computed_for(tiny_server: RealServer) -> None:
    client = tiny_server.client(timeout=1.0)
    with pytest.raises(openai.APITimeoutError):
        client.embeddings.create(model="tiny", input=[[5] * 500] * 2048)
    started = tiny_server.counters()["embedded_inputs_total"]
    embed(tiny_server.client(), "tiny", "x")
    assert tiny_server.counters()["embedded_inputs_total"] < started + 500


class TestRerank:
    def test_documents_are_sorted_by_what_the_model_computes(
        self, reranker: RealServer, tiny_reranker_gguf: Path
    ) -> None:
        documents = ["hello", "red", "four world", {"text": "worlding"}]
        answer = reranker.post(
            "/v1/rerank", {"model": "ranks", "query": "world", "documents": documents}
        ).json()
        weights = tiny_bert.make_weights(1)
        vocab = Model(library.load(), str(tiny_reranker_gguf)).vocab

        def ids(text: str) -> list[int]:
            return vocab.tokenize(text.encode(), add_special=False, parse_special=False)

        def score(text: str) -> float:
            return float(tiny_bert.score(weights, [2, *ids("world"), 3, *ids(text)])[0])

        expected = [score(d if isinstance(d, str) else d["text"]) for d in documents]
        found = {each["index"]: each["relevance_score"] for each in answer["results"]}
        np.testing.assert_allclose([found[n] for n in range(4)], expected, atol=0.05)
        assert list(found.values()) == sorted(found.values(), reverse=True)
        assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"]

    def test_top_n_and_texts(self, reranker: RealServer) -> None:
        body = {"model": "ranks", "query": "q", "documents": ["a", "b"], "top_n": 1}
        answer = reranker.post("/reranking", {**body, "return_documents": True}).json()
        (result,) = answer["results"]
        assert result["document"]["text"] == ["a", "b"][result["index"]]

    def test_a_document_that_does_not_fit(self, reranker: RealServer) -> None:
        body = {"model": "ranks", "query": "q", "documents": ["a", "b " * 80]}
        error = reranker.post("/v1/rerank", body).json()["error"]
        assert (error["param"], error["code"]) == ("documents[1]", "context_length_exceeded")

    def test_a_reranker_has_no_embeddings(self, reranker: RealServer) -> None:
        with pytest.raises(openai.BadRequestError, match="is a reranker"):
            reranker.client().embeddings.create(model="ranks", input="x")

    def test_other_models_do_not_rank(self, served: tuple[openai.OpenAI, str]) -> None:
        client, model = served
        body = {"model": model, "query": "q", "documents": ["a"]}
        with pytest.raises(openai.BadRequestError, match="is no reranker"):
            client.post("/rerank", body=body, cast_to=object)


def test_the_wire_holds_little_endian_floats(minilm: RealServer) -> None:
    body = {"model": "minilm", "input": "x", "encoding_format": "base64"}
    data = base64.b64decode(minilm.post("/v1/embeddings", body).json()["data"][0]["embedding"])
    floats = minilm.post("/v1/embeddings", {**body, "encoding_format": "float"}).json()
    np.testing.assert_allclose(
        np.frombuffer(data, "<f4"), floats["data"][0]["embedding"], atol=1e-6
    )
