// Prints the layout of every struct that cria/native/structs.py mirrors, and the value of every enum constant that
// Cria relies on, as JSON. llama.cpp passes several of these structs by value: a moved field would be silent memory
// corruption, so the loader compares this table with the ctypes mirrors and refuses a difference.
#include "ggml-backend.h"
#include "ggml.h"
#include "llama.h"
#include "mtmd.h"

#include <stddef.h>
#include <stdio.h>

typedef struct llama_batch llama_batch_t;
typedef struct llama_model_params llama_model_params_t;
typedef struct llama_context_params llama_context_params_t;
typedef struct llama_sampler_seq_config llama_sampler_seq_config_t;
typedef struct llama_token_data llama_token_data_t;
typedef struct llama_token_data_array llama_token_data_array_t;
typedef struct llama_logit_bias llama_logit_bias_t;
typedef struct llama_sampler_chain_params llama_sampler_chain_params_t;
typedef struct llama_chat_message llama_chat_message_t;
typedef struct llama_model_tensor_buft_override llama_model_tensor_buft_override_t;
typedef struct llama_model_kv_override llama_model_kv_override_t;
typedef struct llama_perf_context_data llama_perf_context_data_t;
typedef struct llama_perf_sampler_data llama_perf_sampler_data_t;
typedef struct ggml_backend_dev_props ggml_backend_dev_props_t;
typedef struct ggml_backend_dev_caps ggml_backend_dev_caps_t;
typedef llama_model_quantize_params llama_model_quantize_params_t;
typedef struct mtmd_context_params mtmd_context_params_t;
typedef struct mtmd_input_text mtmd_input_text_t;

static const char * sep = "";

static void struct_begin(const char * name, size_t size, size_t align) {
    printf("%s\n    \"%s\": {\"size\": %zu, \"align\": %zu, \"fields\": {", sep, name, size, align);
    sep = "";
}

static void field(const char * name, size_t offset, size_t size) {
    printf("%s\"%s\": [%zu, %zu]", sep, name, offset, size);
    sep = ", ";
}

static void struct_end(void) {
    printf("}}");
    sep = ",";
}

static void constant(const char * name, long long value) {
    printf("%s\n    \"%s\": %lld", sep, name, value);
    sep = ",";
}

#define BEGIN(S) struct_begin(#S, sizeof(S##_t), _Alignof(S##_t))
#define FIELD(S, F) field(#F, offsetof(S##_t, F), sizeof(((S##_t *) 0)->F))
#define END() struct_end()
#define CONSTANT(C) constant(#C, (long long) (C))

