#pragma once
// Matrix products and the LSTM's step; for kernels_body.hpp alone.

#include "models/kernels_vector.hpp"

namespace ringcraft {
namespace {

/// Adds kRows rows of x times one panel of weights, [k][kWide][lanes], to sums.
template <std::size_t kRows, std::size_t kWide>
RINGCRAFT_INLINE void add_panel(Floats (&sums)[kRows][kWide], const float* x, std::size_t x_row,
                                const float* panel, std::size_t from, std::size_t to,
                                std::size_t step) noexcept {
  for (std::size_t k = from; k < to; k += step) {
    Floats weights[kWide];
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kWide; ++v) {
      weights[v] = load(panel + (k * kWide + v) * kLanes);
    }
#pragma GCC unroll 8
    for (std::size_t row = 0; row < kRows; ++row) {
      const Floats one = splat(x[row * x_row + k]);
#pragma GCC unroll 8
      for (std::size_t v = 0; v < kWide; ++v) {
        sums[row][v] += one * weights[v];
      }
    }
  }
}

template <std::size_t kRows, std::size_t kWide>
RINGCRAFT_INLINE void finish(const Linear& layer, Floats (&sums)[kRows][kWide], std::size_t first, float* y,
                             std::size_t y_row) noexcept {
#pragma GCC unroll 8
  for (std::size_t row = 0; row < kRows; ++row) {
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kWide; ++v) {
      const std::size_t column = first + v * kLanes;
      if (column < layer.outputs) {
        store_some(y + row * y_row + column, activated(layer.activation, layer.slope, sums[row][v]),
                   layer.outputs - column);
      }
    }
  }
}

template <std::size_t kRows, std::size_t kWide>
RINGCRAFT_INLINE void panel_rows(const Linear& layer, const float* panel, std::size_t first, const float* x,
                                 std::size_t x_row, float* y, std::size_t y_row) noexcept {
  Floats sums[kRows][kWide];
#pragma GCC unroll 8
  for (std::size_t row = 0; row < kRows; ++row) {
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kWide; ++v) {
      sums[row][v] = load(layer.bias + first + v * kLanes);
    }
  }
  add_panel(sums, x, x_row, panel, 0, layer.inputs, 1);
  finish(layer, sums, first, y, y_row);
}

/// One row alone: four sums side by side hide the latency of a multiply-add.
template <std::size_t kWide>
RINGCRAFT_INLINE void panel_row(const Linear& layer, const float* panel, std::size_t first, const float* x,
                                float* y) noexcept {
  constexpr std::size_t kParts = 4;
  Floats sums[kParts][kWide] = {};
  std::size_t k = 0;
  for (; k + kParts <= layer.inputs; k += kParts) {
#pragma GCC unroll 8
    for (std::size_t part = 0; part < kParts; ++part) {
      const Floats one = splat(x[k + part]);
#pragma GCC unroll 8
      for (std::size_t v = 0; v < kWide; ++v) {
        sums[part][v] += one * load(panel + ((k + part) * kWide + v) * kLanes);
      }
    }
  }
  for (; k < layer.inputs; ++k) {
    const Floats one = splat(x[k]);
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kWide; ++v) {
      sums[0][v] += one * load(panel + (k * kWide + v) * kLanes);
    }
  }
  Floats whole[1][kWide];
#pragma GCC unroll 8
  for (std::size_t v = 0; v < kWide; ++v) {
    whole[0][v] =
        (sums[0][v] + sums[1][v]) + (sums[2][v] + sums[3][v]) + load(layer.bias + first + v * kLanes);
  }
  finish(layer, whole, first, y, 0);
}

/// One row alone, summed in the order in which it is among others: panels side by side hide the latency.
template <std::size_t kPanels>
RINGCRAFT_INLINE void panels_row(const Linear& layer, const float* panel, std::size_t first, const float* x,
                                 float* y) noexcept {
  const std::size_t apart = layer.inputs * 2 * kLanes;
  Floats sums[kPanels][1][2];
#pragma GCC unroll 8
  for (std::size_t p = 0; p < kPanels; ++p) {
    sums[p][0][0] = load(layer.bias + first + p * 2 * kLanes);
    sums[p][0][1] = load(layer.bias + first + p * 2 * kLanes + kLanes);
  }
  for (std::size_t k = 0; k < layer.inputs; ++k) {
    const Floats one = splat(x[k]);
#pragma GCC unroll 8
    for (std::size_t p = 0; p < kPanels; ++p) {
      sums[p][0][0] += one * load(panel + p * apart + k * 2 * kLanes);
      sums[p][0][1] += one * load(panel + p * apart + k * 2 * kLanes + kLanes);
    }
  }
#pragma GCC unroll 8
  for (std::size_t p = 0; p < kPanels; ++p) {
    finish(layer, sums[p], first + p * 2 * kLanes, y, 0);
  }
}

