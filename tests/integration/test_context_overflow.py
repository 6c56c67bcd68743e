"""Prompts and answers that the context cannot hold, against a real server with a small one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.real_server import RealServer

pytestmark = pytest.mark.integration

CONTEXT = 64
LONG = [100 + number % 50 for number in range(200)]
CHAT = [
    {"role": "system", "content": "S"},
    {"role": "user", "content": "first " * 6},
    {"role": "assistant", "content": "second"},
    {"role": "user", "content": "third"},
]


@pytest.fixture(scope="module")
def small(tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """A context of 64 tokens; its one slot computes every prompt from its beginning."""
    options = ("--alias", "tiny", "--context-size", str(CONTEXT), "--parallel", "1")
    log = tmp_path_factory.mktemp("small") / "log"
    with RealServer.start(tiny_gguf, *options, "--no-prefix-cache", log=log) as running:
        yield running


def complete(server: RealServer, prompt: Any, **fields: Any) -> dict[str, Any]:
    body = {"model": "tiny", "prompt": prompt, "temperature": 0, "ignore_eos": True, **fields}
    answer = server.post("/v1/completions", {"return_token_ids": True, **body})
    decoded: dict[str, Any] = answer.json()
    assert answer.status_code == 200, decoded
    return decoded | {"warnings": answer.headers.get("x-cria-warnings")}


def ids_of(answer: dict[str, Any]) -> list[int]:
    ids: list[int] = answer["choices"][0]["token_ids"]
    return ids


def refused(server: RealServer, path: str, **fields: Any) -> tuple[str, str]:
    answer = server.post(path, {"model": "tiny", **fields})
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    return error["param"], error["code"]


def test_an_error_is_the_default(small: RealServer) -> None:
    assert refused(small, "/v1/completions", prompt=LONG) == ("prompt", "context_length_exceeded")


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"context_overflow": "truncate_left"}, LONG[-56:]),
        ({"context_overflow": "truncate_left", "n_keep": 6}, [*LONG[:6], *LONG[-50:]]),
        ({"context_overflow": "truncate_middle"}, [*LONG[:28], *LONG[-28:]]),
        ({"truncate_prompt_tokens": 5}, LONG[-5:]),
        ({"truncate_prompt_tokens": -1}, LONG[-56:]),
    ],
)
def test_a_cut_prompt_is_as_the_kept_tokens(
    small: RealServer, fields: dict[str, Any], kept: list[int]
) -> None:
    answer = complete(small, LONG, max_tokens=8, **fields)
    field = "context_overflow" if "context_overflow" in fields else "truncate_prompt_tokens"
    assert answer["choices"][0]["prompt_token_ids"] == kept
    assert answer["usage"]["prompt_tokens"] == len(kept)
    assert answer["truncated"] == {
        "policy": fields.get("context_overflow", "truncate_prompt_tokens"),
        "prompt_tokens": 200,
        "kept_tokens": len(kept),
    }
    assert answer["warnings"] == field
    assert ids_of(answer) == ids_of(complete(small, kept, max_tokens=8))


def test_what_fits_is_not_cut(small: RealServer) -> None:
    for policy in ("truncate_left", "truncate_middle"):
        answer = complete(small, LONG[:20], max_tokens=8, context_overflow=policy)
        assert answer["choices"][0]["prompt_token_ids"] == LONG[:20]
        assert "truncated" not in answer and answer["warnings"] is None


def test_a_text_keeps_its_begin_of_sequence_token(small: RealServer) -> None:
    whole = complete(small, "a b", max_tokens=1)["choices"][0]["prompt_token_ids"]
    answer = complete(small, "a b " * 100, max_tokens=8, context_overflow="truncate_left")
    kept = answer["choices"][0]["prompt_token_ids"]
    assert (len(kept), kept[0]) == (56, whole[0])
    assert answer["truncated"]["prompt_tokens"] > 200


@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_loses_its_oldest_turn(small: RealServer, stream: bool) -> None:
    def prompt_of(messages: list[dict[str, str]], **fields: Any) -> tuple[list[int], str | None]:
        body = {"model": "tiny", "messages": messages, "max_tokens": 2, "return_token_ids": True}
        answer = small.post("/v1/chat/completions", {**body, **fields, "stream": stream})
        assert answer.status_code == 200, answer.text
        text = answer.text.partition("\n\n")[0].removeprefix("data: ") if stream else answer.text
        return json.loads(text)["prompt_token_ids"], answer.headers.get("x-cria-warnings")

    short, _ = prompt_of([CHAT[0], CHAT[3]])
    assert prompt_of(CHAT, context_overflow="truncate_left") == (short, "context_overflow")


def test_a_last_message_that_does_not_fit_is_an_error(small: RealServer) -> None:
    messages = [*CHAT, {"role": "user", "content": "x" * 100}]
    fields = {"messages": messages, "context_overflow": "truncate_left"}
    error = refused(small, "/v1/chat/completions", **fields)
    assert error == ("messages", "context_length_exceeded")


def test_wishes_that_cannot_be_are_refused(small: RealServer) -> None:
    chat = "/v1/chat/completions"
    messages = CHAT[3:]
    assert refused(small, chat, messages=messages, context_overflow="shift")[0] == "max_tokens"
    field = "context_overflow"
    assert refused(small, chat, messages=messages, context_overflow="truncate_middle")[0] == field
    assert refused(
        small, "/v1/completions", prompt=LONG, context_overflow="truncate_left", n_keep=56
    ) == ("n_keep", "invalid_value")
    assert refused(
        small, "/v1/completions", prompt=LONG[:60], context_overflow="shift", n_keep=-1
    ) == ("n_keep", "invalid_value")
    # A shift is for answers.
    error = refused(small, "/v1/completions", prompt=LONG, context_overflow="shift")
    assert error == ("prompt", "context_length_exceeded")


@pytest.mark.parametrize("n_keep", [0, 7, -1])
def test_after_a_shift_everything_is_as_in_a_fresh_sequence(small: RealServer, n_keep: int) -> None:
    prompt = LONG[:30]
    answer = complete(small, prompt, max_tokens=120, context_overflow="shift", n_keep=n_keep)
    generated = ids_of(answer)
    assert (len(generated), answer["choices"][0]["finish_reason"]) == (120, "length")
    assert answer["usage"]["completion_tokens"] == 120
    shifts, context, at = 0, list(prompt), 0
    while at < 120:
        count = min(CONTEXT - len(context), 120 - at)
        fresh = ids_of(complete(small, context, max_tokens=count))
        assert fresh == generated[at : at + count], f"after {shifts} shifts"
        context, at, shifts = context + fresh, at + count, shifts + (at + count < 120)
        first = 30 if n_keep == -1 else n_keep
        del context[first : first + (CONTEXT - first) // 2]
    assert shifts > 1
    assert answer["truncated"] == {
        "policy": "shift",
        "prompt_tokens": 30,
        "kept_tokens": 30,
        "shifts": shifts,
    }


@pytest.mark.parametrize("layout", ["unified", "streams"])
def test_streams_that_shift_beside_each_other(tiny_gguf: Path, tmp_path: Path, layout: str) -> None:
    """With prefixes that are shared or copied, and more sequences than slots."""
    options = ("--alias", "tiny", "--context-size", str(CONTEXT), "--parallel", "3")
    with RealServer.start(tiny_gguf, *options, "--kv", layout, log=tmp_path / "log") as server:
        chunks = list(
            server.client().completions.create(
                model="tiny",
                prompt=LONG[:40],
                n=5,
                max_tokens=150,
                seed=3,
                stream=True,
                stream_options={"include_usage": True},
                extra_body={"context_overflow": "shift", "n_keep": 20, "ignore_eos": True},
            )
        )
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.completion_tokens == 5 * 150
        # 24 tokens until the context is full, then 22 for each shift.
        assert chunks[-1].truncated["shifts"] == 5 * 6  # type: ignore[attr-defined]
        reasons = [c.choices[0].finish_reason for c in chunks if c.choices]
        assert reasons.count("length") == 5
        assert server.wait_until_idle()["used_cells"] == 0


def test_a_client_that_leaves_a_shifting_stream_frees_its_slot(small: RealServer) -> None:
    stream = small.client().completions.create(
        model="tiny",
        prompt="a",
        max_tokens=10**6,
        stream=True,
        extra_body={"context_overflow": "shift", "ignore_eos": True},
    )
    for number, _ in enumerate(stream):
        if number > 3 * CONTEXT:
            break
    stream.close()
    assert small.wait_until_idle()["used_cells"] == 0


def test_the_official_client_reads_a_cut_answer(small: RealServer) -> None:
    client: openai.OpenAI = small.client()
    answer = client.chat.completions.create(
        model="tiny",
        messages=CHAT,  # type: ignore[arg-type]  # plain dicts
        max_tokens=2,
        extra_body={"context_overflow": "truncate_left"},
    )
    assert answer.truncated["dropped_messages"] == 2  # type: ignore[attr-defined]
