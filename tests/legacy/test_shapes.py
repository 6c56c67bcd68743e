"""What follows from the shapes, and which tensor is named when they contradict each other."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from cria.legacy.blocks import stored_type
from cria.legacy.hparams import Hparams
from cria.legacy.shapes import Derived, derive, shape_of
from cria.legacy.tensors import Stored, names_of
from cria.model_file.reader import BadFile

HPARAMS = Hparams(vocabulary_size=300, width=64, num_heads=4, num_layers=2, file_type=1)
USUAL = Derived(4, 192)
KEY = "blk.0.attn_k.weight"


def tensors(derived: Derived = USUAL) -> dict[str, Stored]:
    """All of a model, as derived."""
    found = {}
    for old, new in names_of(HPARAMS.num_layers).items():
        if new is not None:
            shape = shape_of(new, HPARAMS, derived)
            kind = stored_type(1 if len(shape) == 2 else 0, 3)
            found[new] = Stored(old, shape, kind, 0, math.prod(shape) * kind.block_bytes)
    return found


@pytest.mark.parametrize("derived", [Derived(4, 192), Derived(2, 32), Derived(1, 176)])
def test_heads_of_keys_and_the_width_of_the_middle(derived: Derived) -> None:
    assert derive(HPARAMS, tensors(derived)) == derived


def test_known_shapes() -> None:
    told = {new: shape_of(new, HPARAMS, Derived(2, 192)) for new in tensors()}
    assert told["token_embd.weight"] == told["output.weight"] == (64, 300)
    assert told["blk.1.attn_q.weight"] == told["blk.1.attn_output.weight"] == (64, 64)
    assert told["blk.1.attn_v.weight"] == (64, 32)
    assert told["blk.0.ffn_down.weight"] == (192, 64)
    assert told["blk.0.ffn_norm.weight"] == told["output_norm.weight"] == (64,)


@pytest.mark.parametrize("rows", [0, 8, 48, 128])
def test_rows_that_are_no_heads(rows: int) -> None:
    found = tensors()
    found[KEY] = replace(found[KEY], shape=(64, rows))
    with pytest.raises(BadFile, match=f"layers.0.attention.wk.weight has {rows} rows"):
        derive(HPARAMS, found)


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("blk.1.attn_k.weight", (64, 32), "wk.weight is 64 x 32 and should be 64 x 64; .* 2 parts"),
        ("blk.1.ffn_up.weight", (64, 48), "64 x 48 and should be 64 x 192; .* one of 4 parts"),
        ("blk.1.ffn_up.weight", (64, 190), "64 x 190 and should be 64 x 192$"),
        ("output_norm.weight", (64, 1), "norm.weight is 64 x 1 and should be 64$"),
    ],
)
def test_a_shape_that_cannot_be(name: str, shape: tuple[int, ...], words: str) -> None:
    found = tensors()
    found[name] = replace(found[name], shape=shape)
    with pytest.raises(BadFile, match=words):
        derive(HPARAMS, found)


def test_norms_are_single_precision() -> None:
    found = tensors()
    found["blk.0.ffn_norm.weight"] = replace(found["blk.0.ffn_norm.weight"], type=stored_type(1, 3))
    with pytest.raises(BadFile, match="is F16; norms have to be F32"):
        derive(HPARAMS, found)
