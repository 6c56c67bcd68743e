"""A model's file from before GGUF to a GGUF file.

1. Everything but the weights is read and checked before anything is written.
2. Weights go through one buffer of a megabyte, whatever the file's size.
3. The rows of queries and keys keep their order: it is the one that llama.cpp has.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from cria.drafts import drafted
from cria.errors import ModelFileError
from cria.legacy import gguf_file
from cria.legacy.assumed import DEFAULT_BASE, Assumed, LegacyOptions, assume, check_options
from cria.legacy.formats import Format
from cria.legacy.gguf_file import Pair, Planned, f32, f32s, i32s, string, strings, u32
from cria.legacy.hparams import Hparams, read_format, read_hparams
from cria.legacy.shapes import Derived, derive
from cria.legacy.source import BLOCK_BYTES, Source
from cria.legacy.tensors import Stored, read_tensors
from cria.legacy.vocabulary import Vocabulary, read_vocabulary
from cria.model_file.check import check_regular
from cria.model_file.reader import BadFile

Progress = Callable[[int, int], None]

FILE_TYPES = {0: 0, 1: 1, 2: 2, 3: 3, 6: 8, 7: 9, 8: 7, 10: 10, 11: 12, 12: 15, 13: 17, 14: 18}
"""By the type of most weights."""
MIXED_Q4_1 = 4
TYPES_OF_FILES = {**{v: k for k, v in FILE_TYPES.items()}, 4: 3, 11: 11, 13: 11, 14: 12, 16: 13}
FIRST_QUANTISED = 2
QUANTISATION_VERSION = 2


@dataclass(frozen=True)
class LegacyModel:
    """All of a file but the weights, checked."""

    format: Format
    hparams: Hparams
    vocabulary: Vocabulary
    tensors: dict[str, Stored]
    """By their names of today, in the file's order."""
    derived: Derived
    assumed: Assumed

    @property
    def planned(self) -> list[Planned]:
        return [
            Planned(name, each.shape, each.type.number, each.num_bytes_today)
            for name, each in self.tensors.items()
        ]

    @property
    def main_type(self) -> int:
        """Of most bytes."""
        sizes: Counter[int] = Counter()
        for tensor in self.tensors.values():
            sizes[tensor.type.number] += tensor.num_bytes
        return sizes.most_common(1)[0][0]

    @property
    def has_told_type(self) -> bool:
        told = TYPES_OF_FILES.get(self.hparams.file_type)
        return any(tensor.type.number == told for tensor in self.tensors.values())

    @property
    def file_type(self) -> int:
        if not self.has_told_type:
            return FILE_TYPES[self.main_type]
        told = self.hparams.file_type
        return 3 if told == MIXED_Q4_1 else told


def convert_model(
    source: Path, target: Path, options: LegacyOptions, report: Progress
) -> list[str]:
    """Write the GGUF file `target`; sentences about what was assumed, and what is not as it was.

    ModelFileError says what is wrong with `source`, or with the place for `target`, which appears
    under its name only when it is whole. `report` is told bytes of weights, done and in all.
    """
    check_options(options)
    with opened(source, target) as file:
        model = read_model(file, options)
        check_space(model, target.parent)
        notes = notes_on(model)
        with drafted(target) as draft:
            num_tiny = write_model(file, model, draft, source.name, report)
    if num_tiny:
        notes.append(f"{num_tiny} scales were too small to be kept with all of their bits.")
    return notes


@contextmanager
def opened(source: Path, target: Path) -> Iterator[BinaryIO]:
    """The source to read from; whatever is wrong with a file becomes a ModelFileError."""
    check_regular(source)
    try:
        if target.exists() and target.samefile(source):
            raise ModelFileError(f"{target} is the file that is to be converted.")
        with source.open("rb") as file:
            yield file
    except BadFile as error:
        raise ModelFileError(f"{source} cannot be converted: {error}.") from error
    except OSError as error:
        name = error.filename or target
        raise ModelFileError(f"{name} cannot be read or written: {error.strerror}.") from error


def read_model(file: BinaryIO, options: LegacyOptions) -> LegacyModel:
    """BadFile says what is wrong; nothing of it depends on the weights."""
    source = Source(file)
    form = read_format(source)
    hparams = read_hparams(source)
    vocabulary = read_vocabulary(source, form, hparams.vocabulary_size)
    tensors = read_tensors(source, form, hparams.num_layers)
    derived = derive(hparams, tensors)
    assumed = assume(form, hparams, derived, options)
    return LegacyModel(form, hparams, vocabulary, tensors, derived, assumed)