static void print_llama_params(void) {
    BEGIN(llama_batch);
    FIELD(llama_batch, n_tokens);
    FIELD(llama_batch, token);
    FIELD(llama_batch, embd);
    FIELD(llama_batch, pos);
    FIELD(llama_batch, n_seq_id);
    FIELD(llama_batch, seq_id);
    FIELD(llama_batch, logits);
    END();
    BEGIN(llama_model_params);
    FIELD(llama_model_params, devices);
    FIELD(llama_model_params, tensor_buft_overrides);
    FIELD(llama_model_params, n_gpu_layers);
    FIELD(llama_model_params, split_mode);
    FIELD(llama_model_params, load_mode);
    FIELD(llama_model_params, lazy_mode);
    FIELD(llama_model_params, main_gpu);
    FIELD(llama_model_params, tensor_split);
    FIELD(llama_model_params, progress_callback);
    FIELD(llama_model_params, progress_callback_user_data);
    FIELD(llama_model_params, kv_overrides);
    FIELD(llama_model_params, vocab_only);
    FIELD(llama_model_params, check_tensors);
    FIELD(llama_model_params, use_extra_bufts);
    FIELD(llama_model_params, no_host);
    FIELD(llama_model_params, no_alloc);
    FIELD(llama_model_params, load_mtp);
    END();
    BEGIN(llama_context_params);
    FIELD(llama_context_params, n_ctx);
    FIELD(llama_context_params, n_batch);
    FIELD(llama_context_params, n_ubatch);
    FIELD(llama_context_params, n_seq_max);
    FIELD(llama_context_params, n_rs_seq);
    FIELD(llama_context_params, n_outputs_max);
    FIELD(llama_context_params, n_outputs_max_per_seq);
    FIELD(llama_context_params, n_threads);
    FIELD(llama_context_params, n_threads_batch);
    FIELD(llama_context_params, ctx_type);
    FIELD(llama_context_params, rope_scaling_type);
    FIELD(llama_context_params, pooling_type);
    FIELD(llama_context_params, attention_type);
    FIELD(llama_context_params, flash_attn_type);
    FIELD(llama_context_params, rope_freq_base);
    FIELD(llama_context_params, rope_freq_scale);
    FIELD(llama_context_params, yarn_ext_factor);
    FIELD(llama_context_params, yarn_attn_factor);
    FIELD(llama_context_params, yarn_beta_fast);
    FIELD(llama_context_params, yarn_beta_slow);
    FIELD(llama_context_params, yarn_orig_ctx);
    FIELD(llama_context_params, defrag_thold);
    FIELD(llama_context_params, cb_eval);
    FIELD(llama_context_params, cb_eval_user_data);
    FIELD(llama_context_params, type_k);
    FIELD(llama_context_params, type_v);
    FIELD(llama_context_params, abort_callback);
    FIELD(llama_context_params, abort_callback_data);
    FIELD(llama_context_params, embeddings);
    FIELD(llama_context_params, offload_kqv);
    FIELD(llama_context_params, no_perf);
    FIELD(llama_context_params, op_offload);
    FIELD(llama_context_params, swa_full);
    FIELD(llama_context_params, kv_unified);
    FIELD(llama_context_params, samplers);
    FIELD(llama_context_params, n_samplers);
    FIELD(llama_context_params, ctx_other);
    END();
}

static void print_llama_small(void) {
    BEGIN(llama_sampler_seq_config);
    FIELD(llama_sampler_seq_config, seq_id);
    FIELD(llama_sampler_seq_config, sampler);
    END();
    BEGIN(llama_token_data);
    FIELD(llama_token_data, id);
    FIELD(llama_token_data, logit);
    FIELD(llama_token_data, p);
    END();
    BEGIN(llama_token_data_array);
    FIELD(llama_token_data_array, data);
    FIELD(llama_token_data_array, size);
    FIELD(llama_token_data_array, selected);
    FIELD(llama_token_data_array, sorted);
    END();
    BEGIN(llama_logit_bias);
    FIELD(llama_logit_bias, token);
    FIELD(llama_logit_bias, bias);
    END();
    BEGIN(llama_sampler_chain_params);
    FIELD(llama_sampler_chain_params, no_perf);
    END();
    BEGIN(llama_chat_message);
    FIELD(llama_chat_message, role);
    FIELD(llama_chat_message, content);
    END();
    BEGIN(llama_model_tensor_buft_override);
    FIELD(llama_model_tensor_buft_override, pattern);
    FIELD(llama_model_tensor_buft_override, buft);
    END();
    BEGIN(llama_model_kv_override);
    FIELD(llama_model_kv_override, tag);
    FIELD(llama_model_kv_override, key);
    FIELD(llama_model_kv_override, val_i64);
    FIELD(llama_model_kv_override, val_f64);
    FIELD(llama_model_kv_override, val_bool);
    FIELD(llama_model_kv_override, val_str);
    END();
    BEGIN(llama_model_quantize_params);
    FIELD(llama_model_quantize_params, nthread);
    FIELD(llama_model_quantize_params, ftype);
    FIELD(llama_model_quantize_params, output_tensor_type);
    FIELD(llama_model_quantize_params, token_embedding_type);
    FIELD(llama_model_quantize_params, allow_requantize);
    FIELD(llama_model_quantize_params, quantize_output_tensor);
    FIELD(llama_model_quantize_params, only_copy);
    FIELD(llama_model_quantize_params, pure);
    FIELD(llama_model_quantize_params, keep_split);
    FIELD(llama_model_quantize_params, dry_run);
    FIELD(llama_model_quantize_params, imatrix);
    FIELD(llama_model_quantize_params, kv_overrides);
    FIELD(llama_model_quantize_params, tt_overrides);
    FIELD(llama_model_quantize_params, prune_layers);
    FIELD(llama_model_quantize_params, max_buf_size);
    END();
    BEGIN(llama_perf_context_data);
    FIELD(llama_perf_context_data, t_start_ms);
    FIELD(llama_perf_context_data, t_load_ms);
    FIELD(llama_perf_context_data, t_p_eval_ms);
    FIELD(llama_perf_context_data, t_eval_ms);
    FIELD(llama_perf_context_data, n_p_eval);
    FIELD(llama_perf_context_data, n_eval);
    FIELD(llama_perf_context_data, n_reused);
    END();
    BEGIN(llama_perf_sampler_data);
    FIELD(llama_perf_sampler_data, t_sample_ms);
    FIELD(llama_perf_sampler_data, n_sample);
    END();
}

