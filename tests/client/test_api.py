"""Answers, refusals and servers that are not there: pieces, or a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from cria.client.api import Api, ClientError, Piece, Refused, Unreachable, Usage, patiently
from tests.client.fake_openai import DONE, FakeOpenAI, Reply, answer, event, refusal, words

PATH = "/v1/chat/completions"


@pytest.fixture
def api(fake_api: FakeOpenAI) -> Iterator[Api]:
    with closing(Api(fake_api.url, "k1")) as made:
        yield made


def test_an_answer_comes_in_pieces(api: Api, fake_api: FakeOpenAI) -> None:
    fake_api.replies = [answer("a", "b")]
    pieces = list(api.stream(PATH, {"messages": []}))
    assert "".join(piece.text for piece in pieces) == "ab"
    assert pieces[0].model == "fake"
    assert [p.finish_reason for p in pieces if p.finish_reason] == ["stop"]
    assert pieces[-1].usage == Usage(7, 2)
    assert fake_api.bodies[0]["stream"] and fake_api.headers[0]["Authorization"] == "Bearer k1"


def test_completions_and_thinking(api: Api, fake_api: FakeOpenAI) -> None:
    text = event(choices=[{"text": "t"}])
    thought = (words(reasoning_content="r"), words(reasoning="s"))
    fake_api.replies = [Reply((text, *thought, DONE))]
    pieces = list(api.stream("/v1/completions", {}))
    assert pieces == [Piece("t"), Piece("", "r", model="fake"), Piece("", "s", model="fake")]


@pytest.mark.parametrize(
    ("pieces", "kind", "sentence"),
    [
        ((words("a"),), Unreachable, "before it was whole"),
        ((event(error={"message": "the engine died"}),), ClientError, "the engine died"),
        ((b"data: {]\n\n",), ClientError, "The answer makes no sense: {]"),
    ],
)
def test_an_answer_that_is_none(
    api: Api, fake_api: FakeOpenAI, pieces: tuple[bytes, ...], kind: type[Exception], sentence: str
) -> None:
    fake_api.replies = [Reply(pieces)]
    with pytest.raises(kind, match=sentence):
        list(api.stream(PATH, {}))


@pytest.mark.parametrize(
    ("reply", "sentence", "wait"),
    [
        (refusal(401, "No key."), "No key. Give the key with --api-key or CRIA_API_KEY.", None),
        (refusal(400, "too long"), "too long.", None),
        (refusal(503, "Loading.", **{"Retry-After": "2"}), "Loading.", 2.0),
        (refusal(503, "No.", **{"Retry-After": "2", "x-should-retry": "false"}), "No.", None),
        (refusal(503, "No.", **{"Retry-After": "soon"}), "No.", None),
        (refusal(429, "No.", **{"Retry-After": "2"}), "No.", None),
        (refusal(302, "", Location="/x"), "The server sends us elsewhere: /x.", None),
    ],
)
def test_refusals(
    api: Api, fake_api: FakeOpenAI, reply: Reply, sentence: str, wait: float | None
) -> None:
    fake_api.replies = [reply]
    with pytest.raises(Refused) as caught:
        list(api.stream(PATH, {}))
    assert (str(caught.value), caught.value.wait) == (sentence, wait)


def test_closing_an_answer_hangs_up(api: Api, fake_api: FakeOpenAI) -> None:
    fake_api.replies = [Reply((words("a"),), stalls=True)]
    with closing(api.stream(PATH, {})) as pieces:  # type: ignore[type-var]
        assert next(pieces).text == "a"
    assert fake_api.gone.wait(10)


def test_nobody_there() -> None:
    with closing(Api("http://127.0.0.1:1", None)) as api:
        with pytest.raises(Unreachable, match="cannot be reached: Connection refused.$"):
            api.models()


def test_models(api: Api, fake_api: FakeOpenAI) -> None:
    assert api.models() == ["first", "second"]
    fake_api.models = ()
    with pytest.raises(ClientError, match="lists no model"):
        api.models()


def test_a_model_that_loads_is_waited_for(api: Api, fake_api: FakeOpenAI) -> None:
    loading = [refusal(503, f"Loading ({n}).", **{"Retry-After": "0"}) for n in range(3)]
    fake_api.replies = [*loading, answer("a")]
    said: list[str] = []
    pieces = patiently(lambda: api.stream(PATH, {}), said.append)
    assert next(pieces).text == "a"
    assert said == ["Loading (0). Waiting for it; Ctrl-C ends that."]
    pieces.close()  # type: ignore[attr-defined]
