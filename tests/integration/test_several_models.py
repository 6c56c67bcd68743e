"""Two chat models and one for embeddings in one real server, asked with the real client."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import openai
import pytest
import requests

from tests.real_server import RealServer, wait_for

pytestmark = pytest.mark.integration


def told(name: str, path: Path, **settings: Any) -> dict[str, Any]:
    return {"names": [name], "engine": {"model_path": str(path)}, **settings}


@pytest.fixture
def models(tiny_gguf: Path, tiny_bert_gguf: Path, tmp_path: Path) -> list[dict[str, Any]]:
    other = tmp_path / "other.gguf"
    shutil.copy(tiny_gguf, other)
    return [told("a", tiny_gguf), told("b", other), told("e", tiny_bert_gguf)]


@pytest.fixture
def all_in(models: list[dict[str, Any]], tmp_path: Path) -> Iterator[RealServer]:
    with RealServer.start_models(models, tmp_path / "log") as server:
        yield server


@pytest.fixture
def one_at_a_time(models: list[dict[str, Any]], tmp_path: Path) -> Iterator[RealServer]:
    limits = {"max_loaded_models": 1, "heartbeat_seconds": 1.0}
    with RealServer.start_models(models, tmp_path / "log", **limits) as server:
        yield server


def states(server: RealServer) -> dict[str, str]:
    cards = requests.get(f"{server.url}/v1/models", timeout=30).json()["data"]
    return {card["id"]: card["status"]["value"] for card in cards}


def complete(server: RealServer, model: str, **fields: Any) -> requests.Response:
    body = {"model": model, "prompt": "Hi", "max_tokens": 4, "ignore_eos": True, **fields}
    return server.post("/v1/completions", body)


def test_they_answer_at_the_same_time(all_in: RealServer) -> None:
    client = all_in.client()

    def chat(model: str) -> str:
        messages: Any = [{"role": "user", "content": "Hi"}]
        answer = client.chat.completions.create(model=model, messages=messages, max_tokens=8)
        return answer.model

    with ThreadPoolExecutor(6) as threads:
        chats = threads.map(chat, ["a", "b"] * 4)
        vectors = threads.map(
            lambda _: client.embeddings.create(model="e", input="Hi").model, range(4)
        )
        assert list(chats) == ["a", "b"] * 4
        assert list(vectors) == ["e"] * 4
    assert states(all_in) == dict.fromkeys("abe", "loaded")


def test_routes_pick_the_model(all_in: RealServer) -> None:
    for path in ("/props", "/slots", "/tokenizer_info", "/health"):
        assert requests.get(f"{all_in.url}{path}?model=b", timeout=30).status_code == 200
        missing = requests.get(f"{all_in.url}{path}?model=nope", timeout=30)
        assert missing.status_code == 404, path
    props = requests.get(f"{all_in.url}/props?model=b", timeout=30).json()
    assert props["model_alias"] == "b"
    assert all_in.post("/tokenize", {"content": "Hi"}).status_code == 200
    assert complete(all_in, "nope").json()["error"]["code"] == "model_not_found"
    assert complete(all_in, "e").status_code == 400


def test_a_response_goes_on_with_another_model(all_in: RealServer) -> None:
    client = all_in.client()
    first = client.responses.create(model="a", input="Hi", max_output_tokens=16)
    second = client.responses.create(
        model="b", input="More", previous_response_id=first.id, max_output_tokens=16
    )
    assert (first.model, second.model) == ("a", "b")


def test_one_leaves_for_the_other_and_a_busy_one_does_not(one_at_a_time: RealServer) -> None:
    server = one_at_a_time
    assert states(server) == {"a": "loaded", "b": "unloaded", "e": "unloaded"}
    stream = server.client().completions.create(
        model="a", prompt="Hi", max_tokens=400, stream=True, extra_body={"ignore_eos": True}
    )
    next(stream)
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(complete, server, "b") for _ in range(4)]
        assert [*stream][-1].choices[0].finish_reason == "length"
        assert {each.result().status_code for each in waiting} == {200}
    log = server.log.read_text()
    assert (log.count("loading b"), log.count("unloading a")) == (1, 1)
    assert states(server) == {"a": "unloaded", "b": "loaded", "e": "unloaded"}


def test_unloading_under_load_loses_nothing(all_in: RealServer) -> None:
    def ask(number: int) -> int:
        return complete(all_in, "a", max_tokens=16 + number).status_code

    with ThreadPoolExecutor(8) as threads:
        answers = threads.map(ask, range(40))
        for _ in range(3):
            ordered = all_in.post("/models/unload", {"model": "a"})
            assert ordered.status_code in (200, 400)
        assert set(answers) == {200}
    assert all_in.log.read_text().count("unloading a") >= 1


def test_a_stream_is_told_how_far_the_load_is(one_at_a_time: RealServer) -> None:
    server = one_at_a_time
    engine = next(pid for pid in engines(server))
    held = server.client().completions.create(
        model="a", prompt="Hi", max_tokens=8, stream=True, extra_body={"ignore_eos": True}
    )
    next(held)
    stop(engine)  # the stream goes on when the engine does: until then the model is busy
    body = {"model": "b", "prompt": "Hi", "max_tokens": 4, "stream": True}
    url = f"{server.url}/v1/completions"
    try:
        with requests.post(url, json=body, stream=True, timeout=30) as answer:
            assert answer.status_code == 200
            lines = answer.iter_lines()
            assert next(lines) == b": waiting for b"
            go_on(engine)
            list(held)
            assert list(lines)[-2:] == [b"data: [DONE]", b""]
    finally:
        go_on(engine)


def test_a_client_that_leaves_takes_its_wish_along(one_at_a_time: RealServer) -> None:
    server = one_at_a_time
    (engine,) = engines(server)
    held = server.client().completions.create(
        model="a", prompt="Hi", max_tokens=8, stream=True, extra_body={"ignore_eos": True}
    )
    next(held)
    stop(engine)
    try:
        with pytest.raises(requests.Timeout):
            requests.post(
                f"{server.url}/v1/completions", json={"model": "b", "prompt": "Hi"}, timeout=0.5
            )
        wait_for(lambda: " 499 " in server.log.read_text(), bool, "the client to be missed")
    finally:
        go_on(engine)
    list(held)
    assert complete(server, "a").status_code == 200
    assert "loading b" not in server.log.read_text()


def test_orders_and_their_events(one_at_a_time: RealServer) -> None:
    server = one_at_a_time
    events: list[tuple[str, str]] = []

    def listen(answer: requests.Response) -> None:
        for line in answer.iter_lines():
            if line.startswith(b"data: "):
                event = json.loads(line[6:])
                events.append((event["model"], event["data"]["status"]))

    with requests.get(f"{server.url}/models/sse", stream=True, timeout=30) as answer:
        listener = threading.Thread(target=listen, args=(answer,), daemon=True)
        listener.start()
        wait_for(lambda: len(events), lambda n: n >= 3, "the first events")
        assert server.post("/models/load", {"model": "b"}).json() == {"success": True}
        wait_for(lambda: events, lambda found: ("b", "loaded") in found, "b")
        assert server.post("/models/load", {"model": "b"}).status_code == 400
        assert server.post("/v1/models/unload", {"model": "b"}).json() == {"success": True}
        wait_for(lambda: events[3:], lambda found: ("b", "unloaded") in found, "its end")
        server.process.send_signal(signal.SIGTERM)  # it does not hold up the end
        assert server.process.wait(5) == 0
        listener.join(5)
    seen = list(dict.fromkeys(events))
    assert seen.index(("b", "loading")) < seen.index(("b", "loaded"))


def test_a_bad_file_is_no_end_for_the_others(
    models: list[dict[str, Any]], tmp_path: Path, tiny_gguf: Path
) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"bad")
    with RealServer.start_models([told("x", bad), *models], tmp_path / "log") as server:
        assert requests.get(f"{server.url}/readyz", timeout=30).status_code == 200
        refused = complete(server, "x")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "model_failed")
        assert refused.headers["x-should-retry"] == "false"
        assert complete(server, "a").status_code == 200
        assert states(server)["x"] == "failed"
        shutil.copy(tiny_gguf, bad)
        server.post("/models/load", {"model": "x"})
        assert wait_for(lambda: states(server)["x"], lambda s: s == "loaded", "x")


def test_one_that_nobody_uses_leaves_and_comes_again(tiny_gguf: Path, tmp_path: Path) -> None:
    options = ("--alias", "tiny", "--keep-alive", "0.2", "--context-size", "512")
    with RealServer.start(tiny_gguf, *options, log=tmp_path / "log") as server:
        wait_for(lambda: states(server)["tiny"], lambda s: s == "unloaded", "its end")
        assert requests.get(f"{server.url}/readyz", timeout=30).status_code == 200
        assert complete(server, "tiny").status_code == 200


def test_limits_and_rights_of_a_key_hold_for_all_models(
    models: list[dict[str, Any]], tmp_path: Path
) -> None:
    keys = [
        {"secret": "two", "name": "two", "requests_per_minute": 2},
        {"secret": "only-b", "name": "only-b", "models": ["b"]},
    ]
    with RealServer.start_models(models, tmp_path / "log", keys=keys) as server:
        client = server.client(api_key="two")
        for model in "ab":
            client.completions.create(model=model, prompt="Hi", max_tokens=1)
        with pytest.raises(openai.RateLimitError):
            client.embeddings.create(model="e", input="Hi")
        other: Callable[..., requests.Response] = lambda path, body: server.post(  # noqa: E731
            path, body, headers={"Authorization": "Bearer only-b"}
        )
        assert other("/models/unload", {"model": "a"}).status_code == 404
        assert other("/tokenize", {"content": "Hi"}).status_code == 200
        assert server.post("/models/unload", {"model": "a"}).status_code == 401


@pytest.mark.slow
def test_real_models_at_the_same_time(default_model: Path, tiny_gguf: Path, tmp_path: Path) -> None:
    from cria import model_store

    embedder = model_store.resolve("all-minilm-l6-v2", lambda _done, _total: None)
    models = [told("smollm2", default_model), told("tiny", tiny_gguf), told("mini", embedder)]
    with RealServer.start_models(models, tmp_path / "log") as server:
        client = server.client()
        with ThreadPoolExecutor(3) as threads:
            chat = threads.submit(complete, server, "smollm2", max_tokens=16)
            tiny = threads.submit(complete, server, "tiny", max_tokens=16)
            made = threads.submit(client.embeddings.create, model="mini", input="Hi")
            assert len(made.result().data[0].embedding) == 384
            assert chat.result().status_code == tiny.result().status_code == 200


def engines(server: RealServer) -> list[int]:
    import psutil

    from tests.real_server import command_line

    children = psutil.Process(server.process.pid).children()
    return [child.pid for child in children if "cria.engine" in command_line(child)]


def stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)


def go_on(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
