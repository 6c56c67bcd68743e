// Finds the few large logits of a row without sorting, copying or even comparing all of them.
#pragma once

#include "vector_math.h"

#include "llama.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

namespace cria {

struct Candidate {
    float logit;
    llama_token token;
};

// By falling logit; of equal ones, the lower id first.
inline bool likelier(const Candidate & a, const Candidate & b) {
    return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
}

// What is known of a row after one fast pass over it: the largest logit of each group of 32.
// One per thread at a time, because the memory is the thread's.
class RowScan {
public:
    RowScan(const float * row, int32_t n_vocab) :
        row(row), n_vocab(n_vocab), n_tiles((n_vocab + TILE - 1) / TILE), maxima(scratch().maxima) {
        maxima.resize(n_tiles * LANES);
        group_maxima(row, n_vocab, maxima.data());
        float lanes[LANES];
        fold_maxima(maxima.data(), n_tiles, 1, lanes);
        maximum = *std::max_element(lanes, lanes + LANES);
    }

    // The largest logit; -infinity if all are banned or none is a number.
    float maximum;

    // An infinite logit is no number either.
    bool has_choice() const { return maximum > -INFINITY && maximum < INFINITY; }

    // The first of the most likely tokens.
    llama_token most_likely() const {
        if (!has_choice()) {
            return LLAMA_TOKEN_NULL;
        }
        std::vector<Candidate> & equals = scratch().equals;
        keep_from(maximum, equals);
        return equals.front().token;
    }

    // The tokens with logits of `least` and more, by id.
    void keep_from(float least, std::vector<Candidate> & kept) const {
        std::vector<Candidate> & room = scratch().room;
        room.resize(n_vocab + 1);
        Candidate * end = room.data();
        // Writing every time is faster than a branch that nobody can predict.
        const auto keep_if = [&](llama_token token) {
            *end = {row[token], token};
            end += row[token] >= least;
        };
        for (int32_t start = 0; start < n_vocab; start += TILE) {
            int lanes[LANES];
            const int n_lanes = lanes_from(least, start / TILE, lanes);
            const int32_t stop = n_lanes > 0 ? std::min(start + TILE, n_vocab) : start;
            if (n_lanes > LANES / 4 || stop < start + TILE) {
                for (llama_token token = start; token < stop; token++) {
                    keep_if(token);
                }
                continue;
            }
            for (int32_t line = start; line < stop; line += LANES) {
                for (int i = 0; i < n_lanes; i++) {
                    keep_if(line + lanes[i]);
                }
            }
        }
        kept.assign(room.data(), end);
    }

    // The k most likely tokens, ordered by likelier(): what llama.cpp's top-k keeps, but for equal
    // logits, among which it takes and orders any. What is not a number is left out.
    void keep_top(int32_t k, std::vector<Candidate> & kept) const {
        kept.clear();
        if (k <= 0) {
            return;
        }
        keep_from(bound_of_top(k), kept);
        if (kept.size() > static_cast<size_t>(k)) {
            std::nth_element(kept.begin(), kept.begin() + k, kept.end(), likelier);
            kept.resize(k);
        }
        std::sort(kept.begin(), kept.end(), likelier);
    }

    // A logit that at least k logits reach: as many sets of logits have one.
    float bound_of_top(int32_t k) const {
        if (k > n_tiles * LANES) {
            return -INFINITY;
        }
        // With eight times as many sets, a handful of logits more than k reach the bound.
        const int32_t n_lines = std::min(n_tiles, k / (LANES / 8) + 1);
        std::vector<float> & folded = scratch().folded;
        folded.resize(n_lines * LANES);
        fold_maxima(maxima.data(), n_tiles, n_lines, folded.data());
        std::nth_element(folded.begin(), folded.begin() + (k - 1), folded.end(), std::greater<float>());
        return folded[k - 1];
    }

    // The sum of e^(logit - maximum) over all tokens, the terms in single precision, the sum in double.
    double sum_of_exponentials() const {
        float weights[TILE];
        double sum = 0.0;
        for (int32_t start = 0; start < n_vocab; start += TILE) {
            sum += softmax_weights(row + start, std::min(TILE, n_vocab - start), 1.0f, maximum, weights);
        }
        return sum;
    }

private:
    struct Scratch {
        std::vector<float> maxima, folded;
        std::vector<Candidate> room, equals;
    };

    static Scratch & scratch() {
        thread_local Scratch instance;
        return instance;
    }

    // The groups of a tile that have a logit of `least` or more.
    int lanes_from(float least, int32_t tile, int * lanes) const {
        const float * line = maxima.data() + tile * LANES;
        int n_lanes = 0;
        for (int lane = 0; lane < LANES; lane++) {
            lanes[n_lanes] = lane;
            n_lanes += line[lane] >= least;
        }
        return n_lanes;
    }

    const float * row;
    const int32_t n_vocab, n_tiles;
    std::vector<float> & maxima;  // [n_tiles][LANES]
};

}  // namespace cria
