#include "models/net_lstm_layer.hpp"

#include <cstring>
#include <string>
#include <vector>

namespace ringcraft {
namespace {

/// A constant input's floats, or zeros where it is left out.
std::vector<float> given(NetBuilder& net, const OnnxNode& node, std::size_t index, std::size_t count) {
  if (!NetBuilder::has(node, index)) return std::vector<float>(count, 0.0F);
  const NetValue value = net.in(node, index);
  if (!value.constant || value.integral || value.count() != count) {
    refuse_net("LSTM: input " + std::to_string(index) + ": expected " + std::to_string(count) +
               " constant floats");
  }
  return {value.data, value.data + count};
}

/// Rows of [4][hidden] (input, output, forget, cell) as columns of blocks, [row of x][block][gate][lane].
std::vector<float> pack_gates(const std::vector<float>& weights, std::size_t inputs, std::size_t hidden,
                              std::size_t lanes) {
  const std::size_t wide = padded(hidden, lanes);
  std::vector<float> packed(inputs * 4 * wide, 0.0F);
  for (std::size_t gate = 0; gate < 4; ++gate) {
    for (std::size_t unit = 0; unit < hidden; ++unit) {
      const std::size_t column = (unit / lanes * 4 + gate) * lanes + unit % lanes;
      for (std::size_t i = 0; i < inputs; ++i) {
        packed[i * 4 * wide + column] = weights[(gate * hidden + unit) * inputs + i];
      }
    }
  }
  return packed;
}

/// A state that is read by whole vectors.
const float* keep_state(NetBuilder& net, std::vector<float> state, std::size_t wide) {
  state.resize(wide, 0.0F);
  return net.keep(state);
}

void check(const OnnxNode& node, std::int64_t hidden) {
  const OnnxAttribute* activations = node.find("activations");
  bool usual = true;
  for (std::size_t i = 0; activations != nullptr && i < activations->texts.size(); ++i) {
    usual = usual && activations->texts[i] == (i % 3 == 0 ? "Sigmoid" : "Tanh");
  }
  const std::string direction = node.text("direction", "forward");
  if (direction != "forward" && direction != "reverse") refuse_net("LSTM: direction " + direction);
  const bool odd = !usual || node.find("clip") != nullptr || node.integer("input_forget", 0) != 0 ||
                   node.integer("layout", 0) != 0 || NetBuilder::has(node, 4) || NetBuilder::has(node, 7);
  if (odd || hidden < 1 || hidden > 1024) refuse_net("LSTM: expected the usual kind over [steps, 1, inputs]");
}

}  // namespace

void LstmLayer::begin(float* state, float* cell) const noexcept {
  std::memcpy(state, first_hidden, wide * sizeof(float));
  std::memcpy(cell, first_cell, wide * sizeof(float));
}

LstmLayer read_lstm(NetBuilder& net, const OnnxNode& node, std::size_t inputs) {
  const std::int64_t stated = node.integer("hidden_size", 0);
  check(node, stated);
  const auto hidden = static_cast<std::size_t>(stated);
  const std::size_t lanes = net.kernels().lanes;
  LstmLayer layer;
  layer.kernels = &net.kernels();
  layer.hidden = hidden;
  layer.wide = padded(hidden, lanes);
  const std::size_t gates = layer.gates();
  const std::vector<float> weights = given(net, node, 1, 4 * hidden * inputs);
  const std::vector<float> recurrent = given(net, node, 2, 4 * hidden * hidden);
  std::vector<float> bias = given(net, node, 3, 8 * hidden);
  for (std::size_t i = 0; i < 4 * hidden; ++i) {
    bias[i] += bias[4 * hidden + i];
  }
  bias.resize(4 * hidden);
  const auto packed = [&](const std::vector<float>& rows, std::size_t count) {
    return net.keep(pack_linear(pack_gates(rows, count, hidden, lanes), count, gates, lanes));
  };
  layer.projection = {packed(weights, inputs),
                      net.keep(pack_gates(bias, 1, hidden, lanes)),
                      inputs,
                      gates,
                      Activation::kNone,
                      0};
  layer.recurrent = {packed(recurrent, hidden),
                     net.keep(std::vector<float>(gates, 0.0F)),
                     hidden,
                     gates,
                     Activation::kNone,
                     0};
  layer.first_hidden = keep_state(net, given(net, node, 5, hidden), layer.wide);
  layer.first_cell = keep_state(net, given(net, node, 6, hidden), layer.wide);
  return layer;
}

}  // namespace ringcraft
