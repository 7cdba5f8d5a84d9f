// LSTM over a whole window, worked out afresh for every row, as ONNX states it; only the projections of input
// vectors that the row before had too are kept, and those are the same bits.

#include <cstring>

#include "models/net_builder.hpp"

namespace ringcraft {
namespace {

struct LstmOp final : NetOp {
  void run() noexcept override {
    const std::size_t kept = (steps - 1) * inputs;
    const std::size_t gate_row = projection.outputs;
    // The window that moved on by one vector: all but the newest have their projection.
    const bool moved = seen && std::memcmp(x, last_x + inputs, kept * sizeof(float)) == 0;
    if (moved) {
      std::memmove(gates, gates + gate_row, (steps - 1) * gate_row * sizeof(float));
    }
    const std::size_t from = moved ? steps - 1 : 0;
    kernels->linear(projection, x + from * inputs, inputs, gates + from * gate_row, gate_row, steps - from,
                    true);
    std::memcpy(last_x, x, steps * inputs * sizeof(float));
    seen = true;
    const float* last = kernels->lstm(layer, gates, all);
    if (last_hidden != nullptr) std::memcpy(last_hidden, last, layer.hidden * sizeof(float));
    if (last_cell != nullptr) std::memcpy(last_cell, layer.cell_state, layer.hidden * sizeof(float));
  }

  const Kernels* kernels = nullptr;
  Linear projection;
  Lstm layer;
  const float* x = nullptr;
  float* last_x = nullptr;
  float* gates = nullptr;
  float* all = nullptr;
  float* last_hidden = nullptr;
  float* last_cell = nullptr;
  std::size_t steps = 0;
  std::size_t inputs = 0;
  bool seen = false;
};

/// A constant input's floats, or zeros where it is left out.
std::vector<float> given(NetBuilder& net, const OnnxNode& node, std::size_t index, std::size_t count) {
  if (!net.has(node, index)) return std::vector<float>(count, 0.0F);
  const NetValue value = net.in(node, index);
  if (!value.constant || value.integral || value.count() != count) {
    refuse_net("LSTM: input " + std::to_string(index) + ": expected " + std::to_string(count) +
               " constant floats");
  }
  return {value.data, value.data + count};
}

/// Rows of [4][hidden] (input, output, forget, cell) as columns of blocks, [row of x][block][gate][lane].
std::vector<float> pack_gates(const float* weights, std::size_t inputs, std::size_t hidden,
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

/// The same for Kernels::lstm: [block][row][gate][lane].
std::vector<float> pack_recurrent(const float* weights, std::size_t hidden, std::size_t lanes) {
  const std::vector<float> rows = pack_gates(weights, hidden, hidden, lanes);
  const std::size_t wide = padded(hidden, lanes);
  std::vector<float> packed;
  packed.reserve(rows.size());
  for (std::size_t block = 0; block < wide / lanes; ++block) {
    for (std::size_t k = 0; k < hidden; ++k) {
      const auto first = rows.begin() + static_cast<std::ptrdiff_t>(k * 4 * wide + block * 4 * lanes);
      packed.insert(packed.end(), first, first + static_cast<std::ptrdiff_t>(4 * lanes));
    }
  }
  return packed;
}

void check(const OnnxNode& node, const NetValue& x, std::int64_t hidden) {
  const std::vector<std::int64_t> none;
  const OnnxAttribute* activations = node.find("activations");
  bool usual = true;
  for (std::size_t i = 0; activations != nullptr && i < activations->texts.size(); ++i) {
    usual = usual && activations->texts[i] == (i % 3 == 0 ? "Sigmoid" : "Tanh");
  }
  const bool odd = !usual || node.find("clip") != nullptr || node.integer("input_forget", 0) != 0 ||
                   node.integer("layout", 0) != 0 || NetBuilder::has(node, 4) || NetBuilder::has(node, 7);
  if (odd || x.integral || x.sizes.size() != 3 || x.sizes[1] != 1 || x.count() == 0 || hidden < 1 ||
      hidden > 1024) {
    refuse_net("LSTM: expected the usual kind over [steps, 1, inputs]");
  }
}

}  // namespace

bool build_lstm(NetBuilder& net, const OnnxNode& node) {
  if (node.kind != "LSTM") return false;
  const NetValue x = net.in(node, 0);
  const std::int64_t stated = node.integer("hidden_size", 0);
  check(node, x, stated);
  const std::string direction = node.text("direction", "forward");
  if (direction != "forward" && direction != "reverse") refuse_net("LSTM: direction " + direction);
  net.is_family("lstm");
  const auto hidden = static_cast<std::size_t>(stated);
  const auto steps = static_cast<std::size_t>(x.sizes[0]);
  const auto inputs = static_cast<std::size_t>(x.sizes[2]);
  const std::size_t lanes = net.kernels().lanes;
  const std::size_t wide = padded(hidden, lanes);

  auto op = std::make_unique<LstmOp>();
  op->kernels = &net.kernels();
  op->x = x.data;
  op->steps = steps;
  op->inputs = inputs;
  op->last_x = net.buffer(steps * inputs);
  op->gates = net.buffer(steps * 4 * wide);
  const std::vector<float> weights = given(net, node, 1, 4 * hidden * inputs);
  const std::vector<float> recurrent = given(net, node, 2, 4 * hidden * hidden);
  std::vector<float> bias = given(net, node, 3, 8 * hidden);
  for (std::size_t i = 0; i < 4 * hidden; ++i) {
    bias[i] += bias[4 * hidden + i];
  }
  op->projection.inputs = inputs;
  op->projection.outputs = 4 * wide;
  op->projection.weights =
      net.keep(pack_linear(pack_gates(weights.data(), inputs, hidden, lanes), inputs, 4 * wide, lanes));
  op->projection.bias = net.keep(pack_gates(bias.data(), 1, hidden, lanes));
  op->layer.recurrent = net.keep(pack_recurrent(recurrent.data(), hidden, lanes));
  op->layer.first_hidden = net.keep(given(net, node, 5, hidden));
  op->layer.first_cell = net.keep(given(net, node, 6, hidden));
  op->layer.steps = steps;
  op->layer.hidden = hidden;
  op->layer.reverse = direction == "reverse";
  op->layer.hidden_state = net.buffer(2 * wide);
  op->layer.cell_state = net.buffer(wide);

  const auto named = [&node](std::size_t index) {
    return index < node.outputs.size() && !node.outputs[index].empty();
  };
  if (named(0)) op->all = net.make(node.outputs[0], {x.sizes[0], 1, 1, stated}).data;
  if (named(1)) op->last_hidden = net.make(node.outputs[1], {1, 1, stated}).data;
  if (named(2)) op->last_cell = net.make(node.outputs[2], {1, 1, stated}).data;
  net.add_op(std::move(op));
  return true;
}

}  // namespace ringcraft
