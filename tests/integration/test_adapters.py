"""Adapters in a real server, against models into whose weights they were merged."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import openai
import psutil
import pytest
import requests

from cria.native.tiny_model import write_tiny_model
from tests.adapter_files import (
    Weights,
    merged,
    random_halves,
    write_adapter,
    write_control_vector,
    write_full_precision,
)
from tests.real_server import RealServer, wait_for

pytestmark = pytest.mark.integration

OPTIONS = ("--alias", "tiny", "--parallel", "4", "--context-size", "512", "--cache-type-k", "f32")
PROMPTS = ("Hi", "the cat and the dog", "one two what")


class Files:
    """A model in full precision, two adapters, and what they are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "source.gguf"
        write_tiny_model(self.source)
        self.model = folder / "tiny.gguf"
        write_full_precision(self.source, self.model)
        self.first, self.second = random_halves(self.model, 1), random_halves(self.model, 2)
        (folder / "loras").mkdir()
        self.one = write_adapter(folder / "loras" / "one.gguf", self.first)
        self.two = write_adapter(folder / "loras" / "two.gguf", self.second)

    def merged(self, name: str, *parts: tuple[Weights, float]) -> Path:
        changes: Weights = {}
        for halves, scale in parts:
            for key, value in merged(halves, scale).items():
                changes[key] = changes.get(key, np.float32(0)) + value
        path = self.folder / f"{name}.gguf"
        write_full_precision(self.source, path, changes)
        return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("adapters"))


@pytest.fixture(scope="module")
def server(files: Files) -> Iterator[RealServer]:
    lora = ("--lora", str(files.one), "--lora", f"other={files.two}:0.5")
    more = ("--lora-init-without-apply", "--lora-folder", str(files.folder / "loras"))
    with RealServer.start(files.model, *OPTIONS, *lora, *more, log=files.folder / "log") as running:
        yield running


def answer(server: RealServer, prompt: str, **fields: Any) -> list[int]:
    """The greedy tokens."""
    body = {"model": "tiny", "prompt": prompt, "max_tokens": 24, "temperature": 0}
    reply = server.post("/v1/completions", body | {"return_token_ids": True, **fields})
    assert reply.status_code == 200, reply.text
    tokens: list[int] = reply.json()["choices"][0]["token_ids"]
    return tokens


def scores(server: RealServer, **fields: Any) -> list[float]:
    body = {"model": "tiny", "prompt": "the cat", "continuations": [" and", " is", " who"]}
    reply = server.post("/v1/score", body | fields)
    assert reply.status_code == 200, reply.text
    return [each["logprob"] for each in reply.json()["data"]]


def answers_of(model: Path, log: Path, *options: str) -> tuple[list[list[int]], list[float]]:
    with RealServer.start(model, *OPTIONS, *options, log=log) as running:
        return [answer(running, prompt) for prompt in PROMPTS], scores(running)


def test_an_adapter_is_what_merging_it_makes_of_the_model(
    files: Files, server: RealServer, tmp_path: Path
) -> None:
    plain, plain_scores = answers_of(files.model, tmp_path / "log")
    assert [answer(server, prompt) for prompt in PROMPTS] == plain
    off = [{"id": 0, "scale": 0}]
    assert [answer(server, prompt, lora=off) for prompt in PROMPTS] == plain

    reference, expected = answers_of(files.merged("m1", (files.first, 1.0)), tmp_path / "log")
    assert reference != plain
    for fields in ({"model": "tiny:one"}, {"lora": [{"name": "one", "scale": 1}]}):
        assert [answer(server, prompt, **fields) for prompt in PROMPTS] == reference
        assert scores(server, **fields) == pytest.approx(expected, abs=1e-3)
    assert scores(server) == pytest.approx(plain_scores, abs=1e-3)


def test_several_adapters_add_up_with_their_scales(
    files: Files, server: RealServer, tmp_path: Path
) -> None:
    both = files.merged("m2", (files.first, 0.7), (files.second, -0.4))
    reference, expected = answers_of(both, tmp_path / "log")
    lora = [{"id": 0, "scale": 0.7}, {"id": 1, "scale": -0.4}]
    assert [answer(server, prompt, lora=lora) for prompt in PROMPTS] == reference
    assert scores(server, lora=lora) == pytest.approx(expected, abs=1e-3)
    half = files.merged("m3", (files.second, 0.5))
    reference, _ = answers_of(half, tmp_path / "log")
    assert [answer(server, prompt, model="tiny:other") for prompt in PROMPTS] == reference


