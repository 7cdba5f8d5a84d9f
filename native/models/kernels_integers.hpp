#pragma once
// Products of small whole numbers, exact; for kernels_body.hpp alone.

#include "models/kernels_vector.hpp"

namespace ringcraft {
namespace {

typedef std::int16_t Halves __attribute__((vector_size(RINGCRAFT_VECTOR_BYTES / 2)));

/// sums + the two products of each lane's pairs of 16 bits.
RINGCRAFT_INLINE Ints add_pairs(Ints sums, Ints a, Ints b) noexcept {
#if defined(__AVX512VNNI__)
  return Ints(_mm512_dpwssd_epi32(__m512i(sums), __m512i(a), __m512i(b)));
#elif defined(__AVX512BW__)
  return sums + Ints(_mm512_madd_epi16(__m512i(a), __m512i(b)));
#elif defined(__AVX2__)
  return sums + Ints(_mm256_madd_epi16(__m256i(a), __m256i(b)));
#else
  const Ints low = ((a << 16) >> 16) * ((b << 16) >> 16);
  return sums + low + (a >> 16) * (b >> 16);
#endif
}

/// Whether something in a row is NaN, which whole numbers cannot say: 0 or NaN, at the end of its scratch.
RINGCRAFT_INLINE float nan_of(const std::int16_t* row, std::size_t x_row) noexcept {
  float nan;
  __builtin_memcpy(&nan, row + x_row - 2, sizeof nan);
  return nan;
}

/// Numbers as whole steps from their zero, as `quantize` rounds them; the last pair of an odd row ends in 0.
RINGCRAFT_INLINE void round_row(const IntegerLinear& layer, const float* x, std::int16_t* to,
                                std::size_t x_row) noexcept {
  Floats none{};
  float last = 0;
  for (std::size_t i = 0; i < layer.inputs; i += kLanes) {
    const Floats whole = whole_steps(load(x + i), layer.x) - layer.x.zero;
    const Halves halves = __builtin_convertvector(__builtin_convertvector(whole, Ints), Halves);
    __builtin_memcpy(to + i, &halves, sizeof halves);
    if (i + kLanes <= layer.inputs) {
      none += whole - whole;
      continue;
    }
    for (std::size_t lane = 0; i + lane < layer.inputs; ++lane) {
      last += whole[lane] - whole[lane];
    }
  }
  to[layer.inputs] = 0;
  last += sum_of(none);
  __builtin_memcpy(to + x_row - 2, &last, sizeof last);
}

template <std::size_t kRows, std::size_t kWide>
RINGCRAFT_INLINE void integer_panel(const IntegerLinear& layer, const std::int16_t* panel, std::size_t first,
                                    const std::int16_t* x, std::size_t x_row, float* y) noexcept {
  Ints sums[kRows][kWide] = {};
  for (std::size_t pair = 0; 2 * pair < layer.inputs; ++pair) {
    Ints weights[kWide];
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kWide; ++v) {
      __builtin_memcpy(&weights[v], panel + (pair * kWide + v) * 2 * kLanes, sizeof weights[v]);
    }
#pragma GCC unroll 8
    for (std::size_t row = 0; row < kRows; ++row) {
      std::int32_t both;
      __builtin_memcpy(&both, x + row * x_row + 2 * pair, sizeof both);
      const Ints one = both - Ints{};
#pragma GCC unroll 8
      for (std::size_t v = 0; v < kWide; ++v) {
        sums[row][v] = add_pairs(sums[row][v], weights[v], one);
      }
    }
  }
#pragma GCC unroll 8
  for (std::size_t row = 0; row < kRows; ++row) {
    const float nan = nan_of(x + row * x_row, x_row);
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kWide; ++v) {
      const std::size_t column = first + v * kLanes;
      const Floats sum = __builtin_convertvector(sums[row][v], Floats);
      const Floats value = sum * load(layer.factors + column) + (load(layer.bias + column) + nan);
      if (column < layer.outputs) {
        store_some(y + row * layer.outputs + column, activated(layer.activation, layer.slope, value),
                   layer.outputs - column);
      }
    }
  }
}

template <std::size_t kWide>
RINGCRAFT_INLINE const std::int16_t* integer_panels(const IntegerLinear& layer, const std::int16_t* panel,
                                                    std::size_t first, const std::int16_t* x,
                                                    std::size_t x_row, float* y, std::size_t rows) noexcept {
  std::size_t row = 0;
  for (; row + 2 <= rows; row += 2) {
    integer_panel<2, kWide>(layer, panel, first, x + row * x_row, x_row, y + row * layer.outputs);
  }
  if (row < rows) {
    integer_panel<1, kWide>(layer, panel, first, x + row * x_row, x_row, y + row * layer.outputs);
  }
  return panel + (layer.inputs + 1) / 2 * 2 * kWide * kLanes;
}

void run_integers(const IntegerLinear& layer, const float* x, std::int16_t* rounded, float* y,
                  std::size_t rows) noexcept {
  const std::size_t x_row = padded(layer.inputs, kSlack) + kSlack;
  for (std::size_t row = 0; row < rows; ++row) {
    round_row(layer, x + row * layer.inputs, rounded + row * x_row, x_row);
  }
  const std::int16_t* panel = layer.weights;
  std::size_t first = 0;
  for (; first + 3 * kLanes < layer.outputs; first += 4 * kLanes) {
    panel = integer_panels<4>(layer, panel, first, rounded, x_row, y, rows);
  }
  for (; first < layer.outputs; first += kLanes) {
    panel = integer_panels<1>(layer, panel, first, rounded, x_row, y, rows);
  }
}

}  // namespace
}  // namespace ringcraft
