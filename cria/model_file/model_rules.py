"""What the numbers of a header have to be, so that llama.cpp can compute with them.

Most of these end the process when they are wrong: `GGML_ASSERT` in `llama-model.cpp`, or an
unsupported operation at the first decode.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from cria.model_file.header import Header, TensorInfo, shown
from cria.model_file.reader import BadFile
from cria.model_file.tensor_types import NO_WEIGHTS
from cria.model_file.values import Numbers, Value
from cria.model_file.vocabulary_rules import VOCABULARY_RULES

MAX_LAYERS = 512  # LLAMA_MAX_LAYERS
MAX_EXPERTS = 1024  # LLAMA_MAX_EXPERTS is lower or equal
MAX_CONTEXT = 2**31 - 1
MAYBE_ONE_EXPERT = ("hunyuan-dense", "hunyuan_vl")
"""llama.cpp reads one expert as none."""
ROPE_SCALINGS = ("none", "linear", "yarn", "longrope")
NO_MODELS = {
    "adapter": "an adapter",
    "mmproj": "a projector of images",
    "imatrix": "statistics for quantising",
}
"""By `general.type`."""

Rule = Callable[[Header], None]


def check_rules(header: Header) -> None:
    """BadFile names the key or the tensor, and its value."""
    rules = [*_ANY, *(_MODEL if header.tensors else ())]
    for rule in rules:
        rule(header)


def _check_architecture(header: Header) -> None:
    if not header.architecture:
        raise BadFile("it does not say which architecture it has (general.architecture)")


def _check_kind(header: Header) -> None:
    kind = header.metadata.get("general.type")
    if isinstance(kind, str) and kind in NO_MODELS:
        raise BadFile(f"it holds {NO_MODELS[kind]}; give the model that it belongs to")


def _check_layers(header: Header) -> None:
    count = header.of_model("block_count")
    if count is not None:
        _check_range(header, "block_count", count, 1, MAX_LAYERS)


def _check_context(header: Header) -> None:
    length = header.of_model("context_length")
    if length is not None:
        _check_range(header, "context_length", length, 1, MAX_CONTEXT)


def _check_epsilons(header: Header) -> None:
    for name in ("layer_norm_rms_epsilon", "layer_norm_epsilon"):
        epsilon = header.of_model("attention." + name)
        if epsilon is not None and not _is_number(epsilon, 0, 1):
            raise _wrong(header, "attention." + name, epsilon, "has to be between 0 and 1")


def _check_predicting_layers(header: Header) -> None:
    """They are counted among all layers."""
    layers, count = header.of_model("block_count"), header.of_model("nextn_predict_layers")
    if isinstance(layers, int) and count is not None:
        _check_range(header, "nextn_predict_layers", count, 0, layers)


def _check_experts(header: Header) -> None:
    count, used = header.of_model("expert_count"), header.of_model("expert_used_count")
    if count is not None:
        _check_range(header, "expert_count", count, 0, MAX_EXPERTS)
    if header.architecture in MAYBE_ONE_EXPERT:
        return
    total = count if isinstance(count, int) else 0
    if used is not None:
        _check_range(header, "expert_used_count", used, 0, total)
    if total and not any(_numbers(used)):
        raise _wrong(header, "expert_used_count", used, f"has to be between 1 and {total}")
    _check_groups(header, total)


def _check_groups(header: Header, num_experts: int) -> None:
    groups, used = header.of_model("expert_group_count"), header.of_model("expert_group_used_count")
    if groups is None:
        return
    _check_range(header, "expert_group_count", groups, 0, max(num_experts - 1, 0))
    if not isinstance(groups, int) or groups < 2:
        return
    if num_experts % groups:
        raise _wrong(header, "expert_group_count", groups, f"has to divide {num_experts}")
    _check_range(header, "expert_group_used_count", used, 1, groups - 1)


def _check_widths(header: Header) -> None:
    """One for each layer may be 0: some layers have no attention."""
    for name in ("embedding_length", "attention.head_count"):
        value = header.of_model(name)
        if isinstance(value, int):
            _check_range(header, name, value, 1, MAX_CONTEXT)


def _check_rope(header: Header) -> None:
    kind = header.of_model("rope.scaling.type")
    if isinstance(kind, str) and kind not in ROPE_SCALINGS:
        known = ", ".join(ROPE_SCALINGS)
        raise _wrong(header, "rope.scaling.type", kind or "empty", f"has to be one of {known}")
    for name in ("rope.freq_base", "rope.scaling.factor", "rope.scale_linear"):
        value = header.of_model(name)
        if value is not None and not (_is_number(value, 0, math.inf) and value):
            raise _wrong(header, name, value, "has to be greater than 0")


def _check_types(header: Header) -> None:
    for tensor in header.tensors:
        if tensor.type.name in NO_WEIGHTS and _is_weight(tensor):
            raise BadFile(
                f"the tensor {tensor.name} has the type {tensor.type.name}, "
                "which no weights can have"
            )
        if tensor.type.name != "F32" and _is_norm(tensor):
            raise BadFile(
                f"the tensor {tensor.name} has the type {tensor.type.name}; norms have to be F32"
            )


def _is_weight(tensor: TensorInfo) -> bool:
    """Routing tables are numbers of experts."""
    return tensor.name.endswith(".weight") and "tid2eid" not in tensor.name


def _is_norm(tensor: TensorInfo) -> bool:
    return "norm." in tensor.name and tensor.num_values == tensor.shape[0]


def _check_range(header: Header, name: str, value: Value | None, least: int, most: int) -> None:
    """Of one number, or of one for each layer."""
    for each in _numbers(value):
        if not _is_number(each, least, most):
            raise _wrong(header, name, each, f"has to be between {least} and {most}")


def _numbers(value: Value | None) -> Iterator[object]:
    if isinstance(value, Numbers):
        yield from value.values()
    else:
        yield value


def _is_number(value: object, least: float, most: float) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and least <= value <= most  # type: ignore[operator]


def _wrong(header: Header, name: str, value: object, what: str) -> BadFile:
    return BadFile(f"{header.architecture}.{name} is {shown(value)}; it {what}")


_ANY: tuple[Rule, ...] = (
    _check_architecture,
    _check_kind,
    *VOCABULARY_RULES,
)
_MODEL: tuple[Rule, ...] = (
    _check_layers,
    _check_context,
    _check_epsilons,
    _check_predicting_layers,
    _check_experts,
    _check_widths,
    _check_rope,
    _check_types,
)
