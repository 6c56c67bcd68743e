// Samplers for chains of llama.cpp's that llama.cpp does not have.
#pragma once

#include "held_back.h"

#include "llama.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

namespace cria {

// `Work` has apply(llama_token_data_array &) and accept(llama_token); the sampler owns it.
template <typename Work> llama_sampler * make_chain_sampler(Work work) {
    static llama_sampler_i interface = [] {
        llama_sampler_i functions = {};
        functions.name = [](const llama_sampler *) { return "cria"; };
        functions.accept = [](llama_sampler * s, llama_token token) { static_cast<Work *>(s->ctx)->accept(token); };
        functions.apply = [](llama_sampler * s, llama_token_data_array * all) { static_cast<Work *>(s->ctx)->apply(*all); };
        functions.free = [](llama_sampler * s) { delete static_cast<Work *>(s->ctx); };
        return functions;
    }();
    return llama_sampler_init(&interface, new Work(std::move(work)));
}

// Must come first in its chain, where each token is still at the place of its id.
struct HoldBack {
    HeldBack held;

    void apply(llama_token_data_array & all) const {
        held.for_each([&](llama_token token) {
            if (token >= 0 && static_cast<size_t>(token) < all.size) {
                all.data[token].logit = -INFINITY;
            }
        });
    }

    void accept(llama_token) { held.count(); }
};

// Drops all other tokens. If none is left, all are banned.
struct Allow {
    std::vector<llama_token> tokens;  // sorted

    void apply(llama_token_data_array & all) const {
        const auto is_allowed = [&](const llama_token_data & candidate) {
            return std::binary_search(tokens.begin(), tokens.end(), candidate.id);
        };
        const auto end = std::stable_partition(all.data, all.data + all.size, is_allowed);
        if (end != all.data) {
            all.size = end - all.data;
            return;
        }
        for (size_t i = 0; i < all.size; i++) {
            all.data[i].logit = -INFINITY;
        }
    }

    void accept(llama_token) {}
};

// The largest logit; -infinity if all are banned.
inline float maximum_of(const llama_token_data_array & all) {
    float maximum = -INFINITY;
    for (size_t i = 0; i < all.size; i++) {
        maximum = std::max(maximum, all.data[i].logit);
    }
    return maximum;
}

// Drops what is banned or so unlikely that its probability would be 0 in single precision: llama.cpp's
// `typical` and `mirostat` take the logarithm of each probability, and have no order left after one of 0; and
// a token of probability 0 reaches the threshold 0 of `xtc`.
struct DropImpossible {
    static constexpr float WIDTH = 80.0f;  // e^-80, over the largest sum of a vocabulary, is a number still

    void apply(llama_token_data_array & all) const {
        const float maximum = maximum_of(all);
        const auto end = std::remove_if(all.data, all.data + all.size, [&](const llama_token_data & candidate) {
            return candidate.logit < maximum - WIDTH;
        });
        all.size = end - all.data;  // not 0: the maximum stays, and so does what is no number
    }

    void accept(llama_token) {}
};

// Makes the largest logit 0, and changes no probability: llama.cpp's dynamic temperature can come so near to 0
// that it makes infinity of any other one.
struct Level {
    void apply(llama_token_data_array & all) const {
        const float maximum = maximum_of(all);
        for (size_t i = 0; i < all.size && maximum > -INFINITY; i++) {
            all.data[i].logit -= maximum;
        }
    }

    void accept(llama_token) {}
};

}  // namespace cria
