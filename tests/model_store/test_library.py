from __future__ import annotations

from pathlib import Path

import pytest

from cria.drafts import draft_folder
from cria.errors import ModelFileError
from cria.model_store import KNOWN_MODELS, resolve
from cria.model_store.library import kept_models, remove
from tests.model_store.conftest import MODEL
from tests.model_store.file_server import FileServer
from tests.model_store.test_download import ignore


def put(cache: Path, *names: str) -> Path:
    for name in names:
        (cache / name).parent.mkdir(parents=True, exist_ok=True)
        (cache / name).write_bytes(MODEL)
    return cache / names[0]


def test_names_are_what_serve_takes(cache: Path, server: FileServer) -> None:
    known = KNOWN_MODELS["smollm2"].file_name
    own = put(cache, "own.gguf", known, "hub/org/repo/sub/x.gguf", ".own.gguf.draft/own.gguf")
    resolve(f"{server.url}/a/model.gguf", ignore)
    assert {kept.name for kept in kept_models()} == {
        str(own),
        "smollm2",
        "hf:org/repo:sub/x.gguf",
        f"{server.url}/a/model.gguf",
    }


def test_a_set_is_one_if_it_is_whole(cache: Path) -> None:
    put(cache, "hub/o/r/m-00001-of-00002.gguf", "hub/o/r/m-00002-of-00002.gguf")
    put(cache, "hub/o/r/n-00001-of-00002.gguf")
    (kept,) = kept_models()
    assert len(kept.files) == 2 and kept.num_bytes == 2 * len(MODEL) and kept.fetched > 0


def test_all_of_a_model_goes(cache: Path, server: FileServer) -> None:
    first = put(cache, "hub/o/r/m-00001-of-00002.gguf", "hub/o/r/m-00002-of-00002.gguf")
    draft_folder(first).mkdir()
    remove("hf:o/r:m-00001-of-00002.gguf")
    assert not (cache / "hub").exists() and cache.exists()
    path = resolve(f"{server.url}/a/model.gguf", ignore)
    remove(str(path))
    assert not (cache / "url").exists() and kept_models() == []


def test_nobody_elses_files_go(tmp_path: Path, cache: Path) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(MODEL)
    with pytest.raises(ModelFileError, match="cria list"):
        remove(str(own))
    assert own.exists()


def test_others_of_the_folder_stay(cache: Path) -> None:
    put(cache, "hub/o/r/a.gguf", "hub/o/r/b.gguf")
    remove("hf:o/r:a.gguf")
    assert [kept.name for kept in kept_models()] == ["hf:o/r:b.gguf"]
