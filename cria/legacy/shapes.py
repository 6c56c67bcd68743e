"""What the header does not say follows from the shapes; and all shapes have to agree with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cria.legacy.hparams import Hparams
from cria.legacy.tensors import Stored
from cria.model_file.reader import BadFile

F32 = 0


@dataclass(frozen=True)
class Derived:
    num_key_heads: int
    """Heads of keys and values; fewer than of queries in grouped attention."""
    feed_forward: int


def derive(hparams: Hparams, tensors: Mapping[str, Stored]) -> Derived:
    """BadFile names the first tensor whose shape or type cannot be."""
    key_rows = _rows(tensors["blk.0.attn_k.weight"])
    heads, rest = divmod(key_rows, hparams.head_width)
    if rest or not heads or hparams.num_heads % heads:
        raise BadFile(
            f"the tensor {tensors['blk.0.attn_k.weight'].name} has {key_rows} rows, which are no "
            f"heads of {hparams.head_width} for {hparams.num_heads} heads of queries"
        )
    derived = Derived(heads, _rows(tensors["blk.0.ffn_gate.weight"]))
    for name, tensor in tensors.items():
        _check(name, tensor, hparams, derived)
    return derived


def _rows(tensor: Stored) -> int:
    return tensor.shape[1] if len(tensor.shape) == 2 else 0


def _check(name: str, tensor: Stored, hparams: Hparams, derived: Derived) -> None:
    shape = shape_of(name, hparams, derived)
    if tensor.shape != shape:
        raise BadFile(
            f"the tensor {tensor.name} is {_shown(tensor.shape)} and should be {_shown(shape)}"
            + _hint(tensor.shape, shape)
        )
    if len(shape) == 1 and tensor.type.number != F32:
        raise BadFile(f"the tensor {tensor.name} is {tensor.type.today.name}; norms have to be F32")


def shape_of(name: str, hparams: Hparams, derived: Derived) -> tuple[int, ...]:
    """By today's name of a tensor."""
    width, key_width = hparams.width, derived.num_key_heads * hparams.head_width
    part = name.split(".")[-2]
    shapes = {
        "token_embd": (width, hparams.vocabulary_size),
        "output": (width, hparams.vocabulary_size),
        "attn_q": (width, width),
        "attn_k": (width, key_width),
        "attn_v": (width, key_width),
        "attn_output": (width, width),
        "ffn_gate": (width, derived.feed_forward),
        "ffn_down": (derived.feed_forward, width),
        "ffn_up": (width, derived.feed_forward),
    }
    return shapes.get(part, (width,))


def _shown(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _hint(found: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Old models came in several files, each with a part of every matrix."""
    if len(found) != len(wanted):
        return ""
    parts = {want // have for have, want in zip(found, wanted, strict=True) if want % have == 0}
    if len(parts) == 2 and parts - {1} <= {2, 4, 8}:
        count = max(parts)
        return (
            f"; it is one of {count} parts of a model, which cannot be joined here: use a file "
            "that has the whole model"
        )
    return ""
