"""Llama models as they were written before GGUF, and the same ones as the library gguf writes them.

One seed gives equal weights in all formats.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

MAGICS = {"ggml": 0x67676D6C, "ggmf": 0x67676D66, "ggjt": 0x67676A74}
TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q5_0": 6, "Q5_1": 7, "Q8_0": 8}
K_TYPES = {"Q2_K": 10, "Q3_K": 11, "Q4_K": 12, "Q5_K": 13, "Q6_K": 14}
FILE_TYPES = {0: 0, 1: 1, 2: 2, 3: 3, 6: 8, 7: 9, 8: 7, 10: 10, 11: 12, 12: 15, 13: 17, 14: 18}
K_BYTES = {10: 84, 11: 110, 12: 144, 13: 176, 14: 210}
K_SCALES = {10: (80, 82), 11: (108,), 12: (0, 2), 13: (0, 2), 14: (208,)}
"""Where a block has its numbers of half precision."""


@dataclass(frozen=True)
class Model:
    form: str = "ggjt"
    version: int = 3
    kind: str = "F16"
    n_vocab: int = 288
    n_embd: int = 64
    n_mult: int = 32
    n_head: int = 4
    n_head_kv: int = 4
    n_layer: int = 2
    seed: int = 0

    @property
    def number(self) -> int:
        return {**TYPES, **K_TYPES}[self.kind]

    @property
    def n_ff(self) -> int:
        return -(-(8 * self.n_embd // 3) // self.n_mult) * self.n_mult

    @property
    def head(self) -> bytes:
        data = struct.pack("<I", MAGICS[self.form])
        if self.form != "ggml":
            data += struct.pack("<I", self.version)
        sizes = self.n_vocab, self.n_embd, self.n_mult, self.n_head, self.n_layer
        return data + struct.pack(
            "<7I", *sizes, self.n_embd // self.n_head, FILE_TYPES[self.number]
        )

    @property
    def vocabulary(self) -> bytes:
        parts = []
        for token_id, text in enumerate(texts(self.n_vocab)):
            parts += [struct.pack("<I", len(text)), text]
            if self.form != "ggml":
                parts.append(struct.pack("<f", score(token_id)))
        return b"".join(parts)

    @property
    def aligned(self) -> bool:
        return self.form == "ggjt"

    def to_bytes(self) -> bytes:
        data = self.head + self.vocabulary
        for name, matrix in weights(self):
            number, content = stored(self, name, matrix)
            data += tensor(len(data), name, matrix.shape[::-1], number, content, self.aligned)
        return data


K_MODEL = Model(kind="Q4_K", n_embd=256, n_mult=256)


def of_kind(kind: str, **changes: Any) -> Model:
    return replace(K_MODEL if kind in K_TYPES else Model(), kind=kind, **changes)


def texts(count: int) -> list[bytes]:
    first = [" \u2047 ".encode(), b"", b"", *(bytes([byte]) for byte in range(256))]
    return [*first, *(b" w%d" % token_id for token_id in range(259, count))]


def score(token_id: int) -> float:
    return 0.0 if token_id < 259 else -float(token_id - 259)


def tensor(
    start: int, name: str, shape: tuple[int, ...], number: int, data: bytes, aligned: bool
) -> bytes:
    head = struct.pack(f"<3I{len(shape)}I", len(shape), len(name), number, *shape) + name.encode()
    return head + bytes(-(start + len(head)) % 32 if aligned else 0) + data


def weights(model: Model) -> list[tuple[str, Array]]:
    """In the order of the file, [rows, length of a row]."""
    random = np.random.default_rng(model.seed)
    keys = model.n_head_kv * (model.n_embd // model.n_head)
    e, ff = (model.n_embd,), model.n_ff
    shapes: list[tuple[str, tuple[int, ...]]] = [
        ("tok_embeddings", (model.n_vocab, *e)),
        ("norm", e),
        ("output", (model.n_vocab, *e)),
    ]
    for i in range(model.n_layer):
        layer = {
            "attention.wq": (*e, *e),
            "attention.wk": (keys, *e),
            "attention.wv": (keys, *e),
            "attention.wo": (*e, *e),
            "attention_norm": e,
            "feed_forward.w1": (ff, *e),
            "feed_forward.w2": (*e, ff),
            "feed_forward.w3": (ff, *e),
            "ffn_norm": e,
        }
        shapes += [(f"layers.{i}.{name}", shape) for name, shape in layer.items()]
    drawn = [(name, 0.05 * random.standard_normal(shape)) for name, shape in shapes]
    return [
        (name + ".weight", np.ones_like(x, "f4") if x.ndim == 1 else x.astype("f4"))
        for name, x in drawn
    ]


def stored(model: Model, name: str, matrix: Array, version: int | None = None) -> tuple[int, bytes]:
    """The type's number, and the bytes as a file of this version has them."""
    if matrix.ndim == 1:
        return 0, matrix.astype("<f4").tobytes()
    if model.kind in K_TYPES:
        return model.number, k_blocks(model.number, matrix)
    form_version = model.version if model.form == "ggjt" else 1
    return model.number, encode(model.kind, matrix, version or form_version)


