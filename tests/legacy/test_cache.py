"""What is converted once, what is never, and when again."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest

from cria.errors import ModelFileError
from cria.legacy import LegacyOptions, adapter_as_gguf, as_gguf, is_legacy, is_legacy_adapter
from tests.legacy.ggml_files import Model, adapter

SMALL = Model(n_embd=32, n_head=2, n_head_kv=2, n_layer=1, kind="Q4_0")


def ignore(_done: int, _total: int) -> None:
    pass


def refuse(_done: int, _total: int) -> None:
    raise AssertionError("nothing was to be converted")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.q4_0.bin"
    path.write_bytes(SMALL.to_bytes())
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "converted"


def test_magics(old: Path, tmp_path: Path) -> None:
    assert is_legacy(old) and not is_legacy_adapter(old)
    new = tmp_path / "new.gguf"
    new.write_bytes(b"GGUF")
    for path in (new, tmp_path, tmp_path / "none", Path("nul\0")):
        assert not is_legacy(path) and not is_legacy_adapter(path)


def test_the_second_time_nothing_is_done(old: Path, folder: Path) -> None:
    first = as_gguf(old, folder, ignore)
    assert first.name == "old.q4_0.gguf" and first.read_bytes()[:4] == b"GGUF"
    assert as_gguf(old, folder, refuse) == first


def test_a_changed_file_and_other_options_are_other_files(old: Path, folder: Path) -> None:
    found = {as_gguf(old, folder, ignore)}
    found.add(as_gguf(old, folder, ignore, LegacyOptions(rms_eps=1e-6)))
    os.utime(old, ns=(1, 1))
    found.add(as_gguf(old, folder, ignore))
    assert len(found) == 3


def test_two_files_of_one_name_are_two(old: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / old.name
    other.write_bytes(Model(n_layer=1).to_bytes())
    assert as_gguf(old, folder, ignore) != as_gguf(other, folder, ignore)


def test_what_cannot_be_converted_leaves_no_file(old: Path, folder: Path) -> None:
    old.write_bytes(old.read_bytes()[:-100])
    with pytest.raises(ModelFileError, match="truncated"):
        as_gguf(old, folder, ignore)
    assert not [path for path in folder.rglob("*") if path.is_file()]


def test_files_of_today_stay_where_they_are(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF")
    assert as_gguf(path, folder, refuse) == path
    assert adapter_as_gguf(path, folder) == path
    with pytest.raises(ModelFileError, match="--n-gqa: only for files from before GGUF"):
        as_gguf(path, folder, refuse, LegacyOptions(n_gqa=1))


@pytest.mark.parametrize(
    ("magic", "words"),
    [(b"algg", "is an adapter; give the model"), (b"nsgg", "saved state of a session")],
)
def test_files_that_are_no_models(magic: bytes, words: str, tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "m.bin"
    path.write_bytes(magic + struct.pack("<I", 1))
    with pytest.raises(ModelFileError, match=words):
        as_gguf(path, folder, refuse)


def test_no_place_for_it(old: Path, folder: Path) -> None:
    folder.write_bytes(b"")
    with pytest.raises(ModelFileError, match="Cannot store the model in"):
        as_gguf(old, folder, refuse)


def test_an_adapter_is_converted_once(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "a.bin"
    halves = [("layers.0.attention.wq.weight.lora" + half, np.ones((32, 4), "f4")) for half in "AB"]
    path.write_bytes(adapter(halves))
    first = adapter_as_gguf(path, folder)
    assert first.name == "a.gguf"
    time = first.stat().st_mtime_ns
    assert adapter_as_gguf(path, folder) == first and first.stat().st_mtime_ns == time
