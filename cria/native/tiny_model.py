"""Writes a random llama model of 460 kB: what the build's check and the tests decode with.

1. Standard library only, and nothing else of cria: build_native.py loads this file by its path,
   before anything is installed.
2. The same arguments give the same bytes, on every machine.
3. It has each weight type for which the CPU backend has kernels of its own, and widths that are
   multiples of 32: repacked, VNNI and AMX code runs, so a forbidden instruction shows in the check
   and not on a user's first request.
"""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ALIGNMENT = 32
WIDTH = 128
HEAD_WIDTH = 64
KV_WIDTH = 64  # one head of keys and values for two of queries: grouped attention is the usual case
FEED_FORWARD = 256
VOCABULARY = 512
F32, F16, Q4_0, Q8_0 = 0, 1, 2, 8  # enum ggml_type

NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6  # enum llama_token_type
SPECIAL = (("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL))
CHAT_MARKS = (("<|im_start|>", CONTROL), ("<|im_end|>", CONTROL))
# llama.cpp knows them by their names.
FIM_MARKS = tuple((f"<fim_{name}>", CONTROL) for name in ("prefix", "suffix", "middle", "pad"))
WORDS = "the and hello world you are cat dog llama one two what who is it of to in on at by"


@dataclass(frozen=True)
class Tensor:
    """`shape` is in ggml's order: the width of a row first."""

    name: str
    kind: int
    shape: tuple[int, ...]
    data: bytes


def write_tiny_model(
    path: Path,
    *,
    seed: int = 0,
    layers: int = 2,
    context_length: int = 2048,
    chat_template: str | Mapping[str, str] | None = None,
    fim: bool = False,
) -> None:
    """Write the GGUF file; the same `seed` and `layers` give the same weights.

    Several chat templates go by their names, the default one by an empty one. With `fim`, the
    vocabulary has the tokens for filling in the middle.
    """
    tensors = list(make_tensors(random.Random(seed), layers))
    tokens = make_vocabulary(FIM_MARKS if fim else ())
    metadata = b"".join(make_metadata(layers, context_length, chat_template, tokens))
    count = metadata_count(chat_template)
    with Path(path).open("wb") as file:
        head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), count) + metadata
        head += b"".join(tensor_headers(tensors))
        file.write(padded(head))
        file.writelines(padded(tensor.data) for tensor in tensors)


def write_tiny_vocab(path: Path) -> None:
    """Write a byte-pair vocabulary without weights.

    Its pre-tokenizer is one that llama.cpp runs with std::regex: a second C++ library in the
    process, linked statically into a toolchain's output, crashes there and nowhere else.
    """
    fields = list(make_vocab_metadata())
    with Path(path).open("wb") as file:
        file.write(padded(struct.pack("<4sIQQ", b"GGUF", 3, 0, len(fields)) + b"".join(fields)))


def make_vocab_metadata() -> Iterator[bytes]:
    tokens = [*byte_letters(), "he", "ll", "<|end|>"]
    texts = {
        "general.architecture": "llama",
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
    }
    for key, words in texts.items():
        yield text(key) + struct.pack("<I", 8) + text(words)
    for key in ("bos", "eos"):
        last = len(tokens) - 1
        yield text(f"tokenizer.ggml.{key}_token_id") + struct.pack("<II", 4, last)
    kinds = [NORMAL] * (len(tokens) - 1) + [CONTROL]
    yield array("tokenizer.ggml.tokens", 8, [text(piece) for piece in tokens])
    yield array("tokenizer.ggml.token_type", 5, [struct.pack("<i", kind) for kind in kinds])
    yield array("tokenizer.ggml.merges", 8, [text("h e"), text("l l")])


