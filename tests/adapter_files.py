"""Adapters, control vectors and tiny models in full precision, written with gguf-py."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

Weights = dict[str, npt.NDArray[np.float32]]
RANK = 4
TARGETS = ("attn_q", "attn_v", "ffn_down")


def write_full_precision(source: Path, target: Path, changes: Weights | None = None) -> None:
    """The same model with all weights in 32 bits, and `changes` added to some."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, "llama")
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        kind = field.types[0]
        sub = field.types[-1] if kind is gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), kind, sub)
    for tensor in reader.tensors:
        data = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        writer.add_tensor(tensor.name, data + (changes or {}).get(tensor.name, np.float32(0)))
    _finish(writer)


def random_halves(source: Path, seed: int, strength: float = 0.3) -> Weights:
    """A and B, [rank, n_in] and [n_out, rank], by the names of an adapter's tensors."""
    rng = np.random.default_rng(seed)
    halves: Weights = {}
    for tensor in gguf.GGUFReader(source).tensors:
        if any(f".{target}." in tensor.name for target in TARGETS):
            n_in, n_out = map(int, tensor.shape[:2])
            a = rng.normal(0, strength / np.sqrt(n_in), (RANK, n_in))
            b = rng.normal(0, 1.0, (n_out, RANK))
            halves[f"{tensor.name}.lora_a"] = a.astype(np.float32)
            halves[f"{tensor.name}.lora_b"] = b.astype(np.float32)
    return halves


def merged(halves: Weights, scale: float) -> Weights:
    """What the halves add to the model's weights."""
    names = {name.removesuffix(".lora_a") for name in halves if name.endswith(".lora_a")}
    return {
        name: np.float32(scale) * (halves[f"{name}.lora_b"] @ halves[f"{name}.lora_a"])
        for name in names
    }


def write_adapter(path: Path, halves: Weights, alpha: float = RANK) -> Path:
    """With `alpha` as the rank, a scale of 1 is the product of the halves."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    for name, data in halves.items():
        writer.add_tensor(name, data)
    _finish(writer)
    return path


def write_control_vector(path: Path, directions: dict[int, npt.NDArray[np.float32]]) -> Path:
    writer = gguf.GGUFWriter(path, "controlvector")
    writer.add_string("controlvector.model_hint", "llama")
    for layer, direction in directions.items():
        writer.add_tensor(f"direction.{layer}", direction)
    _finish(writer)
    return path


def _finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
