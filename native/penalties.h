// llama.cpp's penalties for tokens that occurred, without looking at those that did not.
#pragma once

#include "llama.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace cria {

// Changes of single logits of a row, which are taken back in the end: the row stays the model's.
// One per thread at a time, because the memory is the thread's.
class RowEdits {
public:
    RowEdits(float * row, int32_t n_vocab) : row(row), n_vocab(n_vocab), originals(scratch()) { originals.clear(); }

    ~RowEdits() {
        for (auto entry = originals.rbegin(); entry != originals.rend(); ++entry) {
            row[entry->token] = entry->bias;
        }
    }

    RowEdits(const RowEdits &) = delete;
    RowEdits & operator=(const RowEdits &) = delete;

    // logit = change(logit), where there is such a token.
    template <typename Change> void edit(llama_token token, Change change) {
        if (token >= 0 && token < n_vocab) {
            originals.push_back({token, row[token]});
            row[token] = change(row[token]);
        }
    }

private:
    static std::vector<llama_logit_bias> & scratch() {
        thread_local std::vector<llama_logit_bias> instance;
        return instance;
    }

    float * row;
    const int32_t n_vocab;
    std::vector<llama_logit_bias> & originals;
};

// How often each token occurred; only those that did have an entry.
class TokenCounts {
public:
    using Entry = std::pair<llama_token, int32_t>;

    void add(llama_token token) {
        const auto entry = find(token);
        if (entry != counts.end() && entry->first == token) {
            entry->second++;
        } else {
            counts.insert(entry, {token, 1});
        }
    }

    void remove(llama_token token) {
        const auto entry = find(token);
        if (--entry->second == 0) {
            counts.erase(entry);
        }
    }

    // As if each token were added: a long prompt would have them moved about otherwise.
    void assign(std::vector<llama_token> tokens) {
        counts.clear();
        std::sort(tokens.begin(), tokens.end());
        for (llama_token token : tokens) {
            if (counts.empty() || counts.back().first != token) {
                counts.push_back({token, 0});
            }
            counts.back().second++;
        }
    }

    std::vector<Entry>::const_iterator begin() const { return counts.begin(); }
    std::vector<Entry>::const_iterator end() const { return counts.end(); }

private:
    std::vector<Entry>::iterator find(llama_token token) {
        return std::lower_bound(counts.begin(), counts.end(), Entry{token, 0});
    }

    std::vector<Entry> counts;  // by token; the counts are positive
};

// The repeat penalty divides (or multiplies, if negative) the logits of what occurred in the last tokens,
// the prompt's included. The other two subtract from what was generated: `presence` once, `frequency`
// for each time.
class Penalties {
public:
    Penalties() = default;

    // `recent` are the last tokens of the prompt, `last_n` at most.
    Penalties(float repeat, float presence, float frequency, size_t last_n, std::vector<llama_token> recent) :
        repeat(repeat), presence(presence), frequency(frequency), last_n(repeat == 1.0f ? 0 : last_n) {
        if (this->last_n > 0) {
            window = std::move(recent);
            in_window.assign(window);
        }
    }

    void apply(RowEdits & edits) const {
        for (const auto & [token, count] : in_window) {
            edits.edit(token, [&](float logit) { return logit <= 0.0f ? logit * repeat : logit / repeat; });
        }
        for (const auto & [token, count] : generated) {
            const float penalty = static_cast<float>(count) * frequency + presence;
            edits.edit(token, [&](float logit) { return logit - penalty; });
        }
    }

    void accept(llama_token token) {
        if (presence != 0.0f || frequency != 0.0f) {
            generated.add(token);
        }
        if (last_n == 0) {
            return;
        }
        in_window.add(token);
        if (window.size() < last_n) {
            window.push_back(token);
        } else {
            in_window.remove(window[oldest]);
            window[oldest] = token;
            oldest = (oldest + 1) % last_n;
        }
    }

private:
    float repeat = 1.0f, presence = 0.0f, frequency = 0.0f;
    size_t last_n = 0;
    std::vector<llama_token> window;  // a ring once it is full
    size_t oldest = 0;
    TokenCounts in_window, generated;
};

}  // namespace cria
