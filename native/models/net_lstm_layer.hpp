#pragma once
// One LSTM layer as the kernels take it, and a pass of it over a sequence.

#include <cstddef>

#include "models/net_builder.hpp"

namespace ringcraft {

/// Weights of one layer. Gates of a step lie as [block][i o f c][lanes], blocks of `lanes` hidden units.
struct LstmLayer {
  const Kernels* kernels = nullptr;
  Linear projection;  ///< of an input vector, with both biases
  Linear recurrent;   ///< of the hidden state
  const float* first_hidden = nullptr;
  const float* first_cell = nullptr;
  std::size_t hidden = 0;
  std::size_t wide = 0;  ///< hidden, padded to whole vectors: floats of a hidden or cell state

  [[nodiscard]] std::size_t gates() const noexcept { return 4 * wide; }

  /// Projects `rows` vectors; each comes out the same bits however many there are.
  void project(const float* x, std::size_t x_row, std::size_t rows, float* to) const noexcept {
    kernels->linear(projection, x, x_row, to, gates(), rows, true);
  }
  /// The recurrent part of `rows` hidden states' gates; the same bits however many there are.
  void recur(const float* states, std::size_t rows, float* to) const noexcept {
    kernels->linear(recurrent, states, wide, to, gates(), rows, true);
  }
  /// One step of `rows` sequences: their hidden and cell states move on.
  /// @param projected_row floats from one row's projection to the next one's; 0: all rows share one.
  void step(const float* projected, std::size_t projected_row, const float* recurred, float* cells,
            float* states, std::size_t rows) const noexcept {
    kernels->lstm_cells({projected, projected_row, recurred, gates(), cells, states, wide, rows});
  }
  /// Puts the state of an empty sequence.
  void begin(float* state, float* cell) const noexcept;
};

/// Reads a node that is an LSTM over vectors of `inputs` floats.
/// @throws OnnxError another kind than the usual, or weights that do not fit.
[[nodiscard]] LstmLayer read_lstm(NetBuilder& net, const OnnxNode& node, std::size_t inputs);

}  // namespace ringcraft
