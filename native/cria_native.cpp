// Cria's own native code: what must not happen in Python.
//
// 1. No C++ exception leaves a function of this file: libllama throws through its C API in some
//    places, and an exception that reaches ctypes ends the process.
// 2. llama.cpp's log goes into a ring that Python empties when it has time. A Python callback
//    instead would take the interpreter's lock inside ggml's compute threads.
// 3. Whatever touches every entry of the vocabulary in every row of every step is done here, by
//    several threads: choosing the tokens one row after another would halve the throughput.
//
// Everything here is plain C at the border; `cria/native/signatures.py` mirrors it.

#include "chain_samplers.h"
#include "direct_sampler.h"
#include "logprobs.h"
#include "row_scan.h"
#include "thread_pool.h"

#include "ggml.h"
#include "llama.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#define CRIA_API extern "C" __attribute__((visibility("default")))

namespace {

// Distinct from llama.cpp's codes: some of its functions return "minus the size needed".
constexpr int EXCEPTION = INT32_MIN + 1;
constexpr int INVALID = INT32_MIN + 2;

thread_local std::string last_error;

// Calls `body`, and turns an exception into EXCEPTION and a text for cria_last_error().
template <typename Body> int guarded(Body body) {
    try {
        return body();
    } catch (const std::exception & e) {
        last_error = e.what();
    } catch (...) {
        last_error = "unknown C++ exception";
    }
    return EXCEPTION;
}

struct Record {
    int level = 0;
    std::string text;
};

// The newest records win: a full ring overwrites its oldest one.
struct LogRing {
    static constexpr size_t CAPACITY = 512;
    static constexpr size_t MAX_TEXT = 4096;
    std::mutex mutex;
    std::array<Record, CAPACITY> records;
    uint64_t written = 0;
    uint64_t read = 0;
    int min_level = GGML_LOG_LEVEL_WARN;
    bool open = false;  // the last record was kept and may be continued