def check_space(model: LegacyModel, folder: Path) -> None:
    needed = gguf_file.num_data_bytes(model.planned) + 2 * sum(map(len, model.vocabulary.texts))
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ModelFileError(
            f"The converted model needs {needed // 10**6} MB in {folder}, "
            f"where {free // 10**6} MB are free."
        )


def notes_on(model: LegacyModel) -> list[str]:
    """What an operator should know."""
    notes = [
        f"{model.assumed.sentence()}; "
        "--trained-context, --rms-eps and --rope-freq-base say otherwise."
    ]
    if not model.vocabulary.has_scores:
        notes.append(
            "Its vocabulary has no scores: tokens are merged in the order of their ids, which is "
            "right for LLaMA's own vocabulary."
        )
    if not model.has_told_type:
        notes.append(
            f"Its header tells another type (ftype {model.hparams.file_type}) than its tensors."
        )
    return notes


def metadata(model: LegacyModel, name: str) -> list[Pair]:
    """The keys of the GGUF file."""
    hparams, derived, assumed = model.hparams, model.derived, model.assumed
    pairs = [
        ("general.architecture", string("llama")),
        ("general.name", string(printable(name))),
        ("general.description", string(f"made of {model.format.name}. {assumed.sentence()}")),
        ("general.file_type", u32(model.file_type)),
        ("llama.context_length", u32(assumed.context)),
        ("llama.embedding_length", u32(hparams.width)),
        ("llama.block_count", u32(hparams.num_layers)),
        ("llama.feed_forward_length", u32(derived.feed_forward)),
        ("llama.rope.dimension_count", u32(hparams.head_width)),
        ("llama.attention.head_count", u32(hparams.num_heads)),
        ("llama.attention.head_count_kv", u32(derived.num_key_heads)),
        ("llama.attention.layer_norm_rms_epsilon", f32(assumed.rms_eps)),
    ]
    if any(tensor.type.number >= FIRST_QUANTISED for tensor in model.tensors.values()):
        pairs.append(("general.quantization_version", u32(QUANTISATION_VERSION)))
    if assumed.rope_freq_base != DEFAULT_BASE:
        pairs.append(("llama.rope.freq_base", f32(assumed.rope_freq_base)))
    return pairs + vocabulary_metadata(model.vocabulary)


def vocabulary_metadata(vocabulary: Vocabulary) -> list[Pair]:
    return [
        ("tokenizer.ggml.model", string("llama")),
        ("tokenizer.ggml.pre", string("default")),
        ("tokenizer.ggml.tokens", strings(vocabulary.texts)),
        ("tokenizer.ggml.scores", f32s(vocabulary.scores)),
        ("tokenizer.ggml.token_type", i32s(vocabulary.types)),
        ("tokenizer.ggml.unknown_token_id", u32(0)),
        ("tokenizer.ggml.bos_token_id", u32(1)),
        ("tokenizer.ggml.eos_token_id", u32(2)),
    ]


def printable(name: str) -> str:
    """A file may be called anything."""
    return name.encode("utf-8", "replace").decode()


def write_model(
    file: BinaryIO, model: LegacyModel, target: Path, name: str, report: Progress
) -> int:
    """How many scales were too small; the structure has been checked, the scales are now."""
    planned = model.planned
    total, done, num_tiny = sum(each.num_bytes for each in model.tensors.values()), 0, 0
    with target.open("wb") as sink:
        sink.write(gguf_file.head(metadata(model, name), planned))
        for tensor, plan in zip(model.tensors.values(), planned, strict=True):
            try:
                for num_bytes, tiny in write_tensor(file, tensor, sink):
                    done, num_tiny = done + num_bytes, num_tiny + tiny
                    report(done, total)
            except BadFile as error:
                raise BadFile(f"in the tensor {tensor.name}, {error}") from None
            sink.write(gguf_file.padding(plan.num_bytes))
    return num_tiny


def write_tensor(file: BinaryIO, tensor: Stored, sink: BinaryIO) -> Iterator[tuple[int, int]]:
    """After each piece: its bytes in the old file, and how many scales were too small."""
    source = Source(file)
    source.seek(tensor.start)
    block_bytes, recoding = tensor.type.block_bytes, tensor.type.recoding
    buffer = np.empty(BLOCK_BYTES // block_bytes * block_bytes, dtype=np.uint8)
    left = tensor.num_bytes
    while left:
        piece = buffer[: min(left, len(buffer))]
        if source.read_into(piece.data) < len(piece):
            raise BadFile("the file has become shorter while it was read")
        num_tiny = 0
        if recoding is None:
            sink.write(piece.data)
        else:
            blocks, num_tiny = recoding.apply(piece.reshape(-1, block_bytes))
            sink.write(np.ascontiguousarray(blocks).data)
        left -= len(piece)
        yield len(piece), num_tiny
