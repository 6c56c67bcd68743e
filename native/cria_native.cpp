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

#include "ggml.h"
#include "llama.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#define CRIA_API extern "C" __attribute__((visibility("default")))

namespace {

// Distinct from llama.cpp's codes: some of its functions return "minus the size needed".
constexpr int EXCEPTION = INT32_MIN + 1;

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

// Threads that wait for work: run(n, task) calls task(0) .. task(n - 1), each once, on the caller's
// thread and on `size` others, and returns when all are done. The tasks must not throw.
class Pool {
public:
    ~Pool() { resize(0); }

    void resize(int size) {
        {
            std::lock_guard<std::mutex> lock(mutex);
            stopping = true;
        }
        wake.notify_all();
        for (std::thread & thread : threads) {
            thread.join();
        }
        threads.clear();
        stopping = false;
        while (static_cast<int>(threads.size()) < size) {
            threads.emplace_back([this, seen = round]() mutable { serve(seen); });
        }
    }

    void run(int n, const std::function<void(int)> & task) {
        if (n == 1) {  // waking somebody takes longer
            task(0);
            return;
        }
        {
            std::lock_guard<std::mutex> lock(mutex);
            current = &task;
            count = n;
            next = 0;
            busy = static_cast<int>(threads.size());
            round++;
        }
        wake.notify_all();
        work(task, n);
        std::unique_lock<std::mutex> lock(mutex);
        done.wait(lock, [this] { return busy == 0; });
        current = nullptr;
    }

private:
    void serve(uint64_t seen) {
        std::unique_lock<std::mutex> lock(mutex);
        while (true) {
            wake.wait(lock, [&] { return stopping || round != seen; });
            if (stopping) {
                return;
            }
            seen = round;
            const std::function<void(int)> & task = *current;
            const int n = count;
            lock.unlock();
            work(task, n);
            lock.lock();
            if (--busy == 0) {
                done.notify_one();
            }
        }
    }

    void work(const std::function<void(int)> & task, int n) {
        for (int i = next++; i < n; i = next++) {
            task(i);
        }
    }

    std::mutex mutex;
    std::condition_variable wake, done;
    std::vector<std::thread> threads;
    const std::function<void(int)> * current = nullptr;
    std::atomic<int> next{0};
    int count = 0;
    int busy = 0;
    uint64_t round = 0;
    bool stopping = false;
};

Pool & sampling_pool() {
    static Pool * instance = new Pool;  // never destroyed: its threads may outlive main()
    return *instance;
}

// The widest SIMD instructions of the machine at hand, chosen when the library is loaded.
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__)
#define CRIA_SIMD __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CRIA_SIMD
#endif

// e^x for x <= 0 within 2 units in the last place, in a form that compilers vectorise: 2^n * e^r with
// |r| <= ln(2), e^r by its series (Cody and Waite's splitting of ln 2 keeps r exact). 0 below e^-88.
inline float exp_negative(float exponent) {
    const float x = exponent > -200.0f ? exponent : -200.0f;
    const int32_t whole = static_cast<int32_t>(x * 1.44269504f - 0.5f);
    const int32_t n = whole > -127 ? whole : -127;  // 2^-127 has the bits of 0
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float series = 1.0f / 5040;
    series = series * r + 1.0f / 720;
    series = series * r + 1.0f / 120;
    series = series * r + 1.0f / 24;
    series = series * r + 1.0f / 6;
    series = series * r + 0.5f;
    series = series * r + 1.0f;
    series = series * r + 1.0f;
    const int32_t bits = (n + 127) << 23;
    float power;
    std::memcpy(&power, &bits, sizeof(power));
    return series * power;
}

constexpr int LANES = 32;  // independent partial results: what lets a compiler vectorise a reduction

// weights[i] = e^(row[i] / temperature - maximum / temperature); returns their sum.
CRIA_SIMD float softmax_weights(const float * row, int n, float temperature, float maximum, float * weights) {
    const float top = maximum / temperature;
    for (int i = 0; i < n; i++) {
        weights[i] = exp_negative(row[i] / temperature - top);
    }
    float sums[LANES] = {};
    int i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            sums[lane] += weights[i + lane];
        }
    }
    for (; i < n; i++) {
        sums[0] += weights[i];
    }
    float sum = 0.0f;
    for (float part : sums) {
        sum += part;
    }
    return sum;
}

CRIA_SIMD float maximum_of(const float * row, int n) {
    float maxima[LANES];
    std::fill(maxima, maxima + LANES, row[0]);
    int i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            maxima[lane] = row[i + lane] > maxima[lane] ? row[i + lane] : maxima[lane];
        }
    }
    for (; i < n; i++) {
        maxima[0] = row[i] > maxima[0] ? row[i] : maxima[0];
    }
    return *std::max_element(maxima, maxima + LANES);
}