    void append(ggml_log_level level, const char * text) {
        std::lock_guard<std::mutex> lock(mutex);
        if (level == GGML_LOG_LEVEL_CONT) {
            if (open && written > read) {
                std::string & last = records[(written - 1) % CAPACITY].text;
                last.append(text, std::min(std::strlen(text), MAX_TEXT - std::min(MAX_TEXT, last.size())));
            }
            return;
        }
        open = level >= min_level;
        if (!open) {
            return;
        }
        Record & record = records[written % CAPACITY];
        record.level = level;
        record.text.assign(text, std::min(std::strlen(text), MAX_TEXT));
        written++;
        read = std::max(read, written > CAPACITY ? written - CAPACITY : 0);
    }
};

LogRing & ring() {
    static LogRing * instance = new LogRing;  // never destroyed: threads may log during exit
    return *instance;
}

cria::ThreadPool & sampling_pool() {
    static cria::ThreadPool * instance = new cria::ThreadPool;  // never destroyed: its threads may outlive main()
    return *instance;
}

// A chain takes any token where every one is banned; it has no probability then.
bool is_choice(const llama_token_data_array & array) {
    if (array.selected < 0 || array.selected >= static_cast<int64_t>(array.size)) {
        return false;
    }
    const llama_token_data & selected = array.data[array.selected];
    return selected.logit > -INFINITY && !std::isnan(selected.p);
}

// What llama_sampler_sample() does, on a row that is at hand: the same calls on the same candidates. A logit
// that is not a number is a banned one: llama.cpp sorts them, which has no order with such.
llama_token pick(llama_sampler * chain, const float * row, int32_t n_vocab) {
    thread_local std::vector<llama_token_data> candidates;
    candidates.resize(n_vocab);
    for (llama_token token = 0; token < n_vocab; token++) {
        candidates[token] = llama_token_data{token, std::isnan(row[token]) ? -INFINITY : row[token], 0.0f};
    }
    llama_token_data_array array = {candidates.data(), candidates.size(), -1, false};
    llama_sampler_apply(chain, &array);
    return is_choice(array) ? array.data[array.selected].id : LLAMA_TOKEN_NULL;
}

// Who chooses the tokens of a slot: a chain of llama.cpp's, which remembers its choices; or a
// DirectSampler; or, if both are NULL, the most likely token is chosen. Mirrored by SLOT of
// cria/native/row_sampling.py.
struct Slot {
    llama_sampler * chain;
    cria::DirectSampler * direct;
    int32_t num_logprobs;  // -1: none, not even the chosen token's
    int32_t is_proposal;   // a choice counts only when cria_accept_rows() says so
};

llama_token pick(const Slot & slot, float * row, int32_t n_vocab) {
    if (slot.chain) {
        return pick(slot.chain, row, n_vocab);
    }
    return slot.direct ? slot.direct->pick(row, n_vocab) : cria::RowScan(row, n_vocab).most_likely();
}

void accept(const Slot & slot, llama_token token) {
    if (token == LLAMA_TOKEN_NULL) {
        return;
    }
    if (slot.chain) {
        llama_sampler_accept(slot.chain, token);
    } else if (slot.direct) {
        slot.direct->accept(token);
    }
}

// The row with everything banned that is not in the set of bits `allowed`; the memory is the thread's.
float * masked(const float * row, int32_t n_vocab, const uint32_t * allowed) {
    thread_local std::vector<float> copy;
    copy.resize(n_vocab);
    for (int32_t token = 0; token < n_vocab; token++) {
        copy[token] = allowed[token / 32] >> (token % 32) & 1 ? row[token] : -INFINITY;
    }
    return copy.data();
}

// A new sampler, for whoever asks; NULL, and a text for cria_last_error(), if it cannot be made.
template <typename Make> void * made(Make make) {
    void * sampler = nullptr;
    guarded([&] {
        sampler = make();
        return 0;
    });
    return sampler;
}

// Each row needs a sampler of its own: two threads must not use the same.
void check_slots(const int32_t * slots, int32_t n_rows, int32_t n_slots) {
    std::vector<bool> seen(n_slots);
    for (int32_t i = 0; i < n_rows; i++) {
        if (slots[i] < 0 || slots[i] >= n_slots || seen[slots[i]]) {
            throw std::invalid_argument("slot " + std::to_string(slots[i]) + " does not exist or comes twice");
        }
        seen[slots[i]] = true;
    }
}

void on_log(ggml_log_level level, const char * text, void *) {
    try {
        ring().append(level, text);
    } catch (...) {  // out of memory: losing a log line is the lesser evil
    }
}

bool is_below(int32_t value, int32_t limit) {
    return static_cast<uint32_t>(value) < static_cast<uint32_t>(limit);
}

// One sequence per token; without positions, ids and flags llama.cpp fills them in itself.
bool is_valid(const llama_batch & batch, int32_t n_vocab, int32_t n_seq, int32_t n_pos, int32_t n_outputs) {
    bool valid = true;
    int32_t outputs = 0;
    for (int32_t i = 0; i < batch.n_tokens; i++) {
        valid &= is_below(batch.token[i], n_vocab);
        valid &= !batch.pos || is_below(batch.pos[i], n_pos);
        valid &= !batch.seq_id || is_below(batch.seq_id[i][0], n_seq);
        outputs += batch.logits && batch.logits[i];
    }
    return valid && outputs <= n_outputs;
}

}  // namespace

// Sends the log of llama.cpp and ggml to the ring, from `min_level` (enum ggml_log_level) up.
CRIA_API int32_t cria_log_start(int32_t min_level) {
    return guarded([&] {
        {
            std::lock_guard<std::mutex> lock(ring().mutex);
            ring().min_level = min_level;
        }
        llama_log_set(on_log, nullptr);
        ggml_log_set(on_log, nullptr);
        return 0;
    });
}

// Copies the oldest unread record, cut to `capacity` bytes with its NUL, and returns its level;
// -1 if there is none.
CRIA_API int32_t cria_log_next(char * text, size_t capacity) {
    return guarded([&] {
        LogRing & log = ring();
        std::lock_guard<std::mutex> lock(log.mutex);
        if (log.read == log.written || capacity == 0) {
            return -1;
        }
        const Record & record = log.records[log.read++ % LogRing::CAPACITY];
        const size_t length = std::min(record.text.size(), capacity - 1);
        std::memcpy(text, record.text.data(), length);
        text[length] = '\0';
        return record.level;
    });
}

// The text of the last exception that a cria_* function of this thread caught.
CRIA_API const char * cria_last_error(void) {
    return last_error.c_str();
}

// The libllama that this library calls; Python compares it with the one that it calls.
CRIA_API void * cria_llama_identity(void) {
    return reinterpret_cast<void *>(&llama_decode);
}

