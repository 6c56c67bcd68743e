"""A random BERT of two layers in Hugging Face's layout, and what it should compute."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

WIDTH, FEED_FORWARD, HEADS, LAYERS, CONTEXT = 32, 64, 4, 2, 64
WORDS = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *"abcdefghijklmnopqrstuvwxyz",
    *(f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"),
    *("hello", "world", "##ing", "red", "four"),
]
CONFIG = {
    "model_type": "bert",
    "hidden_size": WIDTH,
    "intermediate_size": FEED_FORWARD,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "max_position_embeddings": CONTEXT,
    "vocab_size": len(WORDS) + 2,
    "type_vocab_size": 2,
}
DTYPES = {np.dtype("f4"): "F32", np.dtype("f2"): "F16", np.dtype("f8"): "F64"}


def write_model(
    folder: Path, *, classes: int = 0, pooling: str = "mean", **config: Any
) -> dict[str, Array]:
    """Write the files; with classes, a reranker. Returns the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = make_weights(classes)
    write_safetensors(folder / "model.safetensors", tensors)
    (folder / "config.json").write_text(json.dumps({**CONFIG, **config}))
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    modules = [{"type": "x.Transformer", "path": ""}, {"type": "x.Pooling", "path": "1_Pooling"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    mode = {"mean": "mean_tokens", "cls": "cls_token", "last": "lasttoken"}[pooling]
    settings = json.dumps({f"pooling_mode_{mode}": True})
    (folder / "1_Pooling" / "config.json").write_text(settings)
    return tensors


def make_weights(classes: int) -> dict[str, Array]:
    rng = np.random.default_rng(7)
    prefix = "bert." if classes else ""

    def matrix(rows: int, columns: int) -> Array:
        # Exact in half precision, so that the conversion loses nothing.
        return rng.normal(0, 0.3, (rows, columns)).astype(np.float16).astype(np.float32)

    def vector(size: int, centre: float = 0.0) -> Array:
        return rng.normal(centre, 0.1, size).astype(np.float32)

    shapes = {
        "embeddings.word_embeddings.weight": (CONFIG["vocab_size"], WIDTH),
        "embeddings.position_embeddings.weight": (CONTEXT, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
    }
    tensors = {name: matrix(*shape) for name, shape in shapes.items()}  # type: ignore[arg-type]
    norms = ["embeddings.LayerNorm"]
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        for part in ("attention.self.query", "attention.self.key", "attention.self.value"):
            tensors[f"{name}.{part}.weight"] = matrix(WIDTH, WIDTH)
            tensors[f"{name}.{part}.bias"] = vector(WIDTH)
        for part, rows, columns in (
            ("attention.output.dense", WIDTH, WIDTH),
            ("intermediate.dense", FEED_FORWARD, WIDTH),
            ("output.dense", WIDTH, FEED_FORWARD),
        ):
            tensors[f"{name}.{part}.weight"] = matrix(rows, columns)
            tensors[f"{name}.{part}.bias"] = vector(rows)
        norms += [f"{name}.attention.output.LayerNorm", f"{name}.output.LayerNorm"]
    for name in norms:
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = vector(WIDTH, 1.0), vector(WIDTH)
    tensors = {prefix + name: tensor for name, tensor in tensors.items()}
    if classes:
        tensors["bert.pooler.dense.weight"] = matrix(WIDTH, WIDTH)
        tensors["bert.pooler.dense.bias"] = vector(WIDTH)
        tensors["classifier.weight"] = matrix(classes, WIDTH)
        tensors["classifier.bias"] = vector(classes)
    return tensors


def write_safetensors(path: Path, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, tensor in tensors.items():
        end = offset + tensor.nbytes
        dtype = DTYPES[tensor.dtype]
        header[name] = {"dtype": dtype, "shape": tensor.shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    data = b"".join(tensor.tobytes() for tensor in tensors.values())
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def token_vectors(tensors: Mapping[str, Array], token_ids: list[int]) -> Array:
    """What BERT computes, in plain numpy: [token, WIDTH]."""
    prefix = "bert." if "bert.embeddings.word_embeddings.weight" in tensors else ""

    def get(name: str) -> Array:
        return tensors[prefix + name]

    def linear(x: Array, name: str) -> Array:
        product: Array = x @ get(f"{name}.weight").T + get(f"{name}.bias")
        return product

    def norm(x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        result: Array = scaled * get(f"{name}.weight") + get(f"{name}.bias")
        return result

    x = get("embeddings.word_embeddings.weight")[token_ids]
    x = x + get("embeddings.position_embeddings.weight")[: len(token_ids)]
    x = norm(x + get("embeddings.token_type_embeddings.weight")[0], "embeddings.LayerNorm")
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        q, k, v = (
            linear(x, f"{name}.attention.self.{part}").reshape(len(x), HEADS, -1).swapaxes(0, 1)
            for part in ("query", "key", "value")
        )
        scores = q @ k.swapaxes(1, 2) / math.sqrt(WIDTH // HEADS)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        seen = (weights / weights.sum(-1, keepdims=True) @ v).swapaxes(0, 1).reshape(len(x), -1)
        attended = linear(seen, f"{name}.attention.output.dense")
        x = norm(x + attended, f"{name}.attention.output.LayerNorm")
        inner = linear(x, f"{name}.intermediate.dense")
        inner = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
        x = norm(x + linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")
    return x


def score(tensors: Mapping[str, Array], token_ids: list[int]) -> Array:
    """Of a reranker, [classes]."""
    first = token_vectors(tensors, token_ids)[0]
    pooled = np.tanh(
        tensors["bert.pooler.dense.weight"] @ first + tensors["bert.pooler.dense.bias"]
    )
    result: Array = tensors["classifier.weight"] @ pooled + tensors["classifier.bias"]
    return result