// Biases, temperature, top-p and min-p without top-k and penalties, which is what OpenAI's parameters
// mostly amount to. The same random numbers and the same distribution as llama.cpp's chain of
// `logit_bias`, `top_p`, `min_p`, `temp` and `dist` (or `greedy` at temperature 0), but without a list
// of all candidates and without sorting it.
class DirectSampler {
public:
    DirectSampler(float temperature, float top_p, float min_p, uint32_t seed,
                  std::vector<llama_logit_bias> biases) :
        temperature(temperature), top_p(top_p), min_p(min_p), rng(seed), biases(std::move(biases)) {}

    // Adds the biases to the row, which nobody reads after this.
    llama_token draw(float * row, int32_t n_vocab) {
        for (const llama_logit_bias & entry : biases) {
            if (entry.token < n_vocab) {
                row[entry.token] += entry.bias;
            }
        }
        const float maximum = maximum_of(row, n_vocab);
        if (!(maximum > -INFINITY)) {
            return LLAMA_TOKEN_NULL;  // every token is banned, or a logit is not a number
        }
        if (temperature <= 0.0f) {
            return static_cast<llama_token>(std::find(row, row + n_vocab, maximum) - row);
        }
        if (top_p >= 1.0f && min_p <= 0.0f) {
            return draw_from_all(row, n_vocab, maximum);
        }
        return draw_from(candidates(row, n_vocab, maximum), row, maximum);
    }

private:
    static constexpr int32_t BLOCK = 1024;

    struct Scratch {
        std::vector<float> weights;
        std::vector<double> ends;  // running sum of the weights at the end of each block
        std::vector<llama_token> kept;
    };

    static Scratch & scratch() {
        thread_local Scratch instance;
        return instance;
    }

    double random() {
        return std::uniform_real_distribution<double>(0.0, 1.0)(rng);
    }

    // The weights of all tokens, and their sum.
    static double weigh(const float * row, int32_t n_vocab, float temperature, float maximum) {
        Scratch & s = scratch();
        s.weights.resize(n_vocab);
        s.ends.clear();
        double sum = 0.0;
        for (int32_t start = 0; start < n_vocab; start += BLOCK) {
            const int n = std::min(BLOCK, n_vocab - start);
            sum += softmax_weights(row + start, n, temperature, maximum, s.weights.data() + start);
            s.ends.push_back(sum);
        }
        return sum;
    }

    llama_token draw_from_all(const float * row, int32_t n_vocab, float maximum) {
        const double target = weigh(row, n_vocab, temperature, maximum) * random();
        const Scratch & s = scratch();
        const auto block = std::lower_bound(s.ends.begin(), s.ends.end(), target) - s.ends.begin();
        double running = block == 0 ? 0.0 : s.ends[block - 1];
        llama_token chosen = LLAMA_TOKEN_NULL;  // rounding may leave the sum short of the target
        for (int32_t token = static_cast<int32_t>(block) * BLOCK; token < n_vocab; token++) {
            if (s.weights[token] > 0.0f) {
                chosen = token;
                running += s.weights[token];
                if (running >= target) {
                    break;
                }
            }
        }
        return chosen;
    }

    // The tokens that top-p and min-p leave: by falling probability, or by id if only min-p cuts.
    const std::vector<llama_token> & candidates(const float * row, int32_t n_vocab, float maximum) {
        Scratch & s = scratch();
        if (top_p >= 1.0f) {
            s.weights.resize(n_vocab);
            keep_from(row, n_vocab, maximum + std::log(min_p));
            return s.kept;
        }
        const double sum = weigh(row, n_vocab, 1.0f, maximum);
        // Tokens below an equal share of what top-p may drop can all be dropped at once.
        const double droppable = (1.0 - top_p) * sum / n_vocab;
        keep_from(s.weights.data(), n_vocab, std::max(static_cast<float>(droppable), min_p));
        keep_nucleus(top_p * sum);
        return s.kept;
    }

    static void keep_from(const float * values, int32_t n_vocab, float least) {
        Scratch & s = scratch();
        s.kept.clear();
        for (llama_token token = 0; token < n_vocab; token++) {
            if (values[token] >= least) {
                s.kept.push_back(token);
            }
        }
    }

    // Pops the most likely tokens off a heap until they have the wanted weight together.
    static void keep_nucleus(double wanted) {
        Scratch & s = scratch();
        const auto less = [&](llama_token a, llama_token b) {
            return s.weights[a] < s.weights[b] || (s.weights[a] == s.weights[b] && a > b);
        };
        std::make_heap(s.kept.begin(), s.kept.end(), less);
        auto end = s.kept.end();
        double running = 0.0;
        while (end != s.kept.begin()) {
            std::pop_heap(s.kept.begin(), end, less);
            running += s.weights[*--end];
            if (running >= wanted) {
                break;
            }
        }
        s.kept.erase(s.kept.begin(), end);
        std::reverse(s.kept.begin(), s.kept.end());
    }