// llama_decode(), but INVALID instead of the end of the process where an id or a position is not
// below its limit, or more than `n_outputs` rows of logits are asked for. A GPU may still be
// computing when it returns. The other codes are llama_decode's, or EXCEPTION.
CRIA_API int32_t cria_decode(llama_context * ctx, const llama_batch * batch, int32_t n_vocab, int32_t n_seq,
                             int32_t n_pos, int32_t n_outputs) {
    return guarded([&] { return is_valid(*batch, n_vocab, n_seq, n_pos, n_outputs) ? llama_decode(ctx, *batch) : INVALID; });
}

// llama_synchronize(): waits until everything is computed. 0, or EXCEPTION.
CRIA_API int32_t cria_synchronize(llama_context * ctx) {
    return guarded([&] {
        llama_synchronize(ctx);
        return 0;
    });
}

// Adds 1 to `counter` with each node of a graph that a CPU computes: a sign of life from within a step.
CRIA_API int32_t cria_count_progress(llama_context * ctx, uint64_t * counter) {
    return guarded([&] {
        const auto count = [](void * data) {
            __atomic_fetch_add(static_cast<uint64_t *>(data), 1, __ATOMIC_RELAXED);
            return false;  // go on
        };
        llama_set_abort_callback(ctx, count, counter);
        return 0;
    });
}

// llama_token_to_piece(), which throws for ids that are not in the vocabulary.
CRIA_API int32_t cria_token_to_piece(const llama_vocab * vocab, llama_token token, char * piece,
                                     int32_t capacity, int32_t lstrip, bool special) {
    return guarded([&] { return llama_token_to_piece(vocab, token, piece, capacity, lstrip, special); });
}

// llama_tokenize(), which throws where the vocabulary's regular expressions fail.
CRIA_API int32_t cria_tokenize(const llama_vocab * vocab, const char * text, int32_t length, llama_token * tokens,
                               int32_t capacity, bool add_special, bool parse_special) {
    return guarded([&] { return llama_tokenize(vocab, text, length, tokens, capacity, add_special, parse_special); });
}

// The threads beside the caller's that cria_sample_rows() may use.
CRIA_API int32_t cria_sampling_threads(int32_t size) {
    return guarded([&] {
        sampling_pool().resize(size);
        return 0;
    });
}

// A DirectSampler; top_k of 0, top_p of 1 and min_p of 0 cut nothing. NULL if there is no memory.
CRIA_API void * cria_direct_init(float temperature, int32_t top_k, float top_p, float min_p, uint32_t seed,
                                 const llama_logit_bias * biases, int32_t n_biases) {
    return made([&] {
        const cria::Truncation truncation = {top_k, top_p, min_p};
        return new cria::DirectSampler(temperature, truncation, seed, {biases, biases + n_biases});
    });
}

// Gives a DirectSampler penalties. `recent` are the last tokens of the prompt, `last_n` at most; the repeat
// penalty looks back as many, the other two only at what the sampler chose.
CRIA_API int32_t cria_direct_penalise(void * sampler, float repeat, float presence, float frequency, int32_t last_n,
                                      const llama_token * recent, int32_t n_recent) {
    return guarded([&] {
        if (n_recent > last_n) {
            throw std::invalid_argument("more recent tokens than the repeat penalty looks at");
        }
        static_cast<cria::DirectSampler *>(sampler)->penalise(
            {repeat, presence, frequency, static_cast<size_t>(last_n), {recent, recent + n_recent}});
        return 0;
    });
}

CRIA_API void cria_direct_free(void * sampler) {
    delete static_cast<cria::DirectSampler *>(sampler);
}

// The log probabilities of `targets` [n_rows] in the rows of `logits` [n_rows][n_vocab], and those of the
// `n_top` most likely tokens of each row, into `logprobs` [n_rows].
CRIA_API int32_t cria_score_rows(const float * logits, int32_t n_rows, int32_t n_vocab, const llama_token * targets,
                                 int32_t n_top, void * logprobs) {
    return guarded([&] {
        std::atomic<bool> failed{false};
        sampling_pool().run(n_rows, [&](int i) {
            const float * row = logits + static_cast<size_t>(i) * n_vocab;
            try {
                const llama_token target = is_below(targets[i], n_vocab) ? targets[i] : LLAMA_TOKEN_NULL;
                cria::fill_logprobs(row, n_vocab, target, n_top, static_cast<cria::Logprobs *>(logprobs)[i]);
            } catch (...) {
                failed = true;
            }
        });
        if (failed) {
            throw std::runtime_error("there is no memory for log probabilities");
        }
        return 0;
    });
}

