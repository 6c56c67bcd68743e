// Passes over all logits of a row, written so that compilers vectorise them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace cria {

// The widest SIMD instructions of the machine at hand, chosen when the library is loaded.
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__)
#define CRIA_SIMD __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CRIA_SIMD
#endif

constexpr int LANES = 32;  // independent partial results: what lets a compiler vectorise a reduction

// e^x for x <= 0 within 2 units in the last place, in a form that compilers vectorise: 2^n * e^r with
// |r| <= ln(2), e^r by its series (Cody and Waite's splitting of ln 2 keeps r exact). 0 below e^-88,
// and for what is not a number. Nothing after the series may choose between values: GCC would not
// vectorise it any more.
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

// weights[i] = e^(row[i] / temperature - maximum / temperature); returns their sum. In single
// precision: for rows of some thousands at most.
CRIA_SIMD static float softmax_weights(const float * row, int n, float temperature, float maximum, float * weights) {
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

// A tile is DEPTH lines of LANES logits; a group is what stands below each other in a tile.
constexpr int DEPTH = 32;
constexpr int TILE = LANES * DEPTH;

// The largest logit of each group of a row, LANES for each tile; what is not a number counts as
// -infinity. Groups instead of stretches of a row, because this takes no longer than the maximum alone.
CRIA_SIMD static void group_maxima(const float * row, int n, float * maxima) {
    std::fill(maxima, maxima + (n + TILE - 1) / TILE * LANES, -INFINITY);
    int start = 0;
    for (; start + TILE <= n; start += TILE) {
        float lanes[LANES];
        std::fill(lanes, lanes + LANES, -INFINITY);
        for (int i = start; i < start + TILE; i += LANES) {
            for (int lane = 0; lane < LANES; lane++) {
                lanes[lane] = row[i + lane] > lanes[lane] ? row[i + lane] : lanes[lane];
            }
        }
        std::copy(lanes, lanes + LANES, maxima);
        maxima += LANES;
    }
    for (int i = start; i < n; i++) {
        float & maximum = maxima[i % LANES];
        maximum = row[i] > maximum ? row[i] : maximum;
    }
}

// folded[i] [n_lines][LANES] is the largest of every n_lines-th line of `maxima` [n_tiles][LANES].
CRIA_SIMD static void fold_maxima(const float * maxima, int n_tiles, int n_lines, float * folded) {
    std::copy(maxima, maxima + n_lines * LANES, folded);
    for (int start = n_lines; start < n_tiles; start += n_lines) {
        const float * lines = maxima + start * LANES;
        const int n = std::min(n_lines, n_tiles - start) * LANES;
        for (int i = 0; i < n; i++) {
            folded[i] = lines[i] > folded[i] ? lines[i] : folded[i];
        }
    }
}

}  // namespace cria
