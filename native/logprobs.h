// The logarithms of the model's own probabilities: before biases, penalties and temperature.
#pragma once

#include "row_scan.h"

#include "llama.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace cria {

constexpr int MAX_TOP_LOGPROBS = 20;

// Mirrored by LOGPROBS of cria/native/row_sampling.py.
struct Logprobs {
    int32_t count;  // of the most likely tokens; -1 if nothing was asked for, or no token was chosen
    float chosen;
    llama_token tokens[MAX_TOP_LOGPROBS];  // by falling probability; of equal ones, the lower id first
    float values[MAX_TOP_LOGPROBS];
};

// Those of the chosen token and of the `wanted` most likely ones; of none if `wanted` is negative.
inline void fill_logprobs(const float * row, int32_t n_vocab, llama_token chosen, int32_t wanted, Logprobs & result) {
    result.count = -1;
    if (wanted < 0 || chosen == LLAMA_TOKEN_NULL) {
        return;
    }
    thread_local std::vector<Candidate> top;
    const RowScan scan(row, n_vocab);
    const double log_sum = scan.maximum + std::log(scan.sum_of_exponentials());
    scan.keep_top(std::min({wanted, MAX_TOP_LOGPROBS, n_vocab}), top);
    result.count = static_cast<int32_t>(top.size());
    result.chosen = static_cast<float>(row[chosen] - log_sum);
    for (size_t i = 0; i < top.size(); i++) {
        result.tokens[i] = top[i].token;
        result.values[i] = static_cast<float>(top[i].logit - log_sum);
    }
}

}  // namespace cria
