// Chooses the tokens of one sequence.
#pragma once

#include "held_back.h"
#include "penalties.h"
#include "row_scan.h"
#include "vector_math.h"

#include "llama.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace cria {

struct Truncation {
    int32_t top_k;  // 0 keeps all
    float top_p;    // 1 keeps all
    float min_p;    // 0 keeps all
};

// The same random numbers and the same distribution as llama.cpp's chain of `logit_bias`, `penalties`,
// `top_k`, `top_p`, `min_p`, `temp` and `dist` (or `greedy` at temperature 0), but without a list of all
// candidates and without sorting it.
class DirectSampler {
public:
    DirectSampler(float temperature, Truncation truncation, uint32_t seed, std::vector<llama_logit_bias> biases) :
        temperature(temperature), truncation(truncation), rng(seed), biases(std::move(biases)) {}

    void penalise(Penalties with) { penalties = std::move(with); }

    void hold_back(HeldBack tokens) { held_back = std::move(tokens); }

    // Leaves the row as it was; the choice counts when it is accepted.
    llama_token pick(float * row, int32_t n_vocab) {
        RowEdits edits(row, n_vocab);
        for (const llama_logit_bias & entry : biases) {
            edits.edit(entry.token, [&](float logit) { return logit + entry.bias; });
        }
        penalties.apply(edits);
        held_back.for_each([&](llama_token token) { edits.edit(token, [](float) { return -INFINITY; }); });
        return choose(row, n_vocab);
    }

    void accept(llama_token token) {
        penalties.accept(token);
        held_back.count();
    }

private:
    static constexpr int32_t MOSTLY_ENOUGH = 512;  // tokens that nearly every nucleus is within

    struct Scratch {
        std::vector<float> weights;
        std::vector<double> ends;  // running sum of the weights at the end of each tile
        std::vector<Candidate> kept;
    };

    static Scratch & scratch() {
        thread_local Scratch instance;
        return instance;
    }

    llama_token choose(const float * row, int32_t n_vocab) {
        const RowScan scan(row, n_vocab);
        if (temperature <= 0.0f || !scan.has_choice()) {
            return scan.most_likely();
        }
        if (truncation.top_k <= 0 && truncation.top_p >= 1.0f && truncation.min_p <= 0.0f) {
            return draw_from_all(row, n_vocab, scan.maximum);
        }
        return draw_from(candidates(scan, n_vocab), scan.maximum);
    }

    double random() { return std::uniform_real_distribution<double>(0.0, 1.0)(rng); }

    llama_token draw_from_all(const float * row, int32_t n_vocab, float maximum) {
        Scratch & s = scratch();
        s.weights.resize(n_vocab);
        s.ends.clear();
        double sum = 0.0;
        for (int32_t start = 0; start < n_vocab; start += TILE) {
            const int n = std::min(TILE, n_vocab - start);
            sum += softmax_weights(row + start, n, temperature, maximum, s.weights.data() + start);
            s.ends.push_back(sum);
        }
        const double target = sum * random();
        const auto tile = std::lower_bound(s.ends.begin(), s.ends.end(), target) - s.ends.begin();
        double running = tile == 0 ? 0.0 : s.ends[tile - 1];
        llama_token chosen = LLAMA_TOKEN_NULL;  // rounding may leave the sum short of the target
        for (int32_t token = static_cast<int32_t>(tile) * TILE; token < n_vocab; token++) {
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

    // What top-k, top-p and min-p leave: by falling probability, or by id if only min-p cuts.
    const std::vector<Candidate> & candidates(const RowScan & scan, int32_t n_vocab) const {
        std::vector<Candidate> & kept = scratch().kept;
        const float least = truncation.min_p > 0.0f ? scan.maximum + std::log(truncation.min_p) : -INFINITY;
        if (truncation.top_k > 0) {
            scan.keep_top(truncation.top_k, kept);
            if (truncation.top_p < 1.0f) {
                end_nucleus(kept, scan.maximum, truncation.top_p * sum_of_weights(kept, scan.maximum));
            }
        } else if (truncation.top_p < 1.0f) {
            keep_nucleus(scan, n_vocab, kept);
        } else {
            scan.keep_from(least, kept);
            return kept;
        }
        while (!kept.empty() && kept.back().logit < least) {
            kept.pop_back();
        }
        return kept;
    }

    static double sum_of_weights(const std::vector<Candidate> & kept, float maximum) {
        double sum = 0.0;
        for (const Candidate & candidate : kept) {
            sum += exp_negative(candidate.logit - maximum);
        }
        return sum;
    }

    // Drops what comes after the first candidates that have the wanted weight together.
    static void end_nucleus(std::vector<Candidate> & kept, float maximum, double wanted) {
        double running = 0.0;
        size_t size = 0;
        while (size < kept.size() && (size == 0 || running < wanted)) {
            running += exp_negative(kept[size++].logit - maximum);
        }
        kept.resize(size);
    }

    // Top-p of all tokens, by falling probability.
    void keep_nucleus(const RowScan & scan, int32_t n_vocab, std::vector<Candidate> & kept) const {
        const double sum = scan.sum_of_exponentials();
        const double wanted = truncation.top_p * sum;
        // Tokens below an equal share of what top-p may drop can all be dropped at once.
        const double droppable = 0.999 * (1.0 - truncation.top_p) * sum / n_vocab;
        const float negligible = scan.maximum + static_cast<float>(std::log(droppable));
        scan.keep_from(std::max(negligible, scan.bound_of_top(MOSTLY_ENOUGH)), kept);
        if (!pop_nucleus(kept, scan.maximum, wanted)) {
            scan.keep_from(negligible, kept);
            pop_nucleus(kept, scan.maximum, wanted);
        }
    }

    // What end_nucleus() leaves, of candidates in any order: pops the most likely ones off a heap.
    static bool pop_nucleus(std::vector<Candidate> & kept, float maximum, double wanted) {
        const auto less = [](const Candidate & a, const Candidate & b) { return likelier(b, a); };
        std::make_heap(kept.begin(), kept.end(), less);
        auto end = kept.end();
        double running = 0.0;
        while (end != kept.begin() && (end == kept.end() || running < wanted)) {
            std::pop_heap(kept.begin(), end, less);
            running += exp_negative((--end)->logit - maximum);
        }
        kept.erase(kept.begin(), end);
        std::reverse(kept.begin(), kept.end());
        return running >= wanted;
    }

    llama_token draw_from(const std::vector<Candidate> & kept, float maximum) {
        std::vector<float> & weights = scratch().weights;
        weights.resize(kept.size());
        const float top = maximum / temperature;
        double sum = 0.0;
        for (size_t i = 0; i < kept.size(); i++) {
            weights[i] = exp_negative(kept[i].logit / temperature - top);
            sum += weights[i];
        }
        const double target = sum * random();
        double running = 0.0;
        for (size_t i = 0; i < kept.size(); i++) {
            running += weights[i];
            if (running >= target) {
                return kept[i].token;
            }
        }
        return kept.empty() ? LLAMA_TOKEN_NULL : kept.back().token;
    }

    float temperature;
    Truncation truncation;
    std::mt19937 rng;
    std::vector<llama_logit_bias> biases;
    Penalties penalties;
    HeldBack held_back;
};

}  // namespace cria
