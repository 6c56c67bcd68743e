"""ctypes mirrors of the C structs that cross by value, and the enums in use.

A moved field is silent memory corruption, so `native/abi_probe.c` prints the real layout when the
libraries are built, and `library.py` compares it with these classes before the first call.
Names are those of `include/llama.h`, `ggml/include/ggml-backend.h` and `tools/mtmd/mtmd.h`.
"""

from __future__ import annotations

import ctypes
from ctypes import (
    c_bool,
    c_char,
    c_char_p,
    c_double,
    c_float,
    c_int,
    c_int32,
    c_int64,
    c_size_t,
    c_uint32,
    c_void_p,
)


class llama_batch(ctypes.Structure):
    _fields_ = [
        ("n_tokens", c_int32),
        ("token", c_void_p),
        ("embd", c_void_p),
        ("pos", c_void_p),
        ("n_seq_id", c_void_p),
        ("seq_id", c_void_p),
        ("logits", c_void_p),
    ]


class llama_model_params(ctypes.Structure):
    _fields_ = [
        ("devices", c_void_p),
        ("tensor_buft_overrides", c_void_p),
        ("n_gpu_layers", c_int32),
        ("split_mode", c_int),
        ("load_mode", c_int),
        ("lazy_mode", c_int),
        ("main_gpu", c_int32),
        ("tensor_split", ctypes.POINTER(c_float)),
        ("progress_callback", c_void_p),
        ("progress_callback_user_data", c_void_p),
        ("kv_overrides", c_void_p),
        ("vocab_only", c_bool),
        ("check_tensors", c_bool),
        ("use_extra_bufts", c_bool),
        ("no_host", c_bool),
        ("no_alloc", c_bool),
        ("load_mtp", c_bool),
    ]


class llama_sampler_seq_config(ctypes.Structure):
    _fields_ = [("seq_id", c_int32), ("sampler", c_void_p)]


class llama_context_params(ctypes.Structure):
    _fields_ = [
        ("n_ctx", c_uint32),
        ("n_batch", c_uint32),
        ("n_ubatch", c_uint32),
        ("n_seq_max", c_uint32),
        ("n_rs_seq", c_uint32),
        ("n_outputs_max", c_uint32),
        ("n_outputs_max_per_seq", c_uint32),
        ("n_threads", c_int32),
        ("n_threads_batch", c_int32),
        ("ctx_type", c_int),
        ("rope_scaling_type", c_int),
        ("pooling_type", c_int),
        ("attention_type", c_int),
        ("flash_attn_type", c_int),
        ("rope_freq_base", c_float),
        ("rope_freq_scale", c_float),
        ("yarn_ext_factor", c_float),
        ("yarn_attn_factor", c_float),
        ("yarn_beta_fast", c_float),
        ("yarn_beta_slow", c_float),
        ("yarn_orig_ctx", c_uint32),
        ("defrag_thold", c_float),
        ("cb_eval", c_void_p),
        ("cb_eval_user_data", c_void_p),
        ("type_k", c_int),
        ("type_v", c_int),
        ("abort_callback", c_void_p),
        ("abort_callback_data", c_void_p),
        ("embeddings", c_bool),
        ("offload_kqv", c_bool),
        ("no_perf", c_bool),
        ("op_offload", c_bool),
        ("swa_full", c_bool),
        ("kv_unified", c_bool),
        ("samplers", ctypes.POINTER(llama_sampler_seq_config)),
        ("n_samplers", c_size_t),
        ("ctx_other", c_void_p),
    ]


class llama_token_data(ctypes.Structure):
    _fields_ = [("id", c_int32), ("logit", c_float), ("p", c_float)]


class llama_token_data_array(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.POINTER(llama_token_data)),
        ("size", c_size_t),
        ("selected", c_int64),
        ("sorted", c_bool),
    ]


class llama_logit_bias(ctypes.Structure):
    _fields_ = [("token", c_int32), ("bias", c_float)]


class llama_sampler_chain_params(ctypes.Structure):
    _fields_ = [("no_perf", c_bool)]


class llama_chat_message(ctypes.Structure):
    _fields_ = [("role", c_char_p), ("content", c_char_p)]


class llama_model_tensor_buft_override(ctypes.Structure):
    _fields_ = [("pattern", c_char_p), ("buft", c_void_p)]


class _override_value(ctypes.Union):
    _fields_ = [
        ("val_i64", c_int64),
        ("val_f64", c_double),
        ("val_bool", c_bool),
        ("val_str", c_char * 128),
    ]


class llama_model_kv_override(ctypes.Structure):
    _anonymous_ = ("value",)
    _fields_ = [("tag", c_int), ("key", c_char * 128), ("value", _override_value)]


class llama_model_quantize_params(ctypes.Structure):
    _fields_ = [
        ("nthread", c_int32),
        ("ftype", c_int),
        ("output_tensor_type", c_int),
        ("token_embedding_type", c_int),
        ("allow_requantize", c_bool),
        ("quantize_output_tensor", c_bool),
        ("only_copy", c_bool),
        ("pure", c_bool),
        ("keep_split", c_bool),
        ("dry_run", c_bool),
        ("imatrix", c_void_p),
        ("kv_overrides", c_void_p),
        ("tt_overrides", c_void_p),
        ("prune_layers", c_void_p),
        ("max_buf_size", c_size_t),
    ]