def k_blocks(number: int, matrix: Array) -> bytes:
    """Random, but valid; every bit of a block's fields may be set."""
    random = np.random.default_rng(number)
    blocks = random.integers(0, 256, (matrix.size // 256, K_BYTES[number]), dtype=np.uint8)
    scale = np.frombuffer(np.float16(2e-4).tobytes(), np.uint8)
    for at in K_SCALES[number]:
        blocks[:, at : at + 2] = scale
    return blocks.tobytes()


def encode(kind: str, matrix: Array, version: int) -> bytes:
    if kind in ("F32", "F16"):
        return matrix.astype("<f4" if kind == "F32" else "<f2").tobytes()
    scales, q = quantise(kind, matrix.reshape(-1, 32))
    return pack(kind, scales, q, version)


def quantise(kind: str, x: Array) -> tuple[list[Array], Array]:
    """Scales of single precision, and the values of the blocks."""
    if kind == "Q8_0":
        d = np.abs(x).max(1) / np.float32(127)
        return [d], np.rint(x * inverse(d)).astype(np.int8)
    bits = int(kind[1])
    if kind.endswith("_0"):
        half = 1 << (bits - 1)
        d = x[np.arange(len(x)), np.abs(x).argmax(1)] / np.float32(-half)
        return [d], np.clip(np.floor(x * inverse(d) + half + 0.5), 0, 2 * half - 1).astype(np.uint8)
    low = x.min(1)
    d = (x.max(1) - low) / np.float32((1 << bits) - 1)
    q = np.floor((x - low[:, None]) * inverse(d) + 0.5)
    return [d, low], np.clip(q, 0, (1 << bits) - 1).astype(np.uint8)


def inverse(d: Array) -> Array:
    return np.divide(1, d, out=np.zeros_like(d), where=d != 0)[:, None]


def pack(kind: str, scales: list[Array], q: Array, version: int) -> bytes:
    wide = version < 3 and not kind.startswith("Q5")
    parts = [s.astype("<f4" if wide else "<f2")[:, None].view(np.uint8) for s in scales]
    if kind.startswith("Q5"):
        parts.append(np.packbits(q >> 4, axis=1, bitorder="little"))
    if kind == "Q8_0":
        parts.append(q.view(np.uint8))
    else:
        low, high = (q[:, ::2], q[:, 1::2]) if version < 2 else (q[:, :16], q[:, 16:])
        parts.append((low & 15) | ((high & 15) << 4))
    return np.concatenate(parts, axis=1).tobytes()


def write_reference(model: Model, path: Path, eps: float = 1e-5, context: int = 4096) -> None:
    """The same model by the library gguf."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(context)
    writer.add_embedding_length(model.n_embd)
    writer.add_block_count(model.n_layer)
    writer.add_feed_forward_length(model.n_ff)
    writer.add_rope_dimension_count(model.n_embd // model.n_head)
    writer.add_head_count(model.n_head)
    writer.add_head_count_kv(model.n_head_kv)
    writer.add_layer_norm_rms_eps(eps)
    writer.add_file_type(FILE_TYPES[model.number])
    writer.add_quantization_version(2)
    _add_vocabulary(writer, model.n_vocab)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, model.n_layer)
    for name, matrix in weights(model):
        number, data = stored(model, name, matrix, version=3)
        new = names.get_name(name, (".weight",))
        raw = np.frombuffer(data, np.uint8).reshape(*matrix.shape[:-1], -1)
        writer.add_tensor(new, raw, raw_dtype=gguf.GGMLQuantizationType(number))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_vocabulary(writer: Any, count: int) -> None:
    words = [f"\u2581w{i}" for i in range(259, count)]
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(
        ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *words]
    )
    writer.add_token_scores([score(i) for i in range(count)])
    writer.add_token_types([2, 3, 3, *[6] * 256, *[1] * len(words)])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)


def adapter(tensors: list[tuple[str, Array]], rank: int = 4, alpha: int = 8) -> bytes:
    """A `ggla` file; arrays are as the file has them, rows of `rank` values."""
    data = struct.pack("<4sIIi", b"algg", 1, rank, alpha)
    for name, matrix in tensors:
        number = 1 if matrix.dtype == np.float16 else 0
        shape = matrix.shape[::-1]
        data += tensor(len(data), name, shape, number, matrix.tobytes(), aligned=True)
    return data