template <std::size_t kWide>
RINGCRAFT_INLINE void panel_all(const Linear& layer, const float* panel, std::size_t first, const float* x,
                                std::size_t x_row, float* y, std::size_t y_row, std::size_t rows,
                                bool one_by_one) noexcept {
  if (rows == 1 && !one_by_one) {
    panel_row<kWide>(layer, panel, first, x, y);
    return;
  }
  std::size_t row = 0;
  for (; row + 6 <= rows; row += 6) {
    panel_rows<6, kWide>(layer, panel, first, x + row * x_row, x_row, y + row * y_row, y_row);
  }
  for (; row + 3 <= rows; row += 3) {
    panel_rows<3, kWide>(layer, panel, first, x + row * x_row, x_row, y + row * y_row, y_row);
  }
  for (; row < rows; ++row) {
    panel_rows<1, kWide>(layer, panel, first, x + row * x_row, x_row, y + row * y_row, y_row);
  }
}

void run_linear(const Linear& layer, const float* x, std::size_t x_row, float* y, std::size_t y_row,
                std::size_t rows, bool one_by_one) noexcept {
  // Panels two vectors wide, the last one vector wide where that is enough: as pack_linear() lays them out.
  const float* panel = layer.weights;
  std::size_t first = 0;
  for (constexpr std::size_t kWhole = 4 * 2 * kLanes;
       rows == 1 && one_by_one && first + kWhole <= layer.outputs; first += kWhole) {
    panels_row<4>(layer, panel, first, x, y);
    panel += layer.inputs * kWhole;
  }
  while (first < layer.outputs) {
    if (layer.outputs - first > kLanes) {
      panel_all<2>(layer, panel, first, x, x_row, y, y_row, rows, one_by_one);
      panel += layer.inputs * 2 * kLanes;
      first += 2 * kLanes;
    } else {
      panel_all<1>(layer, panel, first, x, x_row, y, y_row, rows, one_by_one);
      panel += layer.inputs * kLanes;
      first += kLanes;
    }
  }
}

template <std::size_t kRows, std::size_t kWide>
RINGCRAFT_INLINE void block(const Rows& product, std::size_t m, std::size_t n, const float* a, const float* b,
                            float* c) noexcept {
  Floats sums[kRows][kWide];
#pragma GCC unroll 8
  for (std::size_t row = 0; row < kRows; ++row) {
    const Floats start = splat(product.bias == nullptr ? 0.0F : product.bias[m + row]);
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kWide; ++v) {
      sums[row][v] = start;
    }
  }
  const float* left = a + m * product.a_row;
  for (std::size_t k = 0; k < product.k; ++k) {
    const float* right = b + product.offsets[k] + n;
    Floats values[kWide];
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kWide; ++v) {
      values[v] = load(right + v * kLanes);
    }
#pragma GCC unroll 8
    for (std::size_t row = 0; row < kRows; ++row) {
      const Floats one = splat(left[row * product.a_row + k]);
#pragma GCC unroll 8
      for (std::size_t v = 0; v < kWide; ++v) {
        sums[row][v] += one * values[v];
      }
    }
  }
#pragma GCC unroll 8
  for (std::size_t row = 0; row < kRows; ++row) {
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kWide; ++v) {
      const std::size_t column = n + v * kLanes;
      if (column < product.n) {
        store_some(c + (m + row) * product.c_row + column,
                   activated(product.activation, product.slope, sums[row][v]), product.n - column);
      }
    }
  }
}

template <std::size_t kRows>
RINGCRAFT_INLINE void band(const Rows& product, std::size_t m, const float* a, const float* b,
                           float* c) noexcept {
  std::size_t n = 0;
  for (; n + kLanes < product.n; n += 2 * kLanes) {
    block<kRows, 2>(product, m, n, a, b, c);
  }
  if (n < product.n) {
    block<kRows, 1>(product, m, n, a, b, c);
  }
}

void run_rows(const Rows& product, const float* a, const float* b, float* c) noexcept {
  std::size_t m = 0;
  // One vector wide, four rows would wait for their own sums: eight hide it.
  for (; product.n <= kLanes && m + 8 <= product.m; m += 8) {
    block<8, 1>(product, m, 0, a, b, c);
  }
  for (; m + 4 <= product.m; m += 4) {
    band<4>(product, m, a, b, c);
  }
  for (; m < product.m; ++m) {
    band<1>(product, m, a, b, c);
  }
}

void run_lstm_cells(const LstmStep& step) noexcept {
  const float* projected = step.projected;
  const float* recurred = step.recurred;
  float* cells = step.cells;
  float* states = step.states;
  for (std::size_t row = 0; row < step.rows; ++row) {
    for (std::size_t unit = 0; unit < step.wide; unit += kLanes) {
      Floats gates[4];
#pragma GCC unroll 4
      for (std::size_t gate = 0; gate < 4; ++gate) {
        const std::size_t at = unit * 4 + gate * kLanes;
        gates[gate] = load(projected + at) + load(recurred + at);
      }
      const Floats kept = sigmoid_of(gates[2]) * load(cells + unit);
      const Floats cell = kept + sigmoid_of(gates[0]) * tanh_of(gates[3]);
      store(cells + unit, cell);
      store(states + unit, sigmoid_of(gates[1]) * tanh_of(cell));
    }
    projected += step.projected_row;
    recurred += step.recurred_row;
    cells += step.wide;
    states += step.wide;
  }
}

}  // namespace
}  // namespace ringcraft