static void print_ggml_and_mtmd(void) {
    BEGIN(ggml_backend_dev_caps);
    FIELD(ggml_backend_dev_caps, async);
    FIELD(ggml_backend_dev_caps, host_buffer);
    FIELD(ggml_backend_dev_caps, buffer_from_host_ptr);
    FIELD(ggml_backend_dev_caps, events);
    FIELD(ggml_backend_dev_caps, mmap_support);
    END();
    BEGIN(ggml_backend_dev_props);
    FIELD(ggml_backend_dev_props, name);
    FIELD(ggml_backend_dev_props, description);
    FIELD(ggml_backend_dev_props, memory_free);
    FIELD(ggml_backend_dev_props, memory_total);
    FIELD(ggml_backend_dev_props, type);
    FIELD(ggml_backend_dev_props, device_id);
    FIELD(ggml_backend_dev_props, caps);
    END();
    BEGIN(mtmd_context_params);
    FIELD(mtmd_context_params, use_gpu);
    FIELD(mtmd_context_params, device);
    FIELD(mtmd_context_params, print_timings);
    FIELD(mtmd_context_params, n_threads);
    FIELD(mtmd_context_params, image_marker);
    FIELD(mtmd_context_params, media_marker);
    FIELD(mtmd_context_params, flash_attn_type);
    FIELD(mtmd_context_params, warmup);
    FIELD(mtmd_context_params, image_min_tokens);
    FIELD(mtmd_context_params, image_max_tokens);
    FIELD(mtmd_context_params, cb_eval);
    FIELD(mtmd_context_params, cb_eval_user_data);
    FIELD(mtmd_context_params, batch_max_tokens);
    FIELD(mtmd_context_params, progress_callback);
    FIELD(mtmd_context_params, progress_callback_user_data);
    END();
    BEGIN(mtmd_input_text);
    FIELD(mtmd_input_text, text);
    FIELD(mtmd_input_text, text_len);
    FIELD(mtmd_input_text, add_special);
    FIELD(mtmd_input_text, parse_special);
    END();
}

