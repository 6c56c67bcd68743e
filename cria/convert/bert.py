"""A BERT model of Hugging Face's layout to a GGUF file.

1. Embedding models of the kind `BertModel`, and rerankers of the kind
   `BertForSequenceClassification`, whose pooler and classifier become llama.cpp's classification
   head.
2. Matrices become half precision; positions, token types, norms and biases stay as they are.
3. What llama.cpp computes otherwise than the model was trained is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from cria.convert.safetensors import Array, TensorFile
from cria.convert.source import WEIGHTS
from cria.convert.wordpiece import WordPieces
from cria.errors import ModelFileError

Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]

EMBEDDINGS = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types",
    "embeddings.LayerNorm": "token_embd_norm",
}
LAYER = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
HEAD = {"pooler.dense": "cls", "classifier": "cls.output"}
FULL_PRECISION = ("position_embd.weight", "token_types.weight")


class BertConfig(msgspec.Struct, frozen=True):
    """The part of `config.json` that counts."""

    model_type: str
    hidden_size: Count
    intermediate_size: Count
    num_hidden_layers: Count
    num_attention_heads: Count
    max_position_embeddings: Count
    vocab_size: Count
    type_vocab_size: Count = 2
    layer_norm_eps: float = 1e-12
    hidden_act: str = "gelu"
    position_embedding_type: str = "absolute"
    id2label: dict[str, str] = {}

    def check(self) -> None:
        """ModelFileError if llama.cpp would compute something else."""
        known = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
        for name, value in known.items():
            if getattr(self, name) != value:
                raise ModelFileError(
                    f"The model's {name} is {getattr(self, name)}, and only {value} is known."
                )
        if self.hidden_size % self.num_attention_heads:
            raise ModelFileError("The model's size is no multiple of its number of heads.")


class _TokenizerConfig(msgspec.Struct, frozen=True):
    do_lower_case: bool = True
    strip_accents: bool | None = None


class _Module(msgspec.Struct, frozen=True):
    type: str
    path: str


class _Pooling(msgspec.Struct, frozen=True):
    pooling_mode_cls_token: bool = False
    pooling_mode_mean_tokens: bool = False
    pooling_mode_lasttoken: bool = False


def convert_bert(folder: Path, target: Path) -> None:
    """Write `target` from the model in `folder`; ModelFileError if it is not such a model."""
    config = _read_json(folder / "config.json", BertConfig)
    config.check()
    tensors = TensorFile(folder / WEIGHTS)
    names = _names(tensors.names, config.num_hidden_layers)
    words = WordPieces.load(folder / "vocab.txt", config.vocab_size)
    writer = _make_writer(target)
    _add_numbers(writer, config, folder)
    _add_pooling(writer, config, folder, is_reranker="cls.output.weight" in names.values())
    _add_vocabulary(writer, config, folder, words)
    for source, name in names.items():
        tensor = tensors.read(source)
        _check_shape(name, tensor, config)
        is_matrix = tensor.ndim == 2 and name not in FULL_PRECISION
        writer.add_tensor(name, tensor.astype(np.float16) if is_matrix else tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _names(found: list[str], num_layers: int) -> dict[str, str]:
    """The tensors to write: name in the file to name in GGUF."""
    layers = range(num_layers)
    parts = {
        **EMBEDDINGS,
        **{
            f"encoder.layer.{layer}.{old}": f"blk.{layer}.{new}"
            for layer in layers
            for old, new in LAYER.items()
        },
    }
    # Models with a head call what is below it `bert`.
    prefix = "bert." if any(name.startswith("bert.") for name in found) else ""
    names = {f"{prefix}{old}": new for old, new in parts.items()}
    if "classifier.weight" in found:
        names[f"{prefix}pooler.dense"] = HEAD["pooler.dense"]
        names["classifier"] = HEAD["classifier"]
    with_biases = {
        f"{old}.{kind}": f"{new}.{kind}"
        for old, new in names.items()
        for kind in ("weight", "bias")
        if kind == "weight" or not old.endswith("_embeddings")
    }
    return with_biases


def _check_shape(name: str, tensor: Array, config: BertConfig) -> None:
    """llama.cpp checks shapes too, but only when the file is loaded."""
    rows = {
        "token_embd.weight": config.vocab_size,
        "position_embd.weight": config.max_position_embeddings,
        "token_types.weight": config.type_vocab_size,
    }
    if name in rows and tensor.shape != (rows[name], config.hidden_size):
        raise ModelFileError(
            f"The tensor {name} has the shape {tensor.shape}, and config.json says "
            f"{(rows[name], config.hidden_size)}."
        )


def _make_writer(target: Path) -> Any:
    import gguf

    return gguf.GGUFWriter(target, "bert")


def _add_numbers(writer: Any, config: BertConfig, folder: Path) -> None:
    writer.add_name(folder.name)
    writer.add_file_type(1)  # mostly half precision
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_layer_norm_eps(config.layer_norm_eps)
    writer.add_causal_attention(False)
    writer.add_token_type_count(config.type_vocab_size)


def _add_pooling(writer: Any, config: BertConfig, folder: Path, *, is_reranker: bool) -> None:
    from gguf import PoolingType

    if is_reranker:
        writer.add_pooling_type(PoolingType.RANK)
        if len(config.id2label) > 1:
            writer.add_classifier_output_labels(list(config.id2label.values()))
    else:
        writer.add_pooling_type(PoolingType[_pooling(folder)])


def _pooling(folder: Path) -> str:
    """As sentence-transformers has it; without its files, the mean, which most models use."""
    if not (folder / "modules.json").exists():
        return "MEAN"
    for module in _read_json(folder / "modules.json", list[_Module]):
        if module.type.endswith(".Pooling"):
            pooling = _read_json(folder / module.path / "config.json", _Pooling)
            chosen = [
                pooling.pooling_mode_mean_tokens,
                pooling.pooling_mode_cls_token,
                pooling.pooling_mode_lasttoken,
            ]
            if sum(chosen) != 1:
                raise ModelFileError("The model pools in a way that llama.cpp does not know.")
            return ("MEAN", "CLS", "LAST")[chosen.index(True)]
    return "MEAN"


def _add_vocabulary(writer: Any, config: BertConfig, folder: Path, words: WordPieces) -> None:
    settings = _TokenizerConfig()
    if (folder / "tokenizer_config.json").exists():
        settings = _read_json(folder / "tokenizer_config.json", _TokenizerConfig)
    strips = settings.strip_accents
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(words.texts)
    writer.add_token_types(words.kinds)
    writer.add_bos_token_id(words.special_ids["cls"])
    for name, token_id in words.special_ids.items():
        writer.add_uint32(_SPECIAL_KEYS[name], token_id)
    writer.add_bool("tokenizer.ggml.normalizer.lowercase", settings.do_lower_case)
    writer.add_bool(
        "tokenizer.ggml.normalizer.strip_accents",
        settings.do_lower_case if strips is None else strips,
    )


_SPECIAL_KEYS = {
    "cls": "tokenizer.ggml.cls_token_id",
    "sep": "tokenizer.ggml.seperator_token_id",
    "unk": "tokenizer.ggml.unknown_token_id",
    "pad": "tokenizer.ggml.padding_token_id",
    "mask": "tokenizer.ggml.mask_token_id",
}
"""As llama.cpp spells them."""


def _read_json(path: Path, kind: Any) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        raise ModelFileError(f"{path.parent} has no {path.name}.") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ModelFileError(f"{path} is not what it should be: {error}.") from error