def byte_letters() -> Iterator[str]:
    """GPT-2's letter for each byte: itself if printable, else one from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    spare = iter(range(0x100, 0x200))
    for byte in range(256):
        yield chr(byte if byte in printable else next(spare))


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGNMENT)


# --- Weights ------------------------------------------------------------------------------------


def make_tensors(rng: random.Random, layers: int) -> Iterator[Tensor]:
    yield matrix(rng, "token_embd", F16, (WIDTH, VOCABULARY))
    for layer in range(layers):
        yield from make_layer(rng, f"blk.{layer}")
    yield norm("output_norm")
    yield matrix(rng, "output", Q8_0, (WIDTH, VOCABULARY))


def make_layer(rng: random.Random, name: str) -> Iterator[Tensor]:
    yield norm(f"{name}.attn_norm")
    yield matrix(rng, f"{name}.attn_q", Q4_0, (WIDTH, WIDTH))
    yield matrix(rng, f"{name}.attn_k", Q4_0, (WIDTH, KV_WIDTH))
    yield matrix(rng, f"{name}.attn_v", Q8_0, (WIDTH, KV_WIDTH))
    yield matrix(rng, f"{name}.attn_output", F16, (WIDTH, WIDTH))
    yield norm(f"{name}.ffn_norm")
    yield matrix(rng, f"{name}.ffn_gate", Q4_0, (WIDTH, FEED_FORWARD))
    yield matrix(rng, f"{name}.ffn_up", Q8_0, (WIDTH, FEED_FORWARD))
    yield matrix(rng, f"{name}.ffn_down", Q4_0, (FEED_FORWARD, WIDTH))


def norm(name: str) -> Tensor:
    return Tensor(f"{name}.weight", F32, (WIDTH,), struct.pack("<f", 1.0) * WIDTH)


def matrix(rng: random.Random, name: str, kind: int, shape: tuple[int, int]) -> Tensor:
    """Uniform weights, scaled so that a normalised input gives outputs of the same size."""
    encode = {F16: encode_f16, Q4_0: encode_q4_0, Q8_0: encode_q8_0}[kind]
    data = encode(rng, shape[0] * shape[1], math.sqrt(3 / shape[0]))
    return Tensor(f"{name}.weight", kind, shape, data)


def encode_f16(rng: random.Random, count: int, limit: float) -> bytes:
    values = [struct.pack("<e", limit * (step - 127.5) / 127.5) for step in range(256)]
    return b"".join(map(values.__getitem__, rng.randbytes(count)))


def encode_q4_0(rng: random.Random, count: int, limit: float) -> bytes:
    return encode_blocks(rng.randbytes(count // 2), 16, limit / 8)


def encode_q8_0(rng: random.Random, count: int, limit: float) -> bytes:
    return encode_blocks(rng.randbytes(count), 32, limit / 128)


def encode_blocks(quants: bytes, size: int, scale: float) -> bytes:
    """Blocks of 32 weights: a half-precision scale, then `size` bytes of quants."""
    head = struct.pack("<e", scale)
    return b"".join(head + quants[at : at + size] for at in range(0, len(quants), size))


def tensor_headers(tensors: Iterable[Tensor]) -> Iterator[bytes]:
    offset = 0
    for tensor in tensors:
        dimensions = struct.pack(f"<{len(tensor.shape)}Q", *tensor.shape)
        yield text(tensor.name) + struct.pack("<I", len(tensor.shape)) + dimensions
        yield struct.pack("<IQ", tensor.kind, offset)
        offset += len(padded(tensor.data))


# --- Metadata -----------------------------------------------------------------------------------


def make_metadata(
    layers: int,
    context_length: int,
    chat_template: str | Mapping[str, str] | None,
    tokens: Sequence[tuple[str, int]],
) -> Iterator[bytes]:
    for key, value in model_numbers(layers, context_length).items():
        yield text(key) + struct.pack("<II", 4, value)
    for key, number in (("attention.layer_norm_rms_epsilon", 1e-5), ("rope.freq_base", 1e4)):
        yield text(f"llama.{key}") + struct.pack("<If", 6, number)
    for key, words in model_texts(chat_template).items():
        yield text(key) + struct.pack("<I", 8) + text(words)
    yield text("tokenizer.ggml.add_bos_token") + struct.pack("<I?", 7, True)
    yield array("tokenizer.ggml.tokens", 8, [text(piece) for piece, _ in tokens])
    yield array("tokenizer.ggml.scores", 6, [struct.pack("<f", s) for s in make_scores(tokens)])
    yield array("tokenizer.ggml.token_type", 5, [struct.pack("<i", kind) for _, kind in tokens])


def metadata_count(chat_template: str | Mapping[str, str] | None) -> int:
    return len(model_numbers(1, 1)) + 2 + len(model_texts(chat_template)) + 4


def model_numbers(layers: int, context_length: int) -> dict[str, int]:
    return {
        "general.quantization_version": 2,
        "llama.context_length": context_length,
        "llama.embedding_length": WIDTH,
        "llama.block_count": layers,
        "llama.feed_forward_length": FEED_FORWARD,
        "llama.attention.head_count": WIDTH // HEAD_WIDTH,
        "llama.attention.head_count_kv": KV_WIDTH // HEAD_WIDTH,
        "llama.rope.dimension_count": HEAD_WIDTH,
        "llama.vocab_size": VOCABULARY,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    }


def model_texts(chat_template: str | Mapping[str, str] | None) -> dict[str, str]:
    if isinstance(chat_template, str):
        chat_template = {"": chat_template}
    texts = {
        "general.architecture": "llama",
        "general.name": "tiny random llama",
        "tokenizer.ggml.model": "llama",
    }
    for name, source in (chat_template or {}).items():
        texts["tokenizer.chat_template" + (f".{name}" if name else "")] = source
    return texts


def make_vocabulary(more_marks: Iterable[tuple[str, int]] = ()) -> list[tuple[str, int]]:
    """Special tokens, every byte, printable ASCII, some words with the steps that merge to them."""
    found = dict(SPECIAL)
    found.update((f"<0x{byte:02X}>", BYTE) for byte in range(256))
    found.update(CHAT_MARKS)
    found.update(more_marks)
    for piece in normal_pieces():
        found.setdefault(piece, NORMAL)
        if len(found) == VOCABULARY:
            break
    return list(found.items())


def normal_pieces() -> Iterator[str]:
    yield "\u2581"  # SentencePiece's space
    yield from map(chr, range(0x21, 0x7F))
    for word in WORDS.split():
        spaced = f"\u2581{word}"
        yield from (spaced[: end + 1] for end in range(1, len(spaced)))
    for consonant in "bcdfghjklmnprstvwz":
        yield from (consonant + vowel for vowel in "aeiouy")


def make_scores(tokens: Sequence[tuple[str, int]]) -> list[float]:
    """SentencePiece merges the pair of the highest score first: here the earlier piece."""
    return [-float(index) if kind == NORMAL else 0.0 for index, (_, kind) in enumerate(tokens)]


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def array(key: str, kind: int, items: Sequence[bytes]) -> bytes:
    return text(key) + struct.pack("<IIQ", 9, kind, len(items)) + b"".join(items)