def test_whoever_else_is_computed_everybody_gets_the_same(server: RealServer) -> None:
    models = ["tiny", "tiny:one", "tiny:other"]
    jobs = [(model, prompt) for prompt in PROMPTS for model in models] * 2
    alone = {job: answer(server, job[1], model=job[0]) for job in set(jobs)}
    assert len({tuple(tokens) for tokens in alone.values()}) == len(alone)
    with ThreadPoolExecutor(len(jobs)) as pool:
        together = list(pool.map(lambda job: answer(server, job[1], model=job[0]), jobs))
    assert together == [alone[job] for job in jobs]
    server.wait_until_idle()


def test_a_prompt_is_taken_over_from_the_same_adapters_only(server: RealServer) -> None:
    prompt = "the and hello world you are " * 12

    def cached(**fields: Any) -> int:
        body = {"model": "tiny", "prompt": prompt, "max_tokens": 1, **fields}
        usage = server.post("/v1/completions", body).json()["usage"]
        number: int = usage["prompt_tokens_details"]["cached_tokens"]
        return number

    assert cached() < 16
    assert cached() > 50
    assert cached(model="tiny:one") < 16
    assert cached(model="tiny:one") > 50
    assert cached(lora=[{"id": 0, "scale": 0.9}]) < 16
    assert cached(lora=[{"name": "one", "scale": 1.0}]) > 50


def test_adapters_are_listed_as_models_and_with_their_scales(server: RealServer) -> None:
    client = server.client()
    cards = {card.id: card.model_dump() for card in client.models.list().data}
    assert set(cards) >= {"tiny", "tiny:one", "tiny:other"}
    told = cards["tiny:other"]
    assert (told["parent"], told["root"], told["scale"]) == ("tiny", "two.gguf", 0.5)
    assert "parent" not in cards["tiny"]
    reply = client.completions.create(model="tiny:one", prompt="Hi", max_tokens=2)
    assert reply.model == "tiny:one"


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"model": "tiny:nobody"}, 404, "model"),
        ({"lora": [{"id": 9, "scale": 1}]}, 400, "lora[0].id"),
        ({"lora": [{"name": "nobody", "scale": 1}]}, 400, "lora[0].name"),
        ({"lora": [{"scale": 1}]}, 400, "lora[0]"),
        ({"lora": [{"id": 0, "name": "one", "scale": 1}]}, 400, "lora[0]"),
        ({"lora": [{"id": 0, "scale": 1}, {"name": "one", "scale": 1}]}, 400, "lora[1]"),
        ({"lora": [{"id": 0, "scale": 1e9}]}, 400, "lora[0].scale"),
        ({"lora": [{"id": 0, "scale": "1"}]}, 400, "lora[0].scale"),
        ({"lora": [{"id": 0}]}, 400, "lora[0].scale"),
        ({"lora": "one"}, 400, "lora"),
        ({"model": "tiny:one", "lora": [{"id": 0, "scale": 1}]}, 400, "lora"),
    ],
)
def test_what_is_wrong_is_named(
    server: RealServer, fields: dict[str, Any], status: int, param: str
) -> None:
    reply = server.post("/v1/completions", {"model": "tiny", "prompt": "Hi", **fields})
    assert (reply.status_code, reply.json()["error"]["param"]) == (status, param)


def test_default_scales_can_be_changed(server: RealServer) -> None:
    plain, one = answer(server, "Hi"), answer(server, "Hi", model="tiny:one")
    reply = requests.post(f"{server.url}/lora-adapters", json=[{"id": 0, "scale": 1}], timeout=30)
    assert reply.status_code == 200, reply.text
    listed = requests.get(f"{server.url}/lora-adapters", timeout=30).json()
    assert [(each["id"], each["name"], each["scale"]) for each in listed] == [
        (0, "one", 1.0),
        (1, "other", 0.0),
    ]
    assert answer(server, "Hi") == one
    requests.post(f"{server.url}/lora-adapters", json=[], timeout=30)
    assert answer(server, "Hi") == plain


