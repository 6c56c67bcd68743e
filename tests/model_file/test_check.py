from __future__ import annotations

import os
from pathlib import Path

import pytest

from cria.errors import ModelFileError
from cria.model_file import check_model_file
from cria.native.tiny_model import write_tiny_model, write_tiny_vocab
from tests.model_file.building import gguf

SPLIT = {"general.architecture": "llama", "split.count": 3}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


def refusal(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        check_model_file(path)
    return str(caught.value)


def test_a_model(path: Path) -> None:
    write_tiny_model(path)
    header = check_model_file(path)
    assert header.architecture == "llama" and header.num_weights > 400_000


def test_a_vocabulary(path: Path) -> None:
    write_tiny_vocab(path)
    assert check_model_file(path).tensors == ()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not a GGUF file"),
        (b"PK\x03\x04" + bytes(20), "is not a GGUF file"),
        (b"tjgg" + bytes(20), "from before GGUF"),
        (gguf()[:20], "cannot be served: it ends within its header."),
        (gguf(), "cannot be served: it does not say which architecture"),
        (gguf(SPLIT), "it is one of 3 parts, its name says 1"),
    ],
)
def test_refusals_name_the_file(path: Path, content: bytes, words: str) -> None:
    path.write_bytes(content)
    assert str(path) in refusal(path) and words in refusal(path)


def test_what_is_no_file(tmp_path: Path, path: Path) -> None:
    assert "No such file" in refusal(path)
    assert "is a folder" in refusal(tmp_path)
    os.mkfifo(path)
    assert "not a regular file" in refusal(path)
    path.unlink()
    path.symlink_to(path)
    assert "symbolic links" in refusal(path)
    assert "null" in refusal(Path("a\0b"))


def test_a_file_that_may_not_be_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As root, no mode keeps one from reading; so the refusal is played.
    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path.write_bytes(gguf())
    monkeypatch.setattr(Path, "open", denied)
    assert "Permission denied" in refusal(path)


class TestSplitFiles:
    @pytest.fixture
    def parts(self, tmp_path: Path) -> list[Path]:
        paths = [tmp_path / f"m-{i:05d}-of-00003.gguf" for i in (1, 2, 3)]
        for number, path in enumerate(paths):
            path.write_bytes(gguf({**SPLIT, "split.no": number}))
        return paths

    def test_the_first_stands_for_all(self, parts: list[Path]) -> None:
        assert check_model_file(parts[0]).of_model("x") is None

    def test_another_names_the_first(self, parts: list[Path]) -> None:
        assert f"part 2 of 3; give the first: {parts[0].name}" in refusal(parts[1])

    def test_missing_parts_are_named(self, parts: list[Path]) -> None:
        parts[1].unlink()
        parts[2].unlink()
        assert "2 of the 3 parts" in refusal(parts[0]) and "m-00002-of" in refusal(parts[0])

    def test_every_part_is_read(self, parts: list[Path]) -> None:
        parts[2].write_bytes(parts[2].read_bytes()[:30])
        assert f"{parts[2]} cannot be served" in refusal(parts[0])

    def test_parts_that_were_mixed_up(self, parts: list[Path]) -> None:
        parts[2].write_bytes(parts[1].read_bytes())
        assert "it is part 1, counted from 0, its name says 2" in refusal(parts[0])

    def test_another_set(self, parts: list[Path]) -> None:
        parts[1].write_bytes(gguf({**SPLIT, "split.count": 4, "split.no": 1}))
        assert "one of 4 parts, its name says 3" in refusal(parts[0])


@pytest.mark.parametrize("name", ["m-00001-of-00000.gguf", "m-00001-of-00001.gguf"])
def test_a_set_of_one_is_a_file(tmp_path: Path, name: str) -> None:
    write_tiny_model(tmp_path / name)
    assert check_model_file(tmp_path / name).architecture == "llama"
