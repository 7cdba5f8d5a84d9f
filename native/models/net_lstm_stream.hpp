#pragma once
// LSTM layers over windows that move on by one vector: the same bits as every window worked out by itself.

#include <cstddef>
#include <vector>

#include "models/net_lstm_layer.hpp"

namespace ringcraft {

/// Adds layers of which only the last hidden state is read.
///
/// A window of W vectors shares all but its first with the window before, yet none of its states: each window
/// begins empty. So a stream keeps the W - 1 windows that have begun and are not yet full, and moves all of
/// them on by the newest vector at once: products of matrices, where a window by itself is steps of vectors
/// that wait for each other. The oldest of them lacks but that one step; it is done first, for the answer,
/// and the others in settle(). A window that goes on from none is worked out by itself.
///
/// @param x steps vectors, side by side.
/// @param last hidden floats of the topmost layer.
void add_lstm_streams(NetBuilder& net, std::vector<LstmLayer> layers, const float* x, std::size_t steps,
                      float* last);

}  // namespace ringcraft