    llama_token draw_from(const std::vector<llama_token> & tokens, const float * row, float maximum) {
        std::vector<float> & weights = scratch().weights;
        double sum = 0.0;
        for (llama_token token : tokens) {
            weights[token] = exp_negative(row[token] / temperature - maximum / temperature);
            sum += weights[token];
        }
        const double target = sum * random();
        double running = 0.0;
        for (llama_token token : tokens) {
            running += weights[token];
            if (running >= target) {
                return token;
            }
        }
        return tokens.empty() ? LLAMA_TOKEN_NULL : tokens.back();
    }

    float temperature, top_p, min_p;
    std::mt19937 rng;
    std::vector<llama_logit_bias> biases;
};

llama_token most_likely(const float * row, int32_t n_vocab) {
    const float maximum = maximum_of(row, n_vocab);
    const auto token = static_cast<llama_token>(std::find(row, row + n_vocab, maximum) - row);
    return token < n_vocab ? token : LLAMA_TOKEN_NULL;  // only if the logits are not numbers
}

// What llama_sampler_sample() does, on a row that is at hand: the same calls on the same candidates.
llama_token draw(llama_sampler * chain, const float * row, int32_t n_vocab) {
    thread_local std::vector<llama_token_data> candidates;
    candidates.resize(n_vocab);
    for (llama_token token = 0; token < n_vocab; token++) {
        candidates[token] = llama_token_data{token, row[token], 0.0f};
    }
    llama_token_data_array array = {candidates.data(), candidates.size(), -1, false};
    llama_sampler_apply(chain, &array);
    if (array.selected < 0 || array.selected >= static_cast<int64_t>(array.size)) {
        return LLAMA_TOKEN_NULL;  // every token is banned, or a logit is not a number
    }
    const llama_token token = array.data[array.selected].id;
    llama_sampler_accept(chain, token);
    return token;
}

void on_log(ggml_log_level level, const char * text, void *) {
    try {
        ring().append(level, text);
    } catch (...) {  // out of memory: losing a log line is the lesser evil
    }
}

}  // namespace

// Sends the log of llama.cpp and ggml to the ring, from `min_level` (enum ggml_log_level) up.
CRIA_API void cria_log_start(int32_t min_level) {
    {
        std::lock_guard<std::mutex> lock(ring().mutex);
        ring().min_level = min_level;
    }
    llama_log_set(on_log, nullptr);
    ggml_log_set(on_log, nullptr);
}

// Copies the oldest unread record, cut to `capacity` bytes with its NUL, and returns its level;
// -1 if there is none.
CRIA_API int32_t cria_log_next(char * text, size_t capacity) {
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
}

// The text of the last exception that a cria_* function of this thread caught.
CRIA_API const char * cria_last_error(void) {
    return last_error.c_str();
}

// The libllama that this library calls; Python compares it with the one that it calls.
CRIA_API void * cria_llama_identity(void) {
    return reinterpret_cast<void *>(&llama_decode);
}

// llama_decode(); a GPU may still be computing when it returns. The codes are llama_decode's, or
// EXCEPTION.
CRIA_API int32_t cria_decode(llama_context * ctx, const llama_batch * batch) {
    return guarded([&] { return llama_decode(ctx, *batch); });
}

// llama_synchronize(): waits until everything is computed. 0, or EXCEPTION.
CRIA_API int32_t cria_synchronize(llama_context * ctx) {
    return guarded([&] {
        llama_synchronize(ctx);
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

// A DirectSampler; top_p of 1 and min_p of 0 cut nothing. NULL if there is no memory.
CRIA_API void * cria_direct_init(float temperature, float top_p, float min_p, uint32_t seed,
                                 const llama_logit_bias * biases, int32_t n_biases) {
    void * sampler = nullptr;
    guarded([&] {
        sampler = new DirectSampler(temperature, top_p, min_p, seed, {biases, biases + n_biases});
        return 0;
    });
    return sampler;
}

CRIA_API void cria_direct_free(void * sampler) {
    delete static_cast<DirectSampler *>(sampler);
}

// Chooses one token per row of `logits` [n_rows][n_vocab]: with the row's chain, which remembers the
// choice; or with its DirectSampler; or, where both are NULL, the most likely one.
// LLAMA_TOKEN_NULL where nothing can be chosen. The logits may be changed.
CRIA_API int32_t cria_sample_rows(float * logits, int32_t n_rows, int32_t n_vocab,
                                  llama_sampler * const * chains, void * const * direct,
                                  llama_token * tokens) {
    return guarded([&] {
        std::atomic<bool> failed{false};
        sampling_pool().run(n_rows, [&](int i) {
            float * row = logits + static_cast<size_t>(i) * n_vocab;
            try {
                if (chains[i]) {
                    tokens[i] = draw(chains[i], row, n_vocab);
                } else if (direct[i]) {
                    tokens[i] = static_cast<DirectSampler *>(direct[i])->draw(row, n_vocab);
                } else {
                    tokens[i] = most_likely(row, n_vocab);
                }
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
