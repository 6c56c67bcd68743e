"""Files from before GGUF with the real server and the real command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.adapter_files import write_adapter
from tests.legacy.ggml_files import Array, Model, adapter, write_reference
from tests.real_server import REPOSITORY, RealServer

pytestmark = pytest.mark.integration

MODEL = Model(kind="Q4_0")
OPTIONS = ("--alias", "old", "--context-size", "256", "--parallel", "1")
ALPHA = 16
TARGETS = {"attention.wq": "attn_q", "attention.wo": "attn_output", "attention.wv": "attn_v"}
PROMPTS = ("Hi", "w260 w281", "one two")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where converted files go."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "cria" / "models" / "converted"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.bin"
    path.write_bytes(MODEL.to_bytes())
    return path


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    path = tmp_path / "reference.gguf"
    write_reference(MODEL, path)
    return path


def answers(server: RealServer, model: str = "old") -> list[list[int]]:
    """The greedy tokens after each of the prompts."""
    found = []
    for prompt in PROMPTS:
        body: dict[str, Any] = {"model": model, "prompt": prompt, "max_tokens": 16}
        reply = server.post("/v1/completions", body | {"temperature": 0, "return_token_ids": True})
        assert reply.status_code == 200, reply.text
        found.append(reply.json()["choices"][0]["token_ids"])
    return found


def cria(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cria", *words],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_old_file_is_served_and_converted_once(
    old: Path, reference: Path, cache: Path, tmp_path: Path
) -> None:
    with RealServer.start(old, *OPTIONS, log=tmp_path / "log") as server:
        found = answers(server)
        assert [model.id for model in server.client().models.list()] == ["old"]
    (converted,) = cache.rglob("*.gguf")
    first = converted.stat().st_mtime_ns
    assert "Taken for a LLaMA 2 model" in (tmp_path / "log").read_text()
    with RealServer.start(old, *OPTIONS, log=tmp_path / "log") as server:
        assert answers(server) == found
    assert list(cache.rglob("*.gguf")) == [converted]
    assert converted.stat().st_mtime_ns == first
    assert "Converting" not in (tmp_path / "log").read_text()
    with RealServer.start(reference, *OPTIONS, log=tmp_path / "log") as server:
        assert answers(server) == found


def test_by_hand(old: Path, tmp_path: Path) -> None:
    result = cria("convert", str(old), "--trained-context", "300")
    assert result.returncode == 0, result.stderr
    assert "300 tokens of context" in result.stderr
    assert (tmp_path / "old.gguf").read_bytes()[:4] == b"GGUF"
    again = cria("convert", str(old))
    assert again.returncode == 2 and "--force replaces it" in again.stderr
    with RealServer.start(tmp_path / "old.gguf", *OPTIONS, log=tmp_path / "log") as server:
        assert server.client().models.retrieve("old").id == "old"
        assert len(answers(server)) == len(PROMPTS)


def test_a_truncated_file_is_one_sentence(old: Path, cache: Path) -> None:
    old.write_bytes(old.read_bytes()[:-1000])
    result = cria("serve", str(old), "--port", "0")
    assert result.returncode == 3
    assert f"{old} cannot be converted: it is truncated at offset" in result.stderr
    assert "Traceback" not in result.stderr and not result.stdout
    assert not list(cache.rglob("*.gguf"))


def halves() -> tuple[dict[str, Array], list[tuple[str, Array]]]:
    """As a GGUF adapter has them, and as a ggla file has them."""
    random, new, then = np.random.default_rng(5), {}, []
    for before, today in TARGETS.items():
        for layer in range(MODEL.n_layer):
            a = random.standard_normal((4, MODEL.n_embd)).astype("f4")
            b = random.standard_normal((MODEL.n_embd, 4)).astype("f4")
            new[f"blk.{layer}.{today}.weight.lora_a"] = a
            new[f"blk.{layer}.{today}.weight.lora_b"] = b
            name = f"layers.{layer}.{before}.weight.lora"
            then += [(name + "A", np.ascontiguousarray(a.T)), (name + "B", b)]
    return new, then


def test_an_old_adapter_acts_like_the_same_one_of_today(
    old: Path, reference: Path, tmp_path: Path
) -> None:
    new, then = halves()
    today = write_adapter(tmp_path / "today.gguf", new, ALPHA)
    (tmp_path / "tuned.bin").write_bytes(adapter(then, alpha=ALPHA))
    start = (*OPTIONS, "--lora-init-without-apply", "--lora")
    with RealServer.start(old, *start, str(tmp_path / "tuned.bin"), log=tmp_path / "log") as server:
        base, tuned = answers(server), answers(server, "old:tuned")
    with RealServer.start(reference, *start, str(today), log=tmp_path / "log") as server:
        assert answers(server, "old:today") == tuned
    assert base != tuned


def test_an_adapter_of_another_model_is_one_sentence(old: Path, tmp_path: Path) -> None:
    name = "layers.0.attention.wq.weight.lora"
    wide = [(name + half, np.ones((96, 4), "f4")) for half in "AB"]
    (tmp_path / "wide.bin").write_bytes(adapter(wide))
    result = cria("serve", str(old), "--port", "0", "--lora", str(tmp_path / "wide.bin"))
    assert result.returncode == 3
    assert "the base's is (64, 64)" in result.stderr and "Traceback" not in result.stderr
