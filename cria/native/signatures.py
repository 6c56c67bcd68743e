"""Every native function that Cria calls: its C prototype, and the ctypes types that mirror it.

`fails` names the results that mean failure; `library.py` turns those into a NativeError, so that
no caller can forget to look. Functions without it return plain values, or codes whose meaning
their caller knows.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import (
    POINTER,
    c_bool,
    c_char_p,
    c_float,
    c_int,
    c_int32,
    c_size_t,
    c_uint32,
    c_uint64,
    c_void_p,
)
from typing import Any, NamedTuple

from cria.native import structs

EXCEPTION = -(2**31) + 1
"""What a function of `cria_native` returns when it caught a C++ exception."""

CType = Any  # a ctypes type; ctypes has no public name for "any of these"


# Distinct types: handing a model to a function that wants a context fails in ctypes, not in C.
class ModelPointer(c_void_p):
    """struct llama_model *"""


class ContextPointer(c_void_p):
    """struct llama_context *"""


class VocabPointer(c_void_p):
    """const struct llama_vocab *"""


class MemoryPointer(c_void_p):
    """llama_memory_t"""


class SamplerPointer(c_void_p):
    """struct llama_sampler *"""


class DirectPointer(c_void_p):
    """struct DirectSampler * of cria_native"""


class AdapterPointer(c_void_p):
    """struct llama_adapter_lora *"""


class DevicePointer(c_void_p):
    """ggml_backend_dev_t"""


ProgressCallback = ctypes.CFUNCTYPE(c_bool, c_float, c_void_p)
"""typedef bool (*llama_progress_callback)(float progress, void * user_data);"""


def is_null(result: Any) -> bool:
    """A pointer that is NULL."""
    return not result


def is_nonzero(result: int) -> bool:
    """A code other than that of success."""
    return result != 0


def is_exception(result: int) -> bool:
    """The code for a C++ exception that cria_native caught."""
    return result == EXCEPTION


class Row(NamedTuple):
    """One function."""

    name: str
    result: CType
    arguments: tuple[CType, ...]
    fails: Callable[[Any], bool] | None = None


GGML: tuple[Row, ...] = (
    # size_t ggml_backend_dev_count(void);
    Row("ggml_backend_dev_count", c_size_t, ()),
    # ggml_backend_dev_t ggml_backend_dev_get(size_t index);
    Row("ggml_backend_dev_get", DevicePointer, (c_size_t,), is_null),
    # const char * ggml_backend_dev_name(ggml_backend_dev_t device);
    Row("ggml_backend_dev_name", c_char_p, (DevicePointer,)),
    # const char * ggml_backend_dev_description(ggml_backend_dev_t device);
    Row("ggml_backend_dev_description", c_char_p, (DevicePointer,)),
    # enum ggml_backend_dev_type ggml_backend_dev_type(ggml_backend_dev_t device);
    Row("ggml_backend_dev_type", c_int, (DevicePointer,)),
    # void ggml_backend_dev_memory(ggml_backend_dev_t device, size_t * free, size_t * total);
    Row(
        "ggml_backend_dev_memory",
        None,
        (DevicePointer, POINTER(c_size_t), POINTER(c_size_t)),
    ),
    # void ggml_backend_load_all_from_path(const char * dir_path);
    Row("ggml_backend_load_all_from_path", None, (c_char_p,)),
)

LLAMA: tuple[Row, ...] = (
    # const char * llama_version(void);
    Row("llama_version", c_char_p, ()),
    # void llama_backend_init(void);
    Row("llama_backend_init", None, ()),
    # size_t llama_max_devices(void);
    Row("llama_max_devices", c_size_t, ()),
    # struct llama_model_params llama_model_default_params(void);
    Row("llama_model_default_params", structs.llama_model_params, ()),
    # struct llama_context_params llama_context_default_params(void);
    Row("llama_context_default_params", structs.llama_context_params, ()),
    # struct llama_model_quantize_params llama_model_quantize_default_params(void);
    Row("llama_model_quantize_default_params", structs.llama_model_quantize_params, ()),
    # uint32_t llama_model_quantize(const char * fname_inp, const char * fname_out,
    #     const llama_model_quantize_params * params);
    Row(
        "llama_model_quantize",
        c_uint32,
        (c_char_p, c_char_p, POINTER(structs.llama_model_quantize_params)),
    ),
    # struct llama_sampler_chain_params llama_sampler_chain_default_params(void);
    Row("llama_sampler_chain_default_params", structs.llama_sampler_chain_params, ()),
    # --- model
    # struct llama_model * llama_model_load_from_file(const char * path_model,
    #     struct llama_model_params params);
    Row("llama_model_load_from_file", ModelPointer, (c_char_p, structs.llama_model_params)),
    # void llama_model_free(struct llama_model * model);
    Row("llama_model_free", None, (ModelPointer,)),
    # const struct llama_vocab * llama_model_get_vocab(const struct llama_model * model);
    Row("llama_model_get_vocab", VocabPointer, (ModelPointer,), is_null),
    # uint64_t llama_model_size(const struct llama_model * model);
    Row("llama_model_size", c_uint64, (ModelPointer,)),
    # uint64_t llama_model_n_params(const struct llama_model * model);
    Row("llama_model_n_params", c_uint64, (ModelPointer,)),
    # bool llama_model_has_decoder(const struct llama_model * model);
    Row("llama_model_has_decoder", c_bool, (ModelPointer,)),
    # bool llama_model_has_encoder(const struct llama_model * model);
    Row("llama_model_has_encoder", c_bool, (ModelPointer,)),
    # int32_t llama_model_n_embd_out(const struct llama_model * model);
    Row("llama_model_n_embd_out", c_int32, (ModelPointer,)),
    # uint32_t llama_model_n_cls_out(const struct llama_model * model);
    Row("llama_model_n_cls_out", c_uint32, (ModelPointer,)),
    # int32_t llama_model_n_swa(const struct llama_model * model);
    Row("llama_model_n_swa", c_int32, (ModelPointer,)),
    # bool llama_model_is_recurrent(const struct llama_model * model);
    Row("llama_model_is_recurrent", c_bool, (ModelPointer,)),
    # bool llama_model_is_hybrid(const struct llama_model * model);
    Row("llama_model_is_hybrid", c_bool, (ModelPointer,)),
    # const char * llama_model_chat_template(const struct llama_model * model, const char * name);
    Row("llama_model_chat_template", c_char_p, (ModelPointer, c_char_p)),
    # int32_t llama_model_meta_val_str(const struct llama_model * model, const char * key,
    #     char * buf, size_t buf_size);
    Row("llama_model_meta_val_str", c_int32, (ModelPointer, c_char_p, c_char_p, c_size_t)),
    # --- adapters
    # struct llama_adapter_lora * llama_adapter_lora_init(struct llama_model * model,
    #     const char * path_lora);
    Row("llama_adapter_lora_init", AdapterPointer, (ModelPointer, c_char_p)),
    # void llama_adapter_lora_free(struct llama_adapter_lora * adapter);
    Row("llama_adapter_lora_free", None, (AdapterPointer,)),
    # int32_t llama_set_adapters_lora(struct llama_context * ctx,
    #     struct llama_adapter_lora ** adapters, size_t n_adapters, float * scales);
    Row(
        "llama_set_adapters_lora",
        c_int32,
        (ContextPointer, POINTER(AdapterPointer), c_size_t, POINTER(c_float)),
        is_nonzero,
    ),
    # int32_t llama_set_adapter_cvec(struct llama_context * ctx, const float * data, size_t len,
    #     int32_t n_embd, int32_t il_start, int32_t il_end);
    Row(
        "llama_set_adapter_cvec",
        c_int32,
        (ContextPointer, c_void_p, c_size_t, c_int32, c_int32, c_int32),
        is_nonzero,
    ),
    # --- vocabulary
    # int32_t llama_vocab_n_tokens(const struct llama_vocab * vocab);
    Row("llama_vocab_n_tokens", c_int32, (VocabPointer,)),
    # llama_token llama_vocab_bos(const struct llama_vocab * vocab);
    Row("llama_vocab_bos", c_int32, (VocabPointer,)),
    # llama_token llama_vocab_eos(const struct llama_vocab * vocab);
    Row("llama_vocab_eos", c_int32, (VocabPointer,)),
    # llama_token llama_vocab_pad(const struct llama_vocab * vocab);
    Row("llama_vocab_pad", c_int32, (VocabPointer,)),
    # llama_token llama_vocab_sep(const struct llama_vocab * vocab);
    Row("llama_vocab_sep", c_int32, (VocabPointer,)),
    # bool llama_vocab_get_add_bos(const struct llama_vocab * vocab);
    Row("llama_vocab_get_add_bos", c_bool, (VocabPointer,)),
    # bool llama_vocab_get_add_eos(const struct llama_vocab * vocab);
    Row("llama_vocab_get_add_eos", c_bool, (VocabPointer,)),
    # bool llama_vocab_get_add_sep(const struct llama_vocab * vocab);
    Row("llama_vocab_get_add_sep", c_bool, (VocabPointer,)),
    # bool llama_vocab_is_eog(const struct llama_vocab * vocab, llama_token token);
    Row("llama_vocab_is_eog", c_bool, (VocabPointer, c_int32)),
    # llama_token llama_vocab_fim_pre(const struct llama_vocab * vocab);
    Row("llama_vocab_fim_pre", c_int32, (VocabPointer,)),
    # llama_token llama_vocab_fim_suf(const struct llama_vocab * vocab);
    Row("llama_vocab_fim_suf", c_int32, (VocabPointer,)),
    # llama_token llama_vocab_fim_mid(const struct llama_vocab * vocab);
    Row("llama_vocab_fim_mid", c_int32, (VocabPointer,)),
    # --- context
    # struct llama_context * llama_init_from_model(struct llama_model * model,
    #     struct llama_context_params params);
    Row("llama_init_from_model", ContextPointer, (ModelPointer, structs.llama_context_params)),
    # void llama_free(struct llama_context * ctx);
    Row("llama_free", None, (ContextPointer,)),
    # uint32_t llama_n_ctx(const struct llama_context * ctx);
    Row("llama_n_ctx", c_uint32, (ContextPointer,)),
    # uint32_t llama_n_batch(const struct llama_context * ctx);
    Row("llama_n_batch", c_uint32, (ContextPointer,)),
    # uint32_t llama_n_seq_max(const struct llama_context * ctx);
    Row("llama_n_seq_max", c_uint32, (ContextPointer,)),
    # enum llama_pooling_type llama_pooling_type(const struct llama_context * ctx);
    Row("llama_pooling_type", c_int, (ContextPointer,)),
    # bool llama_get_causal_attn(const struct llama_context * ctx);
    Row("llama_get_causal_attn", c_bool, (ContextPointer,)),
    # float * llama_get_embeddings(struct llama_context * ctx);
    Row("llama_get_embeddings", c_void_p, (ContextPointer,), is_null),
    # float * llama_get_embeddings_seq(struct llama_context * ctx, llama_seq_id seq_id);
    Row("llama_get_embeddings_seq", c_void_p, (ContextPointer, c_int32), is_null),
    # float * llama_get_logits(struct llama_context * ctx);
    Row("llama_get_logits", c_void_p, (ContextPointer,), is_null),
    # float * llama_get_logits_ith(struct llama_context * ctx, int32_t i);
    Row("llama_get_logits_ith", POINTER(c_float), (ContextPointer, c_int32), is_null),
    # llama_memory_t llama_get_memory(const struct llama_context * ctx);
    Row("llama_get_memory", MemoryPointer, (ContextPointer,)),
    # void llama_memory_clear(llama_memory_t mem, bool data);
    Row("llama_memory_clear", None, (MemoryPointer, c_bool)),
    # bool llama_memory_seq_rm(llama_memory_t mem, llama_seq_id seq_id, llama_pos p0,
    #     llama_pos p1);
    Row("llama_memory_seq_rm", c_bool, (MemoryPointer, c_int32, c_int32, c_int32)),
    # void llama_memory_seq_cp(llama_memory_t mem, llama_seq_id seq_id_src,
    #     llama_seq_id seq_id_dst, llama_pos p0, llama_pos p1);
    Row("llama_memory_seq_cp", None, (MemoryPointer, c_int32, c_int32, c_int32, c_int32)),
    # llama_pos llama_memory_seq_pos_max(llama_memory_t mem, llama_seq_id seq_id);
    Row("llama_memory_seq_pos_max", c_int32, (MemoryPointer, c_int32)),
    # --- samplers
    # struct llama_sampler * llama_sampler_chain_init(struct llama_sampler_chain_params params);
    Row(
        "llama_sampler_chain_init",
        SamplerPointer,
        (structs.llama_sampler_chain_params,),
        is_null,
    ),
    # void llama_sampler_chain_add(struct llama_sampler * chain, struct llama_sampler * smpl);
    Row("llama_sampler_chain_add", None, (SamplerPointer, SamplerPointer)),
    # void llama_sampler_accept(struct llama_sampler * smpl, llama_token token);
    Row("llama_sampler_accept", None, (SamplerPointer, c_int32)),
    # void llama_sampler_apply(struct llama_sampler * smpl, llama_token_data_array * cur_p);
    Row(
        "llama_sampler_apply",
        None,
        (SamplerPointer, POINTER(structs.llama_token_data_array)),
    ),
    # void llama_sampler_free(struct llama_sampler * smpl);
    Row("llama_sampler_free", None, (SamplerPointer,)),
    # struct llama_sampler * llama_sampler_init_greedy(void);
    Row("llama_sampler_init_greedy", SamplerPointer, (), is_null),
    # struct llama_sampler * llama_sampler_init_dist(uint32_t seed);
    Row("llama_sampler_init_dist", SamplerPointer, (c_uint32,), is_null),
    # struct llama_sampler * llama_sampler_init_top_k(int32_t k);
    Row("llama_sampler_init_top_k", SamplerPointer, (c_int32,), is_null),
    # struct llama_sampler * llama_sampler_init_top_p(float p, size_t min_keep);
    Row("llama_sampler_init_top_p", SamplerPointer, (c_float, c_size_t), is_null),
    # struct llama_sampler * llama_sampler_init_min_p(float p, size_t min_keep);
    Row("llama_sampler_init_min_p", SamplerPointer, (c_float, c_size_t), is_null),
    # struct llama_sampler * llama_sampler_init_temp(float t);
    Row("llama_sampler_init_temp", SamplerPointer, (c_float,), is_null),
    # struct llama_sampler * llama_sampler_clone(const struct llama_sampler * smpl);
    Row("llama_sampler_clone", SamplerPointer, (SamplerPointer,), is_null),
    # struct llama_sampler * llama_sampler_init_typical(float p, size_t min_keep);
    Row("llama_sampler_init_typical", SamplerPointer, (c_float, c_size_t), is_null),
    # struct llama_sampler * llama_sampler_init_top_n_sigma(float n);
    Row("llama_sampler_init_top_n_sigma", SamplerPointer, (c_float,), is_null),
    # struct llama_sampler * llama_sampler_init_xtc(float p, float t, size_t min_keep,
    #     uint32_t seed);
    Row("llama_sampler_init_xtc", SamplerPointer, (c_float, c_float, c_size_t, c_uint32), is_null),
    # struct llama_sampler * llama_sampler_init_temp_ext(float t, float delta, float exponent);
    Row("llama_sampler_init_temp_ext", SamplerPointer, (c_float, c_float, c_float), is_null),
    # struct llama_sampler * llama_sampler_init_mirostat(int32_t n_vocab, uint32_t seed, float tau,
    #     float eta, int32_t m);
    Row(
        "llama_sampler_init_mirostat",
        SamplerPointer,
        (c_int32, c_uint32, c_float, c_float, c_int32),
        is_null,
    ),
    # struct llama_sampler * llama_sampler_init_mirostat_v2(uint32_t seed, float tau, float eta);
    Row("llama_sampler_init_mirostat_v2", SamplerPointer, (c_uint32, c_float, c_float), is_null),
    # struct llama_sampler * llama_sampler_init_adaptive_p(float target, float decay,
    #     uint32_t seed);
    Row("llama_sampler_init_adaptive_p", SamplerPointer, (c_float, c_float, c_uint32), is_null),
    # struct llama_sampler * llama_sampler_init_penalties(int32_t n_vocab, int32_t penalty_last_n,
    #     float penalty_repeat, float penalty_freq, float penalty_present);
    Row(
        "llama_sampler_init_penalties",
        SamplerPointer,
        (c_int32, c_int32, c_float, c_float, c_float),
        is_null,
    ),
    # struct llama_sampler * llama_sampler_init_logit_bias(int32_t n_vocab, int32_t n_logit_bias,
    #     const llama_logit_bias * logit_bias);
    Row(
        "llama_sampler_init_logit_bias",
        SamplerPointer,
        (c_int32, c_int32, POINTER(structs.llama_logit_bias)),
        is_null,
    ),
)

# Defined in native/cria_native.cpp, where each is explained.
CRIA: tuple[Row, ...] = (
    # int32_t cria_log_start(int32_t min_level);
    Row("cria_log_start", c_int32, (c_int32,), is_exception),
    # int32_t cria_log_next(char * text, size_t capacity);
    Row("cria_log_next", c_int32, (c_char_p, c_size_t)),
    # const char * cria_last_error(void);
    Row("cria_last_error", c_char_p, ()),
    # void * cria_llama_identity(void);
    Row("cria_llama_identity", c_void_p, ()),
    # int32_t cria_decode(llama_context * ctx, const llama_batch * batch, int32_t n_vocab,
    #                     int32_t n_seq, int32_t n_pos, int32_t n_outputs);
    Row(
        "cria_decode",
        c_int32,
        (ContextPointer, POINTER(structs.llama_batch), c_int32, c_int32, c_int32, c_int32),
        is_exception,
    ),
    # int32_t cria_synchronize(llama_context * ctx);
    Row("cria_synchronize", c_int32, (ContextPointer,), is_exception),
    # int32_t cria_count_progress(llama_context * ctx, uint64_t * counter);
    Row("cria_count_progress", c_int32, (ContextPointer, c_void_p), is_exception),
    # int32_t cria_token_to_piece(const llama_vocab * vocab, llama_token token, char * piece,
    #     int32_t capacity, int32_t lstrip, bool special);
    Row(
        "cria_token_to_piece",
        c_int32,
        (VocabPointer, c_int32, c_char_p, c_int32, c_int32, c_bool),
        is_exception,
    ),
    # int32_t cria_tokenize(const llama_vocab * vocab, const char * text, int32_t length,
    #     llama_token * tokens, int32_t capacity, bool add_special, bool parse_special);
    Row(
        "cria_tokenize",
        c_int32,
        (VocabPointer, c_char_p, c_int32, c_void_p, c_int32, c_bool, c_bool),
        is_exception,
    ),
    # int32_t cria_sampling_threads(int32_t size);
    Row("cria_sampling_threads", c_int32, (c_int32,), is_exception),
    # void * cria_direct_init(float temperature, int32_t top_k, float top_p, float min_p,
    #     uint32_t seed, const llama_logit_bias * biases, int32_t n_biases);
    Row(
        "cria_direct_init",
        DirectPointer,
        (c_float, c_int32, c_float, c_float, c_uint32, POINTER(structs.llama_logit_bias), c_int32),
        is_null,
    ),
    # int32_t cria_direct_penalise(void * sampler, float repeat, float presence, float frequency,
    #     int32_t last_n, const llama_token * recent, int32_t n_recent);
    Row(
        "cria_direct_penalise",
        c_int32,
        (DirectPointer, c_float, c_float, c_float, c_int32, c_void_p, c_int32),
        is_exception,
    ),
    # void cria_direct_free(void * sampler);
    Row("cria_direct_free", None, (DirectPointer,)),
    # int32_t cria_score_rows(const float * logits, int32_t n_rows, int32_t n_vocab,
    #     const llama_token * targets, int32_t n_top, void * logprobs);
    Row(
        "cria_score_rows",
        c_int32,
        (c_void_p, c_int32, c_int32, c_void_p, c_int32, c_void_p),
        is_exception,
    ),
    # int32_t cria_sample_rows(float * logits, int32_t n_rows, int32_t n_vocab, const void * table,
    #     int32_t n_slots, const int32_t * slots, llama_token * tokens, void * logprobs);
    Row(
        "cria_sample_rows",
        c_int32,
        (c_void_p, c_int32, c_int32, c_void_p, c_int32, c_void_p, c_void_p, c_void_p),
        is_exception,
    ),
    # int32_t cria_propose_again(const float * row, int32_t n_vocab, const void * slot,
    #     const uint32_t * allowed, void * logprobs);
    Row(
        "cria_propose_again",
        c_int32,
        (c_void_p, c_int32, c_void_p, c_void_p, c_void_p),
        is_exception,
    ),
    # int32_t cria_accept_rows(const void * table, int32_t n_slots, const int32_t * slots,
    #     const llama_token * tokens, int32_t n);
    Row(
        "cria_accept_rows",
        c_int32,
        (c_void_p, c_int32, c_void_p, c_void_p, c_int32),
        is_exception,
    ),
    # int32_t cria_direct_hold_back(void * sampler, const llama_token * tokens, int32_t n_tokens,
    #     int32_t count);
    Row(
        "cria_direct_hold_back",
        c_int32,
        (DirectPointer, c_void_p, c_int32, c_int32),
        is_exception,
    ),
    # void * cria_chain_hold_back(const llama_token * tokens, int32_t n_tokens, int32_t count);
    Row("cria_chain_hold_back", SamplerPointer, (c_void_p, c_int32, c_int32), is_null),
    # void * cria_chain_allow(const llama_token * tokens, int32_t n_tokens);
    Row("cria_chain_allow", SamplerPointer, (c_void_p, c_int32), is_null),
    # void * cria_chain_drop_impossible(void);
    Row("cria_chain_drop_impossible", SamplerPointer, (), is_null),
    # void * cria_chain_level(void);
    Row("cria_chain_level", SamplerPointer, (), is_null),
    # void * cria_chain_dry(const llama_vocab * vocab, float multiplier, float base,
    #     int32_t allowed_length, int32_t last_n, const char ** breakers, size_t n_breakers);
    Row(
        "cria_chain_dry",
        SamplerPointer,
        (VocabPointer, c_float, c_float, c_int32, c_int32, POINTER(c_char_p), c_size_t),
        is_null,
    ),
    # int32_t cria_accept_each(llama_sampler * sampler, const llama_token * tokens,
    #     int32_t n_tokens);
    Row("cria_accept_each", c_int32, (SamplerPointer, c_void_p, c_int32), is_exception),
)

# What a libllama returns from its default-parameter functions if its structs are laid out as the
# mirrors say: a cheap sign of life for libraries that come without a layout file.
MODEL_CANARY: dict[str, object] = {"n_gpu_layers": -1, "split_mode": 1, "load_mode": -1}
CONTEXT_CANARY: dict[str, object] = {
    "n_ctx": 512,
    "n_batch": 2048,
    "n_ubatch": 512,
    "n_seq_max": 1,
    "rope_scaling_type": -1,
    "flash_attn_type": -1,
    "yarn_ext_factor": -1.0,
    "type_k": 1,
    "type_v": 1,
    "offload_kqv": True,
    "op_offload": True,
    "swa_full": True,
    "kv_unified": False,
}

__all__ = [
    "CRIA",
    "EXCEPTION",
    "GGML",
    "LLAMA",
    "ContextPointer",
    "DevicePointer",
    "MemoryPointer",
    "ModelPointer",
    "ProgressCallback",
    "Row",
    "SamplerPointer",
    "DirectPointer",
    "VocabPointer",
]
