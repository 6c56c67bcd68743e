"""A hub on the loopback address, asked by the real client in its own process."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from cria.errors import ModelFileError, SetupError
from cria.model_store import find, hub, resolve
from tests.model_file.building import gguf
from tests.model_store.conftest import MODEL
from tests.model_store.file_server import FileServer
from tests.model_store.test_download import ignore

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def repo(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> FileServer:
    """`org/repo` with two quantisations, a split set and a text."""
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    parts = {
        f"big/x-F16-0000{part + 1}-of-00002.gguf": gguf(
            {"general.architecture": "llama", "split.count": 2, "split.no": part}
        )
        for part in range(2)
    }
    offer(server, {"README.md": b"hi", "x-Q8_0.gguf": b"", "x-Q4_0.gguf": MODEL, **parts})
    return server


def offer(server: FileServer, files: dict[str, bytes], **changes: Any) -> None:
    siblings = []
    for path, data in files.items():
        server.files[f"/org/repo/resolve/{COMMIT}/{path}"] = data
        digest = hashlib.sha256(data).hexdigest()
        lfs = {"sha256": digest, "size": len(data), "pointerSize": 130}
        siblings.append({"rfilename": path, "size": len(data), "lfs": lfs, **changes})
    answer = {"id": "org/repo", "modelId": "org/repo", "sha": COMMIT, "siblings": siblings}
    server.answers["/api/models/org/repo"] = answer


def test_the_usual_choice(repo: FileServer, cache: Path) -> None:
    assert find("hf:org/repo") is None
    path = resolve("hf:org/repo", ignore)
    assert path == cache / "hub" / "org" / "repo" / "x-Q4_0.gguf" and path.read_bytes() == MODEL
    num_asked = len(repo.asked)
    assert find("hf:org/repo") == find("hf:org/repo:q4_0") == resolve("hf:org/repo", ignore) == path
    assert len(repo.asked) == num_asked, "what is here is not asked for"


def test_a_split_set_by_its_quantisation(repo: FileServer, cache: Path) -> None:
    path = resolve("hf:org/repo:F16", ignore)
    assert path == cache / "hub" / "org" / "repo" / "big" / "x-F16-00001-of-00002.gguf"
    assert path.with_name("x-F16-00002-of-00002.gguf").exists()


def test_what_is_not_there(repo: FileServer) -> None:
    with pytest.raises(ModelFileError, match=r"no Q2_K in org/repo; there are .*x-Q4_0\.gguf"):
        resolve("hf:org/repo:Q2_K", ignore)
    repo.refusals["/api/models/org/other"] = (404, {"X-Error-Code": "RepoNotFound"})
    with pytest.raises(ModelFileError, match="The hub shows no org/other.*without HF_TOKEN"):
        resolve("hf:org/other", ignore)
    offer(repo, {"x-00001-of-00002.gguf": MODEL})
    with pytest.raises(ModelFileError, match="only 1 of the 2 parts"):
        resolve("hf:org/repo", ignore)


def test_a_file_that_is_another_than_announced(repo: FileServer) -> None:
    offer(repo, {"x.gguf": MODEL}, lfs={"sha256": "0" * 64, "size": 1, "pointerSize": 1})
    with pytest.raises(ModelFileError, match="wrong checksum"):
        resolve("hf:org/repo", ignore)


def test_the_token_goes_to_the_hub(repo: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    resolve("hf:org/repo", ignore)
    asked = [headers for path, headers in repo.asked if "org/repo" in path]
    assert len(asked) >= 2
    assert all(headers["authorization"] == "Bearer hf_secret" for headers in asked)


def test_the_token_is_not_sent_where_others_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HF_ENDPOINT", "http://example.org")
    with pytest.raises(SetupError, match="no TLS"):
        resolve("hf:org/repo", ignore)


@pytest.mark.parametrize(
    ("headers", "status", "words"),
    [
        ({"X-Error-Code": "GatedRepo"}, 403, "is gated: accept its terms"),
        ({}, 500, "answers with status 500"),
    ],
)
def test_a_hub_that_refuses(
    repo: FileServer, headers: dict[str, str], status: int, words: str
) -> None:
    repo.refusals["/api/models/org/repo"] = (status, headers)
    with pytest.raises(ModelFileError, match=words):
        resolve("hf:org/repo", ignore)


def test_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(ModelFileError, match="cannot be reached"):
        resolve("hf:org/repo", ignore)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelFileError, match="HF_HUB_OFFLINE"):
        resolve("hf:org/repo", ignore)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SetupError, match=r"cria\[hub\]"):
        resolve("hf:org/repo", ignore)
