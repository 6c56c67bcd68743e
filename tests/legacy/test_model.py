"""Whole files: sizes, equal weights whatever the format, equal tokens, and every kind of damage."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cria.errors import ModelFileError
from cria.legacy import LegacyOptions, convert_model
from cria.legacy import model as model_module
from cria.model_file import check_model_file
from tests.legacy.ggml_files import K_TYPES, TYPES, Model, of_kind, tensor, write_reference
from tests.raw_model import RawModel

NO_OPTIONS = LegacyOptions()
TEXT = Model(n_embd=32, n_head=2, n_head_kv=2, n_layer=1, kind="Q4_0", version=1)
SIZES = {
    ("ggml", 1): (577273, 290553, 93433, 111353, 102393, 111353, 165113),
    ("ggmf", 1): (578429, 291709, 94589, 112509, 103549, 112509, 166269),
    ("ggjt", 1): (578784, 292064, 94944, 112864, 103904, 112864, 166624),
    ("ggjt", 2): (578784, 292064, 94944, 112864, 103904, 112864, 166624),
    ("ggjt", 3): (578784, 292064, 85984, 94944, 103904, 112864, 157664),
}
FILES = [
    (form, version, kind, size)
    for (form, version), sizes in SIZES.items()
    for kind, size in zip(TYPES, sizes, strict=True)
]

Converted = tuple[Path, list[str]]
Convert = Callable[..., Converted]


@pytest.fixture
def convert(tmp_path: Path) -> Convert:
    def run(data: bytes | Model, options: LegacyOptions = NO_OPTIONS) -> Converted:
        source, target = tmp_path / "old.bin", tmp_path / "new.gguf"
        source.write_bytes(data.to_bytes() if isinstance(data, Model) else data)
        return target, convert_model(source, target, options, lambda _done, _total: None)

    return run


def weights_of(path: Path) -> dict[str, tuple[int, list[int], bytes]]:
    reader = gguf.GGUFReader(path)
    return {
        t.name: (int(t.tensor_type), [int(n) for n in t.shape], t.data.tobytes())
        for t in reader.tensors
    }


@pytest.mark.parametrize(("form", "version", "kind", "size"), FILES)
def test_each_format_and_type_becomes_the_same_weights(
    form: str, version: int, kind: str, size: int, convert: Convert, tmp_path: Path
) -> None:
    model = Model(form, version, kind)
    assert len(model.to_bytes()) == size
    target, _ = convert(model)
    write_reference(model, tmp_path / "reference.gguf")
    assert weights_of(target) == weights_of(tmp_path / "reference.gguf")
    check_model_file(target)


@pytest.mark.parametrize("kind", [*TYPES, *K_TYPES])
def test_the_same_tokens_follow(kind: str, convert: Convert, tmp_path: Path) -> None:
    model = of_kind(kind)
    target, _ = convert(model)
    write_reference(model, tmp_path / "reference.gguf")
    prompt = [1, 260, 70, 281]
    found, wanted = RawModel(target), RawModel(tmp_path / "reference.gguf")
    assert found.greedy(prompt, 12) == wanted.greedy(prompt, 12)
    assert found.tokenize("Hi w260") == wanted.tokenize("Hi w260")
    assert np.array_equal(found.log_softmax(prompt), wanted.log_softmax(prompt))


def test_known_bytes() -> None:
    data = Model().to_bytes()
    assert data[:36].hex() == (
        "746a6767030000002001000040000000200000000400000002000000" + "1000000001000000"
    )
    assert struct.unpack_from("<5I", data, 2746) == (2, 21, 1, 64, 288)
    assert data[2766:2787] == b"tok_embeddings.weight"


def test_what_the_header_says(convert: Convert) -> None:
    metadata = check_model_file(convert(Model(kind="Q4_0", n_head_kv=2))[0]).metadata
    assert metadata["llama.attention.head_count_kv"] == 2
    assert metadata["llama.feed_forward_length"] == 192
    assert metadata["general.file_type"] == 2
    assert "LLaMA 2" in str(metadata["general.description"])


def test_options_win(convert: Convert) -> None:
    options = LegacyOptions(4, 1e-6, 5e5, 1000)
    target, notes = convert(Model(n_head=8, n_head_kv=2), options)
    metadata = check_model_file(target).metadata
    assert metadata["llama.context_length"] == 1000
    assert metadata["llama.rope.freq_base"] == 5e5
    assert "1000 tokens" in notes[0]


def test_notes(convert: Convert) -> None:
    assert "no scores" in convert(Model("ggml", 1))[1][1]
    lying = bytearray(Model(kind="F16").to_bytes())
    lying[32:36] = struct.pack("<I", 2)
    target, notes = convert(bytes(lying))
    assert "tells another type" in notes[1]
    assert check_model_file(target).metadata["general.file_type"] == 1
    lying[32:36] = struct.pack("<I", 2001)
    assert len(convert(bytes(lying))[1]) == 1


def test_rope_frequencies_are_left_out(convert: Convert) -> None:
    data = Model().to_bytes()
    data += tensor(len(data), "rope.freqs", (8,), 0, bytes(32), aligned=True)
    assert "rope_freqs.weight" not in weights_of(convert(data)[0])


def header(position: int, value: int) -> bytes:
    data = bytearray(Model().to_bytes())
    data[position : position + 4] = struct.pack("<I", value)
    return bytes(data)


def changed(old: bytes, new: bytes) -> bytes:
    data = Model().to_bytes()
    assert old in data and len(old) == len(new)
    return data.replace(old, new, 1)


def without_the_last(count: int) -> bytes:
    return Model().to_bytes()[:-count]


def twice() -> bytes:
    data = Model().to_bytes()
    return data + tensor(len(data), "norm.weight", (64,), 0, bytes(256), aligned=True)


GOOD = Model().to_bytes()
HEAD = 2746
DAMAGED = {
    **{f"{n} bytes": (GOOD[:n], "truncated at offset") for n in (4, 20, 200)},
    **{f"{n} missing": (without_the_last(n), "truncated") for n in (1, 5_000, 60_000)},
    "64 zeros at the end": (GOOD + bytes(64), "0 dimensions"),
    "5 letters at the end": (GOOD + b"abcde", "truncated"),
    "no vocabulary": (header(8, 0), "n_vocab 0"),
    "huge vocabulary": (header(8, 2**31), "n_vocab 2147483648"),
    "no width": (header(12, 0), "n_embd 0"),
    "false width": (header(12, 128), "n_rot 16"),
    "no heads": (header(20, 0), "n_head 0"),
    "odd heads": (header(20, 3), "does not divide"),
    "no layers": (header(24, 0), "n_layer 0"),
    "a million layers": (header(24, 10**6), "n_layer 1000000"),
    "one layer too many": (header(24, 3), "9 of 30 are missing"),
    "one layer too few": (header(24, 1), "layers.1.attention.wq"),
    "type 99": (header(32, 99), "ftype 99"),
    "version 4": (header(4, 4), "version 4"),
    "dims overflow": (
        GOOD[: HEAD + 12] + struct.pack("<II", 2**31, 2**31) + GOOD[HEAD + 20 :],
        "2147483648 x 2147483648",
    ),
    "dims 0": (GOOD[: HEAD + 12] + bytes(8) + GOOD[HEAD + 20 :], "0 x 0"),
    "n_dims 0": (header(HEAD, 0), "0 dimensions"),
    "n_dims 5": (header(HEAD, 5), "5 dimensions"),
    "long name": (header(HEAD + 4, 4095), "name of 4095 bytes"),
    "type 4": (header(HEAD + 8, 4), "Q4_2, which llama.cpp gave up"),
    "type 9": (header(HEAD + 8, 9), "intermediate"),
    "type 2^31": (header(HEAD + 8, 2**31), "the type 2147483648"),
    "no UTF-8": (changed(b"tok_embeddings", b"tok_\xff\xfebeddings"), "has the name"),
    "NUL": (changed(b"tok_embeddings", b"tok\0embeddings"), "has the name"),
    "another model": (changed(b"tok_embeddings", b"../../../../et"), "another kind"),
    "other letter case": (changed(b"layers.0.attention.wq", b"layers.0.attention.WQ"), "WQ"),
    "w1 missing": (changed(b"0.feed_forward.w1", b"0.feed_forward.w3"), "twice"),
    "norm twice": (twice(), "norm.weight twice"),
    "NaN score": (changed(struct.pack("<f", -5.0), b"\0\0\xc0\x7f"), "the score of token 264"),
    "long token": (header(36, 4096), "4096 bytes"),
    "token twice": (changed(b" w260", b" w261"), "the tokens 260 and 261"),
    "no byte tokens": (changed(b"\x01\0\0\0A", b"\x01\0\0\0B"), "1 of the 256 bytes"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_one_sentence_and_no_file(name: str, convert: Convert, tmp_path: Path) -> None:
    data, words = DAMAGED[name]
    with pytest.raises(ModelFileError) as caught:
        convert(data)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["old.bin"]


def test_a_few_zeros_may_follow(convert: Convert) -> None:
    assert weights_of(convert(GOOD + bytes(5))[0])
    assert weights_of(convert(GOOD + bytes(31))[0])


def test_types_before_their_version(convert: Convert) -> None:
    with pytest.raises(ModelFileError, match="Q4_K, which came only with version 3"):
        convert(of_kind("Q4_K", version=2))


def test_a_contradicted_option(convert: Convert) -> None:
    with pytest.raises(ModelFileError, match="--n-gqa 8 contradicts its tensors, which have 1"):
        convert(Model(), LegacyOptions(n_gqa=8))


def test_a_part_of_several(convert: Convert) -> None:
    data = Model("ggml", 1).to_bytes()
    half = struct.pack("<5I", 2, 21, 1, 32, 288) + b"tok_embeddings.weight"
    start = data.index(struct.pack("<5I", 2, 21, 1, 64, 288))
    rest = start + 41 + 64 * 288 * 2
    with pytest.raises(ModelFileError, match="one of 2 parts of a model"):
        convert(data[:start] + half + bytes(64 * 288) + data[rest:])


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), 65_505.0, -1e30])
def test_scales_that_half_precision_cannot_hold(
    scale: float, convert: Convert, tmp_path: Path
) -> None:
    data = bytearray(Model(kind="Q4_0", version=2).to_bytes())
    data[2816:2820] = struct.pack("<f", scale)
    with pytest.raises(ModelFileError, match=r"in the tensor tok_embeddings.weight, a scale is"):
        convert(bytes(data))
    assert [path.name for path in tmp_path.iterdir()] == ["old.bin"]


def test_tiny_scales_are_counted(convert: Convert) -> None:
    data = bytearray(Model(kind="Q4_0", version=2).to_bytes())
    data[2816:2820] = struct.pack("<f", 1e-7)
    assert convert(bytes(data))[1][-1].startswith("1 scales were too small")


def test_the_file_itself_is_no_target(tmp_path: Path) -> None:
    path = tmp_path / "m.bin"
    path.write_bytes(GOOD)
    with pytest.raises(ModelFileError, match="is the file that is to be converted"):
        convert_model(path, path, NO_OPTIONS, lambda _done, _total: None)
    assert path.read_bytes() == GOOD


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelFileError, match="not a regular file"):
        convert_model(tmp_path / "pipe", tmp_path / "o.gguf", NO_OPTIONS, lambda _d, _t: None)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(GOOD)
    with pytest.raises(ModelFileError, match="cannot be read or written"):
        target = tmp_path / "none" / "o.gguf"
        convert_model(tmp_path / "m.bin", target, NO_OPTIONS, lambda _d, _t: None)


def test_too_little_room(convert: Convert, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(model_module.shutil, "disk_usage", lambda _folder: usage)
    with pytest.raises(ModelFileError, match="needs 0 MB in .*, where 0 MB are free"):
        convert(Model())


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_file_is_refused_or_valid(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(TEXT.to_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1) | st.integers(0, 35))
        new = data.draw(st.binary(min_size=1, max_size=4))
        kept = data.draw(st.sampled_from([0, len(new)]))
        content[at : at + kept] = new
    del content[data.draw(st.integers(36, len(content)) | st.just(len(content))) :]
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "m.bin").write_bytes(content)
    try:
        convert_model(folder / "m.bin", folder / "m.gguf", NO_OPTIONS, lambda _d, _t: None)
    except ModelFileError as error:
        assert not (folder / "m.gguf").exists() and "\n" not in str(error)
    else:
        check_model_file(folder / "m.gguf")


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    model = Model(kind="Q4_0", version=1, n_embd=2048, n_head=16, n_mult=256, n_layer=6)
    (tmp_path / "m.bin").write_bytes(model.to_bytes())
    program = (
        "import sys, pathlib, cria.legacy as l\n"
        "l.convert_model(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), l.LegacyOptions(),"
        " lambda *_: None)\n"
        # Not ru_maxrss, which a child has from its parent.
        "print(pathlib.Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    words = [sys.executable, "-c", program, str(tmp_path / "m.bin"), str(tmp_path / "m.gguf")]
    peak = int(subprocess.run(words, check=True, capture_output=True).stdout)
    assert (tmp_path / "m.bin").stat().st_size > 160_000_000
    assert peak < 150_000


def test_versions_agree_byte_for_byte(convert: Convert) -> None:
    files = [convert(Model(kind="Q4_0", version=version))[0].read_bytes() for version in (2, 3)]
    assert len(files[0]) == len(files[1])
    assert replace(Model(), version=2) != Model()