static void print_llama_enums(void) {
    CONSTANT(LLAMA_VOCAB_TYPE_NONE);
    CONSTANT(LLAMA_VOCAB_TYPE_SPM);
    CONSTANT(LLAMA_VOCAB_TYPE_BPE);
    CONSTANT(LLAMA_VOCAB_TYPE_WPM);
    CONSTANT(LLAMA_VOCAB_TYPE_UGM);
    CONSTANT(LLAMA_VOCAB_TYPE_RWKV);
    CONSTANT(LLAMA_ROPE_SCALING_TYPE_UNSPECIFIED);
    CONSTANT(LLAMA_ROPE_SCALING_TYPE_NONE);
    CONSTANT(LLAMA_ROPE_SCALING_TYPE_LINEAR);
    CONSTANT(LLAMA_ROPE_SCALING_TYPE_YARN);
    CONSTANT(LLAMA_ROPE_SCALING_TYPE_LONGROPE);
    CONSTANT(LLAMA_POOLING_TYPE_UNSPECIFIED);
    CONSTANT(LLAMA_POOLING_TYPE_NONE);
    CONSTANT(LLAMA_POOLING_TYPE_MEAN);
    CONSTANT(LLAMA_POOLING_TYPE_CLS);
    CONSTANT(LLAMA_POOLING_TYPE_LAST);
    CONSTANT(LLAMA_POOLING_TYPE_RANK);
    CONSTANT(LLAMA_ATTENTION_TYPE_UNSPECIFIED);
    CONSTANT(LLAMA_ATTENTION_TYPE_CAUSAL);
    CONSTANT(LLAMA_ATTENTION_TYPE_NON_CAUSAL);
    CONSTANT(LLAMA_FLASH_ATTN_TYPE_AUTO);
    CONSTANT(LLAMA_FLASH_ATTN_TYPE_DISABLED);
    CONSTANT(LLAMA_FLASH_ATTN_TYPE_ENABLED);
    CONSTANT(LLAMA_SPLIT_MODE_NONE);
    CONSTANT(LLAMA_SPLIT_MODE_LAYER);
    CONSTANT(LLAMA_SPLIT_MODE_ROW);
    CONSTANT(LLAMA_SPLIT_MODE_TENSOR);
    CONSTANT(LLAMA_LOAD_MODE_AUTO);
    CONSTANT(LLAMA_LOAD_MODE_NONE);
    CONSTANT(LLAMA_LOAD_MODE_MMAP);
    CONSTANT(LLAMA_LOAD_MODE_MLOCK);
    CONSTANT(LLAMA_LOAD_MODE_MMAP_MLOCK);
    CONSTANT(LLAMA_LOAD_MODE_DIRECT_IO);
    CONSTANT(LLAMA_LAZY_MODE_OFF);
    CONSTANT(LLAMA_LAZY_MODE_AUTO);
    CONSTANT(LLAMA_LAZY_MODE_ON);
    CONSTANT(LLAMA_CONTEXT_TYPE_DEFAULT);
    CONSTANT(LLAMA_KV_OVERRIDE_TYPE_INT);
    CONSTANT(LLAMA_KV_OVERRIDE_TYPE_FLOAT);
    CONSTANT(LLAMA_KV_OVERRIDE_TYPE_BOOL);
    CONSTANT(LLAMA_KV_OVERRIDE_TYPE_STR);
}

static void print_ggml_enums(void) {
    CONSTANT(GGML_BACKEND_DEVICE_TYPE_CPU);
    CONSTANT(GGML_BACKEND_DEVICE_TYPE_GPU);
    CONSTANT(GGML_BACKEND_DEVICE_TYPE_IGPU);
    CONSTANT(GGML_BACKEND_DEVICE_TYPE_ACCEL);
    CONSTANT(GGML_BACKEND_DEVICE_TYPE_META);
    CONSTANT(GGML_TYPE_F32);
    CONSTANT(GGML_TYPE_F16);
    CONSTANT(GGML_TYPE_Q4_0);
    CONSTANT(GGML_TYPE_Q4_1);
    CONSTANT(GGML_TYPE_Q5_0);
    CONSTANT(GGML_TYPE_Q5_1);
    CONSTANT(GGML_TYPE_Q8_0);
    CONSTANT(GGML_TYPE_BF16);
    CONSTANT(GGML_TYPE_IQ4_NL);
    CONSTANT(GGML_LOG_LEVEL_NONE);
    CONSTANT(GGML_LOG_LEVEL_DEBUG);
    CONSTANT(GGML_LOG_LEVEL_INFO);
    CONSTANT(GGML_LOG_LEVEL_WARN);
    CONSTANT(GGML_LOG_LEVEL_ERROR);
    CONSTANT(GGML_LOG_LEVEL_CONT);
}

int main(void) {
    printf("{\"pointer_size\": %zu,\n  \"structs\": {", sizeof(void *));
    print_llama_params();
    print_llama_small();
    print_ggml_and_mtmd();
    printf("\n  },\n  \"enums\": {");
    sep = "";
    print_llama_enums();
    print_ggml_enums();
    printf("\n  }\n}\n");
    return 0;
}
