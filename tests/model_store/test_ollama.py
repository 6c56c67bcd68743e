from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cria.errors import ModelFileError
from cria.model_store import find, resolve
from cria.model_store.ollama import MEDIA_TYPE, read_manifest
from tests.model_store.conftest import MODEL
from tests.model_store.test_download import ignore

SUM = hashlib.sha256(MODEL).hexdigest()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ollama's folder, with `tiny:latest`."""
    folder = tmp_path / "ollama"
    monkeypatch.setenv("OLLAMA_MODELS", str(folder))
    (folder / "blobs").mkdir(parents=True)
    (folder / "blobs" / f"sha256-{SUM}").write_bytes(MODEL)
    write_manifest(folder, [layer("model"), layer("template"), layer("params")])
    return folder


def layer(kind: str, **changes: Any) -> dict[str, Any]:
    told = {"mediaType": MEDIA_TYPE + kind, "digest": f"sha256:{SUM}", "size": len(MODEL)}
    return told | changes


def write_manifest(folder: Path, layers: list[dict[str, Any]], name: str = "tiny") -> Path:
    path = folder / "manifests" / "registry.ollama.ai" / "library" / name / "latest"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"schemaVersion": 2, "layers": layers}))
    return path


def test_a_model_is_used_where_it_lies(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    blob = store / "blobs" / f"sha256-{SUM}"
    assert find("ollama:tiny") == blob
    with caplog.at_level(logging.WARNING):
        assert resolve("ollama:tiny:latest", ignore) == blob
    assert "not its template, params" in caplog.text


def test_what_ollama_does_not_have(store: Path) -> None:
    assert find("ollama:other") is None
    with pytest.raises(ModelFileError, match="ollama pull other:7b"):
        resolve("ollama:other:7b", ignore)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([], "has 0 models"),
        ([layer("model")] * 2, "has 2 models"),
        ([layer("model", digest="md5:x")], "names no file"),
        ([layer("model", digest="sha256:../../x")], "names no file"),
        ([layer("model", digest="sha256:" + "0" * 64)], "missing or not whole"),
        ([layer("model", size=3)], "missing or not whole"),
    ],
)
def test_damaged_manifests(store: Path, layers: list[dict[str, Any]], words: str) -> None:
    write_manifest(store, layers, "bad")
    with pytest.raises(ModelFileError, match=words):
        resolve("ollama:bad", ignore)


def test_a_blob_that_is_no_gguf(store: Path) -> None:
    digest = "1" * 64
    (store / "blobs" / f"sha256-{digest}").write_bytes(b"PK.." * 9)
    write_manifest(store, [layer("model", digest=f"sha256:{digest}", size=36)], "zip")
    with pytest.raises(ModelFileError, match="not a GGUF file"):
        resolve("ollama:zip", ignore)


JSON = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["layers", "digest"]), inner),
)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_manifest_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "manifest"
    path.write_bytes(data)
    try:
        assert read_manifest(path).layers is not None
    except ModelFileError as error:
        assert str(path) in str(error)