def test_embeddings_are_computed_without_adapters(server: RealServer) -> None:
    reply = server.post("/v1/embeddings", {"model": "tiny:one", "input": "Hi"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "model")
    with pytest.raises(openai.BadRequestError):
        server.client().embeddings.create(model="tiny:one", input="Hi")


def test_adapters_come_and_go_under_load_and_survive_the_engine(
    files: Files, server: RealServer
) -> None:
    one = answer(server, "Hi", model="tiny:one")
    load = {"lora_name": "late", "lora_path": "one.gguf"}
    gone = {"lora_name": "late"}

    def ask(_: int) -> bool:
        body = {"model": "tiny:late", "prompt": "Hi", "max_tokens": 24, "temperature": 0}
        reply = server.post("/v1/completions", body | {"return_token_ids": True})
        assert reply.status_code in (200, 404), reply.text
        return reply.status_code == 404 or reply.json()["choices"][0]["token_ids"] == one

    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            assert server.post("/v1/load_lora_adapter", load).status_code == 200
            asked = [pool.submit(ask, n) for n in range(12)]
            assert server.post("/v1/unload_lora_adapter", gone).status_code == 200
            assert all(each.result() for each in asked)
    assert server.post("/v1/unload_lora_adapter", gone).status_code == 400
    assert server.post("/v1/load_lora_adapter", load).status_code == 200
    assert server.post("/v1/load_lora_adapter", load).status_code == 400
    (engine,) = (
        child
        for child in psutil.Process(server.process.pid).children(recursive=True)
        if "cria.engine" in child.cmdline()
    )
    engine.kill()
    wait_for(
        lambda: server.post("/v1/completions", {"model": "tiny:late", "prompt": "Hi"}).status_code,
        lambda status: status == 200,
        "the next engine",
    )
    assert answer(server, "Hi", model="tiny:late") == one
    assert answer(server, "Hi", model="tiny:one") == one
    assert server.post("/v1/unload_lora_adapter", gone).status_code == 200


def test_only_files_below_the_folder_are_loaded(files: Files, server: RealServer) -> None:
    outside = write_adapter(files.folder / "outside.gguf", files.first)
    (files.folder / "loras" / "link.gguf").symlink_to(outside)
    (files.folder / "loras" / "junk.gguf").write_bytes(b"GGUF" + bytes(40))
    small = {
        name: data[:, :-1] if name.endswith("a") else data for name, data in files.first.items()
    }
    write_adapter(files.folder / "loras" / "small.gguf", small)
    paths = ("../outside.gguf", str(outside), "link.gguf", "none.gguf", ".", "junk.gguf")
    for path in (*paths, "small.gguf", "a\0b"):
        reply = server.post("/v1/load_lora_adapter", {"lora_name": "x", "lora_path": path})
        assert reply.status_code == 400, (path, reply.text)
        assert reply.json()["error"]["param"] == "lora_path", path
    assert answer(server, "Hi") == answer(server, "Hi")


def test_without_a_folder_nothing_is_loaded(tiny_server: RealServer) -> None:
    reply = tiny_server.post("/v1/load_lora_adapter", {"lora_name": "x", "lora_path": "y"})
    assert reply.status_code == 403


def test_several_processes_have_the_same_adapters(files: Files, tmp_path: Path) -> None:
    lora = ("--lora", str(files.one), "--workers", "2", "--lora-folder", str(files.folder))
    with RealServer.start(files.model, *OPTIONS, *lora, log=tmp_path / "log") as running:

        def ask(model: str) -> int:
            body = {"model": model, "prompt": "Hi", "max_tokens": 2}
            return running.post("/v1/completions", body).status_code

        for _ in range(12):  # each on a connection of its own: some reach the second process
            wait_for(lambda: ask("tiny:one"), lambda status: status == 200, "both processes")
        assert {ask("tiny:none") for _ in range(12)} == {404}
        told = running.post("/v1/load_lora_adapter", {"lora_name": "x", "lora_path": "two.gguf"})
        assert (told.status_code, "--workers" in told.text) == (400, True)


def test_a_bad_adapter_ends_the_start_with_a_sentence(files: Files, tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"algg" + bytes(60))
    done = subprocess.run(
        [sys.executable, "-m", "cria", "serve", str(files.model), "--port", "0"]
        + ["--lora", str(tmp_path / "bad.gguf")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    assert "bad.gguf cannot be converted: it is no ggla adapter of version 1" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_control_vector_acts_on_everything(files: Files, tmp_path: Path) -> None:
    direction = np.random.default_rng(5).normal(0, 3.0, 128).astype(np.float32)
    path = write_control_vector(tmp_path / "vector.gguf", {1: direction})
    plain = answers_of(files.model, tmp_path / "log")
    bent = answers_of(files.model, tmp_path / "log", "--control-vector", str(path))
    zero = answers_of(files.model, tmp_path / "log", "--control-vector", f"{path}:0")
    assert zero == plain
    assert bent[0] != plain[0]
