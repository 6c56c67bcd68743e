"""The helpers of llama-server and lm-eval, and the original's routes, against the default model."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
import requests

from tests.real_server import RealServer, wait_for

pytestmark = pytest.mark.integration

TEXT = "Hello, wörld 🦭 <|im_end|>\n"
CHAT = {"model": "smollm2", "messages": [{"role": "user", "content": "Hi"}]}


def get(server: RealServer, path: str) -> Any:
    answer = requests.get(f"{server.url}{path}", timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def post(server: RealServer, path: str, body: dict[str, Any]) -> Any:
    """As `curl -d` sends it."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = requests.post(f"{server.url}{path}", json.dumps(body), headers=form, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("parse_special", [True, False])
def test_there_and_back(server: RealServer, parse_special: bool) -> None:
    asked = {"content": TEXT, "parse_special": parse_special}
    tokens = post(server, "/tokenize", asked)["tokens"]
    assert (2 in tokens) is parse_special, "<|im_end|> is the token 2"
    assert post(server, "/detokenize", {"tokens": tokens})["content"] == TEXT


def test_pieces_join_to_the_text(server: RealServer) -> None:
    pairs = post(server, "/v1/tokenize", {"content": TEXT, "with_pieces": True})["tokens"]
    pieces = [pair["piece"] for pair in pairs]
    assert any(isinstance(piece, list) for piece in pieces), "a rare emoji is several tokens"
    data = b"".join(p.encode() if isinstance(p, str) else bytes(p) for p in pieces)
    assert data.decode() == TEXT


def test_a_counted_conversation_is_what_the_usage_says(server: RealServer) -> None:
    counted = post(server, "/v1/chat/completions/input_tokens", CHAT)
    answer = post(server, "/v1/chat/completions", {**CHAT, "max_tokens": 1})
    assert counted == {
        "object": "response.input_tokens",
        "input_tokens": answer["usage"]["prompt_tokens"],
    }


def test_an_applied_template_is_the_prompt_of_the_conversation(server: RealServer) -> None:
    prompt = post(server, "/apply-template", {"messages": CHAT["messages"]})["prompt"]
    assert prompt.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    greedy = {"model": "smollm2", "max_tokens": 4, "temperature": 0}
    chat = post(server, "/v1/chat/completions", {**greedy, "messages": CHAT["messages"]})
    plain = post(server, "/v1/completions", {**greedy, "prompt": prompt})
    assert plain["choices"][0]["text"] == chat["choices"][0]["message"]["content"]
    assert plain["usage"]["prompt_tokens"] == chat["usage"]["prompt_tokens"]


def test_a_remote_tokenizer_as_lm_eval_has_it(server: RealServer) -> None:
    info = get(server, "/tokenizer_info")
    assert (info["bos_token"], info["eos_token"]) == ("<|im_start|>", "<|im_end|>")
    assert "add_generation_prompt" in info["chat_template"]

    def encode(text: str) -> list[int]:
        body = {"prompt": text, "add_special_tokens": False}
        answer = post(server, "/tokenize", body)
        assert (answer["count"], answer["max_model_len"]) == (len(answer["tokens"]), 1024)
        tokens: list[int] = answer["tokens"]
        return tokens

    assert (encode(info["bos_token"]), encode(info["eos_token"])) == ([1], [2])
    assert post(server, "/detokenize", {"tokens": encode(TEXT)})["prompt"] == TEXT


def test_text_beyond_all_bounds_is_refused_at_once(server: RealServer) -> None:
    long = "a" * 1_000_000
    for path, body, param in (
        ("/tokenize", {"content": long}, "content"),
        ("/tokenize", {"prompt": long}, "prompt"),
        ("/detokenize", {"tokens": [2] * 100_000}, "tokens"),
        (
            "/v1/chat/completions/input_tokens",
            {**CHAT, "messages": [{"role": "user", "content": long}]},
            "messages",
        ),
    ):
        answer = server.post(path, body)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (400, "context_length_exceeded")
        assert error["param"] == param


def test_what_the_server_is(server: RealServer) -> None:
    props, meta = get(server, "/props"), get(server, "/v1/models/smollm2")["meta"]
    assert props["default_generation_settings"]["n_ctx"] == meta["n_ctx"] == 1024
    assert props["total_slots"] == meta["n_slots"] == len(get(server, "/slots"))
    assert props["model_alias"] == "smollm2"
    assert props["model_path"].endswith(".gguf")
    assert props["eos_token"] == "<|im_end|>"


def test_a_busy_slot_is_seen(server: RealServer) -> None:
    def num_busy() -> int:
        return sum(slot["is_processing"] for slot in get(server, "/slots"))

    server.wait_until_idle()
    assert num_busy() == 0
    body = {"model": "smollm2", "prompt": "Once", "max_tokens": 900, "ignore_eos": True}
    with server.post("/v1/completions_stream", body, stream=True) as stream:
        assert next(stream.iter_lines())
        wait_for(num_busy, lambda count: count == 1, "one busy slot")
    wait_for(num_busy, lambda count: count == 0, "no busy slot")


def test_the_originals_routes(server: RealServer) -> None:
    asked = {"model": "smollm2", "prompt": "Once upon a time", "max_tokens": 3}
    full = post(server, "/v1/completions_full", {**asked, "stream": True})
    assert full["usage"]["completion_tokens"] == 3
    stream = server.post("/v1/chat/completions_stream", {**CHAT, "max_tokens": 3, "stream": False})
    assert stream.headers["Content-Type"].startswith("text/event-stream")
    assert stream.headers["x-cria-warnings"] == "stream"
    assert stream.text.endswith("data: [DONE]\n\n")


def test_all_that_can_be_read_is_described_and_there(server: RealServer) -> None:
    paths = get(server, "/openapi.json")["paths"]
    readable = [path for path, methods in paths.items() if "get" in methods and "{" not in path]
    assert len(readable) >= 8
    for path in readable:
        for prefix in ("", "/v1"):
            # One of them is a stream without an end.
            with requests.get(f"{server.url}{prefix}{path}", timeout=60, stream=True) as answer:
                assert answer.status_code == 200


def test_the_official_client_sees_the_headers(server: RealServer) -> None:
    raw = server.client().models.with_raw_response.list()
    assert raw.headers["openai-version"] == "2020-10-01"
    assert raw.headers["openai-processing-ms"].isdigit()
    with pytest.raises(openai.BadRequestError) as caught:
        server.client().models.list(extra_headers={"X-Client-Request-Id": "x" * 513})
    assert caught.value.param == "X-Client-Request-Id"


def test_what_is_no_http_has_them_too(server: RealServer) -> None:
    answer = requests.get(f"{server.url}/health", headers={"Content-Length": "x"}, timeout=60)
    assert answer.status_code == 400
    assert answer.headers["openai-version"] == "2020-10-01"
