"""From a model file to smaller ones, which load and generate."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cria.config import EngineConfig
from cria.engine.loaded_model import LoadedModel
from cria.engine.model_runner import ModelRunner
from cria.errors import ModelFileError
from cria.model_file import check_model_files
from cria.model_file.description import describe_file
from cria.quantize import NUMBERS, Job, Wishes, quantize, size_of
from tests.model_file.building import gguf
from tests.real_server import REPOSITORY, wait_for

pytestmark = pytest.mark.integration


def ignore(_done: int, _total: int) -> None:
    pass


@pytest.fixture(scope="module")
def full(tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with all of its weights in F16."""
    path = tmp_path_factory.mktemp("full") / "full.gguf"
    wishes = Wishes(NUMBERS["F16"], allow_requantize=True)
    quantize(Job(str(tiny_gguf), str(path), wishes), ignore)
    return path


@pytest.mark.parametrize("name", ["Q8_0", "Q4_0", "Q5_1", "Q4_K_M", "BF16"])
def test_smaller_models_work(full: Path, tmp_path: Path, name: str) -> None:
    target, reports = tmp_path / "out.gguf", list[tuple[int, int]]()
    job = Job(str(full), str(target), Wishes(NUMBERS[name]))
    quantize(job, lambda *seen: reports.append(seen))
    made = describe_file(check_model_files(target))
    assert made.quantisation == name
    assert name == "BF16" or made.num_bytes < full.stat().st_size
    assert reports[-1][0] == reports[-1][1]
    # It computes a first token, and complains if that is no number.
    assert ModelRunner(LoadedModel(EngineConfig(str(target), num_threads=1))).info.num_slots > 0
    assert os.listdir(tmp_path) == ["out.gguf"]


def test_wishes_are_heard(full: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.gguf"
    quantize(Job(str(full), str(target), Wishes(NUMBERS["Q4_K_M"], pure=True)), ignore)
    kept = Wishes(NUMBERS["Q8_0"], leave_output_tensor=True, num_threads=1)
    quantize(Job(str(full), str(tmp_path / "kept.gguf"), kept), ignore)
    (header,) = check_model_files(tmp_path / "kept.gguf")
    types = {tensor.name: tensor.type.name for tensor in header.tensors}
    assert types.get("output.weight", "F16") == "F16" and "Q8_0" in types.values()


def test_the_source_is_not_the_target(full: Path) -> None:
    before = full.read_bytes()
    with pytest.raises(ModelFileError, match="the source itself"):
        quantize(Job(str(full), str(full), Wishes(NUMBERS["Q8_0"])), ignore)
    assert full.read_bytes() == before


@pytest.mark.parametrize("data", [b"", b"GGUF", gguf({"general.architecture": "llama"})])
def test_damaged_sources(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "bad.gguf").write_bytes(data)
    with pytest.raises(ModelFileError):
        quantize(Job(str(tmp_path / "bad.gguf"), str(tmp_path / "x"), Wishes(7)), ignore)
    assert os.listdir(tmp_path) == ["bad.gguf"]


def test_adapters_are_no_models(tmp_path: Path) -> None:
    path = tmp_path / "adapter.gguf"
    path.write_bytes(gguf({"general.architecture": "llama", "general.type": "adapter"}))
    with pytest.raises(ModelFileError):
        quantize(Job(str(path), str(tmp_path / "x"), Wishes(7)), ignore)


def test_too_little_room_is_said_before(
    full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ModelFileError, match="are free"):
        quantize(Job(str(full), str(tmp_path / "out.gguf"), Wishes(7)), ignore)


def test_a_kill_leaves_nothing_under_the_name(default_model: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.gguf"
    words = ["quantize", str(default_model), str(target), "Q6_K", "--allow-requantize"]
    with subprocess.Popen(
        [sys.executable, "-m", "cria", *words], cwd=REPOSITORY, stderr=subprocess.DEVNULL
    ) as process:
        wait_for(lambda: list(tmp_path.rglob("*.draft/out.gguf")), bool, "the first bytes")
        process.kill()
    assert not target.exists()


def test_sizes_are_about_right(full: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.gguf"
    quantize(Job(str(full), str(target), Wishes(NUMBERS["Q8_0"])), ignore)
    total = size_of(check_model_files(full), NUMBERS["Q8_0"])
    weights = sum(t.num_bytes for h in check_model_files(target) for t in h.tensors)
    assert 0.8 * weights < total < 1.2 * weights
    for name in NUMBERS:
        assert size_of(check_model_files(full), NUMBERS[name]) > 0
