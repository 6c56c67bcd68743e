// Tokens that cannot be chosen yet.
#pragma once

#include "llama.h"

#include <cstdint>
#include <utility>
#include <vector>

namespace cria {

// Before `remaining` tokens were chosen, none of `tokens` can be.
class HeldBack {
public:
    HeldBack() = default;
    HeldBack(std::vector<llama_token> tokens, int32_t remaining) : tokens(std::move(tokens)), remaining(remaining) {}

    // Calls `ban` with each of them, as long as they are held back.
    template <typename Ban> void for_each(Ban ban) const {
        if (remaining > 0) {
            for (llama_token token : tokens) {
                ban(token);
            }
        }
    }

    // A token was chosen.
    void count() { remaining -= remaining > 0; }

private:
    std::vector<llama_token> tokens;
    int32_t remaining = 0;
};

}  // namespace cria
