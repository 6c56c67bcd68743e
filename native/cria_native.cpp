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
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
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

llama_token most_likely(const float * row, int32_t n_vocab) {
    return static_cast<llama_token>(std::max_element(row, row + n_vocab) - row);
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

// llama_decode() and llama_synchronize(); the return codes are llama_decode's, or EXCEPTION.
CRIA_API int32_t cria_decode(llama_context * ctx, const llama_batch * batch) {
    return guarded([&] {
        const int32_t code = llama_decode(ctx, *batch);
        if (code == 0) {
            llama_synchronize(ctx);
        }
        return code;
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

// Chooses one token per row of `logits` [n_rows][n_vocab]: with the row's chain, which remembers the
// choice, or, where that is NULL, the most likely one. LLAMA_TOKEN_NULL where nothing can be chosen.
CRIA_API int32_t cria_sample_rows(const float * logits, int32_t n_rows, int32_t n_vocab,
                                  llama_sampler * const * chains, llama_token * tokens) {
    return guarded([&] {
        std::atomic<bool> failed{false};
        sampling_pool().run(n_rows, [&](int i) {
            const float * row = logits + static_cast<size_t>(i) * n_vocab;
            try {
                tokens[i] = chains[i] ? draw(chains[i], row, n_vocab) : most_likely(row, n_vocab);
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