// Chooses one token per row of `logits` [n_rows][n_vocab]: as the entry of `table` [n_slots] says that
// `slots` [n_rows] names, each at most once. LLAMA_TOKEN_NULL where nothing can be chosen. `logprobs`
// [n_rows] gets what the entry asks for. The logits are left as they were.
CRIA_API int32_t cria_sample_rows(float * logits, int32_t n_rows, int32_t n_vocab, const void * table,
                                  int32_t n_slots, const int32_t * slots, llama_token * tokens, void * logprobs) {
    return guarded([&] {
        check_slots(slots, n_rows, n_slots);
        std::atomic<bool> failed{false};
        sampling_pool().run(n_rows, [&](int i) {
            const Slot & slot = static_cast<const Slot *>(table)[slots[i]];
            float * row = logits + static_cast<size_t>(i) * n_vocab;
            try {
                tokens[i] = pick(slot, row, n_vocab);
                if (!slot.is_proposal) {
                    accept(slot, tokens[i]);
                }
                cria::fill_logprobs(row, n_vocab, tokens[i], slot.num_logprobs,
                                    static_cast<cria::Logprobs *>(logprobs)[i]);
            } catch (...) {
                failed = true;
            }
        });
        if (failed) {
            throw std::runtime_error("a sampler failed");
        }
        return 0;
    });
}

// Chooses again for one row, among the tokens of the set of bits `allowed` [n_vocab, rounded up to 32]: the
// token, or LLAMA_TOKEN_NULL if none can be chosen. `logprobs` is for this row; they are the model's own.
CRIA_API int32_t cria_propose_again(const float * row, int32_t n_vocab, const void * slot, const uint32_t * allowed,
                                    void * logprobs) {
    return guarded([&] {
        const Slot & chooser = *static_cast<const Slot *>(slot);
        const llama_token token = pick(chooser, masked(row, n_vocab, allowed), n_vocab);
        cria::fill_logprobs(row, n_vocab, token, chooser.num_logprobs, *static_cast<cria::Logprobs *>(logprobs));
        return token;
    });
}

// The proposals `tokens` [n] of `slots` [n] are what was chosen.
CRIA_API int32_t cria_accept_rows(const void * table, int32_t n_slots, const int32_t * slots, const llama_token * tokens,
                                  int32_t n) {
    return guarded([&] {
        check_slots(slots, n, n_slots);
        for (int32_t i = 0; i < n; i++) {
            accept(static_cast<const Slot *>(table)[slots[i]], tokens[i]);
        }
        return 0;
    });
}

// Lets a DirectSampler choose none of `tokens` before it has chosen `count` others.
CRIA_API int32_t cria_direct_hold_back(void * sampler, const llama_token * tokens, int32_t n_tokens, int32_t count) {
    return guarded([&] {
        static_cast<cria::DirectSampler *>(sampler)->hold_back({{tokens, tokens + n_tokens}, count});
        return 0;
    });
}

// The same for a chain: its first sampler.
CRIA_API void * cria_chain_hold_back(const llama_token * tokens, int32_t n_tokens, int32_t count) {
    return made([&] { return cria::make_chain_sampler(cria::HoldBack{{{tokens, tokens + n_tokens}, count}}); });
}

// Lets a chain choose `tokens` only, which are sorted.
CRIA_API void * cria_chain_allow(const llama_token * tokens, int32_t n_tokens) {
    return made([&] { return cria::make_chain_sampler(cria::Allow{{tokens, tokens + n_tokens}}); });
}

// For the place before `typical`, `xtc` or `mirostat`.
CRIA_API void * cria_chain_drop_impossible(void) {
    return made([&] { return cria::make_chain_sampler(cria::DropImpossible{}); });
}

// For the place before `temp_ext`.
CRIA_API void * cria_chain_level(void) {
    return made([&] { return cria::make_chain_sampler(cria::Level{}); });
}

// llama_sampler_init_dry(), which tokenises, and so may throw.
CRIA_API void * cria_chain_dry(const llama_vocab * vocab, float multiplier, float base, int32_t allowed_length,
                               int32_t last_n, const char ** breakers, size_t n_breakers) {
    return made([&] {
        return llama_sampler_init_dry(vocab, multiplier, base, allowed_length, last_n, breakers, n_breakers);
    });
}

// llama_sampler_accept() for several tokens, in order.
CRIA_API int32_t cria_accept_each(llama_sampler * sampler, const llama_token * tokens, int32_t n_tokens) {
    return guarded([&] {
        for (int32_t i = 0; i < n_tokens; i++) {
            llama_sampler_accept(sampler, tokens[i]);
        }
        return 0;
    });
}
