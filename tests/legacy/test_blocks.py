"""Old blocks and new ones, against known bytes and the library gguf."""

from __future__ import annotations

import gguf
import numpy as np
import pytest

from cria.legacy.blocks import narrowed, parted, stored_type
from cria.model_file.reader import BadFile
from tests.legacy.ggml_files import TYPES, pack

ONE = [np.ones(1, "f4")]


def test_known_nibbles() -> None:
    q = (np.arange(32, dtype=np.uint8) % 16)[None]
    old, new = (pack("Q4_0", ONE, q, version) for version in (1, 3))
    assert old.hex() == "0000803f" + "1032547698badcfe" * 2
    assert new.hex() == "003c" + "".join(f"{i:x}{i:x}" for i in range(16))
    blocks = np.frombuffer(old, np.uint8)[None, 4:]
    assert parted(blocks).tobytes() == new[2:]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"])
def test_a_ramp_keeps_its_values(kind: str, version: int) -> None:
    bits = int(kind[1])
    ramp = np.arange(32, dtype=np.uint8) % (1 << min(bits, 5))
    scales = [np.float32([0.3]), np.float32([-1.7])][: 2 if kind.endswith("_1") else 1]
    q = (ramp.view(np.int8) if kind == "Q8_0" else ramp)[None]
    rule = stored_type(TYPES[kind], version)
    old = np.frombuffer(pack(kind, scales, q, version), np.uint8)[None]
    new = old if rule.recoding is None else rule.recoding.apply(old)[0]
    shift = (1 << (bits - 1)) if kind in ("Q4_0", "Q5_0") else 0
    wanted = scales[0] * (ramp.astype("f4") - shift) + (scales[1] if len(scales) > 1 else 0)
    found = gguf.quants.dequantize(new, gguf.GGMLQuantizationType(TYPES[kind]))[0]
    assert np.allclose(found, wanted, rtol=2.0**-10, atol=2.0**-8)
    assert new.tobytes() == pack(kind, scales, q, 3)


def test_scales_are_rounded_once() -> None:
    values = np.float32([[0.1, 65504.0], [1e-7, 0.0]])
    halves, num_tiny = narrowed(values.view(np.uint8))
    assert halves.tobytes() == values.astype("<f2").tobytes() and num_tiny == 1


@pytest.mark.parametrize(
    ("number", "version", "words"),
    [
        (4, 1, "Q4_2, which llama.cpp gave up"),
        (5, 1, "quantise the original model again"),
        (9, 3, "intermediate"),
        (15, 3, "intermediate"),
        (12, 2, "only with version 3"),
        (30, 3, "no llama file has"),
    ],
)
def test_refused_types(number: int, version: int, words: str) -> None:
    with pytest.raises(BadFile, match=words):
        stored_type(number, version)


def test_what_is_copied() -> None:
    assert all(stored_type(number, 3).recoding is None for number in (0, 1, 2, 3, 6, 7, 8, 12))
    assert stored_type(6, 2).recoding is None
    sizes = [stored_type(TYPES[kind], 1).block_bytes for kind in TYPES]
    assert sizes == [4, 2, 20, 24, 22, 24, 36]
