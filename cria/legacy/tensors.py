"""Where the tensors of a file are, and what their names are today.

There is no count and no end mark: a file ends behind its last tensor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cria.legacy.blocks import StoredType, stored_type
from cria.legacy.formats import ALIGNMENT, Format
from cria.legacy.source import Source
from cria.model_file.reader import BadFile

MAX_NAME_BYTES = 63
MAX_ROW = 2**31 - 1

TOP = {
    "tok_embeddings.weight": "token_embd.weight",
    "norm.weight": "output_norm.weight",
    "output.weight": "output.weight",
}
LAYER = {
    "attention.wq.weight": "attn_q.weight",
    "attention.wk.weight": "attn_k.weight",
    "attention.wv.weight": "attn_v.weight",
    "attention.wo.weight": "attn_output.weight",
    "attention_norm.weight": "attn_norm.weight",
    "feed_forward.w1.weight": "ffn_gate.weight",
    "feed_forward.w2.weight": "ffn_down.weight",
    "feed_forward.w3.weight": "ffn_up.weight",
    "ffn_norm.weight": "ffn_norm.weight",
}
FREQUENCIES = "rope.freqs"
LAYER_FREQUENCIES = "attention.inner_attention.rope.freqs"
"""In very old files: llama.cpp computes them."""


@dataclass(frozen=True)
class Stored:
    """A tensor in the file; `shape` has the length of a row first."""

    name: str
    shape: tuple[int, ...]
    type: StoredType
    start: int
    """Of its data, in bytes from the beginning of the file."""
    num_bytes: int

    @property
    def num_bytes_today(self) -> int:
        today = self.type.today
        return math.prod(self.shape) // today.block_length * today.block_bytes


def names_of(num_layers: int) -> dict[str, str | None]:
    """Every name that a file may have, and today's; None for what is left out."""
    layers = range(num_layers)
    names: dict[str, str | None] = dict(TOP)
    names |= {f"layers.{i}.{old}": f"blk.{i}.{new}" for i in layers for old, new in LAYER.items()}
    names[FREQUENCIES] = None
    names |= {f"layers.{i}.{LAYER_FREQUENCIES}": None for i in layers}
    return names


def read_tensors(source: Source, form: Format, num_layers: int) -> dict[str, Stored]:
    """By today's names; all of them are there, and within the file."""
    names = names_of(num_layers)
    wanted = {new for new in names.values() if new is not None}
    found: dict[str, Stored] = {}
    seen: set[str] = set()
    while source.num_left and not (len(found) == len(wanted) and _is_padding(source)):
        tensor = read_tensor(source, form, len(seen))
        if tensor.name not in names:
            raise BadFile(
                f"it has a tensor {tensor.name!a}, which no llama model with {num_layers} layers "
                "has; it may be the file of another kind of model"
            )
        if tensor.name in seen:
            raise BadFile(f"it has the tensor {tensor.name} twice")
        seen.add(tensor.name)
        new = names[tensor.name]
        if new is not None:
            found[new] = tensor
    if len(found) < len(wanted):
        missing = next(old for old, new in names.items() if new is not None and new not in found)
        raise BadFile(
            f"it is truncated at offset {source.num_bytes} in the tensors: "
            f"{len(wanted) - len(found)} of {len(wanted)} are missing, such as {missing}"
        )
    return found


def _is_padding(source: Source) -> bool:
    """Whether nothing but a few zeros follows."""
    if source.num_left >= ALIGNMENT:
        return False
    position = source.position
    rest = source.take(source.num_left, "the end")
    source.seek(position)
    return not any(rest)


def read_tensor(source: Source, form: Format, number: int) -> Stored:
    """The next one, without its data, which is skipped; `number` is for the sentences."""
    section = f"the head of tensor {number + 1}"
    offset = source.position
    num_dimensions, name_bytes, kind = source.numbers("3I", section)
    if num_dimensions not in (1, 2) or not 0 < name_bytes <= MAX_NAME_BYTES:
        raise BadFile(
            f"tensor {number + 1} at offset {offset} has {num_dimensions} dimensions and a name of "
            f"{name_bytes} bytes, which no tensor of a llama file has"
        )
    shape = source.numbers(f"{num_dimensions}I", section)
    raw_name = source.take(name_bytes, section)
    if not (raw_name.isascii() and raw_name.decode("ascii").isprintable()):
        raise BadFile(f"tensor {number + 1} at offset {offset} has the name {ascii(raw_name)[1:]}")
    name = raw_name.decode("ascii")
    return _placed(source, form, (name, shape, kind), offset)


def _placed(
    source: Source, form: Format, head: tuple[str, tuple[int, ...], int], offset: int
) -> Stored:
    name, shape, kind = head
    try:
        stored = stored_type(kind, form.version)
    except BadFile as error:
        raise BadFile(
            f"the tensor {name} at offset {offset} of this {form.name} has {error}"
        ) from None
    block_length = stored.today.block_length
    if not all(0 < size <= MAX_ROW for size in shape) or shape[0] % block_length:
        raise BadFile(
            f"the tensor {name} at offset {offset} is {' x '.join(map(str, shape))}; "
            f"rows of {stored.today.name} have a multiple of {block_length} values"
        )
    section = f"the data of {name}"
    if form.is_aligned:
        source.skip_padding(section)
    num_bytes = math.prod(shape) // block_length * stored.block_bytes
    start = source.position
    source.skip(num_bytes, section)
    return Stored(name, shape, stored, start, num_bytes)