class llama_perf_context_data(ctypes.Structure):
    _fields_ = [
        ("t_start_ms", c_double),
        ("t_load_ms", c_double),
        ("t_p_eval_ms", c_double),
        ("t_eval_ms", c_double),
        ("n_p_eval", c_int32),
        ("n_eval", c_int32),
        ("n_reused", c_int32),
    ]


class llama_perf_sampler_data(ctypes.Structure):
    _fields_ = [("t_sample_ms", c_double), ("n_sample", c_int32)]


class ggml_backend_dev_caps(ctypes.Structure):
    _fields_ = [
        ("async", c_bool),
        ("host_buffer", c_bool),
        ("buffer_from_host_ptr", c_bool),
        ("events", c_bool),
        ("mmap_support", c_bool),
    ]


class ggml_backend_dev_props(ctypes.Structure):
    _fields_ = [
        ("name", c_char_p),
        ("description", c_char_p),
        ("memory_free", c_size_t),
        ("memory_total", c_size_t),
        ("type", c_int),
        ("device_id", c_char_p),
        ("caps", ggml_backend_dev_caps),
    ]


class mtmd_context_params(ctypes.Structure):
    _fields_ = [
        ("use_gpu", c_bool),
        ("device", c_void_p),
        ("print_timings", c_bool),
        ("n_threads", c_int),
        ("image_marker", c_char_p),
        ("media_marker", c_char_p),
        ("flash_attn_type", c_int),
        ("warmup", c_bool),
        ("image_min_tokens", c_int),
        ("image_max_tokens", c_int),
        ("cb_eval", c_void_p),
        ("cb_eval_user_data", c_void_p),
        ("batch_max_tokens", c_int32),
        ("progress_callback", c_void_p),
        ("progress_callback_user_data", c_void_p),
    ]


class mtmd_input_text(ctypes.Structure):
    _fields_ = [
        ("text", c_char_p),
        ("text_len", c_size_t),
        ("add_special", c_bool),
        ("parse_special", c_bool),
    ]


MIRRORS: tuple[type[ctypes.Structure], ...] = (
    llama_batch,
    llama_model_params,
    llama_context_params,
    llama_sampler_seq_config,
    llama_token_data,
    llama_token_data_array,
    llama_logit_bias,
    llama_sampler_chain_params,
    llama_chat_message,
    llama_model_tensor_buft_override,
    llama_model_kv_override,
    llama_model_quantize_params,
    llama_perf_context_data,
    llama_perf_sampler_data,
    ggml_backend_dev_props,
    ggml_backend_dev_caps,
    mtmd_context_params,
    mtmd_input_text,
)

# enum values, compared with the probe's as well
ENUMS: dict[str, int] = {
    "LLAMA_SPLIT_MODE_NONE": 0,
    "LLAMA_SPLIT_MODE_LAYER": 1,
    "LLAMA_SPLIT_MODE_ROW": 2,
    "LLAMA_SPLIT_MODE_TENSOR": 3,
    "LLAMA_LOAD_MODE_AUTO": -1,
    "LLAMA_LOAD_MODE_NONE": 0,
    "LLAMA_LOAD_MODE_MMAP": 1,
    "LLAMA_POOLING_TYPE_NONE": 0,
    "LLAMA_POOLING_TYPE_MEAN": 1,
    "LLAMA_POOLING_TYPE_CLS": 2,
    "LLAMA_POOLING_TYPE_LAST": 3,
    "LLAMA_POOLING_TYPE_RANK": 4,
    "LLAMA_FLASH_ATTN_TYPE_AUTO": -1,
    "LLAMA_FLASH_ATTN_TYPE_DISABLED": 0,
    "LLAMA_FLASH_ATTN_TYPE_ENABLED": 1,
    "GGML_BACKEND_DEVICE_TYPE_CPU": 0,
    "GGML_BACKEND_DEVICE_TYPE_GPU": 1,
    "GGML_BACKEND_DEVICE_TYPE_IGPU": 2,
    "GGML_TYPE_F32": 0,
    "GGML_TYPE_F16": 1,
    "GGML_TYPE_Q4_0": 2,
    "GGML_TYPE_Q4_1": 3,
    "GGML_TYPE_Q5_0": 6,
    "GGML_TYPE_Q5_1": 7,
    "GGML_TYPE_Q8_0": 8,
    "GGML_TYPE_IQ4_NL": 20,
    "GGML_TYPE_BF16": 30,
    "GGML_LOG_LEVEL_NONE": 0,
    "GGML_LOG_LEVEL_DEBUG": 1,
    "GGML_LOG_LEVEL_INFO": 2,
    "GGML_LOG_LEVEL_WARN": 3,
    "GGML_LOG_LEVEL_ERROR": 4,
    "GGML_LOG_LEVEL_CONT": 5,
}


def fields_of(mirror: type[ctypes.Structure]) -> dict[str, list[int]]:
    """Field name to [offset, size] in bytes, as the probe prints it; unions are flattened."""
    fields: dict[str, list[int]] = {}
    for name, kind, *_ in mirror._fields_:
        offset = getattr(mirror, name).offset
        if issubclass(kind, ctypes.Union):
            members = {n: [offset, ctypes.sizeof(k)] for n, k, *_ in kind._fields_}
            fields.update(members)
        else:
            fields[name] = [offset, ctypes.sizeof(kind)]
    return fields
