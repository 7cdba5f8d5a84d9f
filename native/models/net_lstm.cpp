// LSTM over a whole window, worked out as ONNX states it; the streams of net_lstm_stream.hpp where they
// apply; a state that is carried (net_lstm_carried.hpp) where the net is asked for that.

#include <algorithm>
#include <cstring>

#include "models/net_lstm_carried.hpp"
#include "models/net_lstm_layer.hpp"
#include "models/net_lstm_stream.hpp"

namespace ringcraft {
namespace {

struct LstmOp final : NetOp {
  void run() noexcept override {
    layer.project(x, layer.projection.inputs, steps, projected);
    layer.begin(state, cell);
    for (std::size_t step = 0; step < steps; ++step) {
      const std::size_t t = reverse ? steps - 1 - step : step;
      layer.recur(state, 1, recurred);
      layer.step(projected + t * layer.gates(), 0, recurred, cell, state, 1);
      if (all != nullptr) std::memcpy(all + t * layer.hidden, state, layer.hidden * sizeof(float));
    }
    if (last_hidden != nullptr) std::memcpy(last_hidden, state, layer.hidden * sizeof(float));
    if (last_cell != nullptr) std::memcpy(last_cell, cell, layer.hidden * sizeof(float));
  }

  LstmLayer layer;
  const float* x = nullptr;
  float* projected = nullptr;
  float* recurred = nullptr;
  float* state = nullptr;
  float* cell = nullptr;
  float* all = nullptr;
  float* last_hidden = nullptr;
  float* last_cell = nullptr;
  std::size_t steps = 0;
  bool reverse = false;
};

bool reads(const NetBuilder& net, const OnnxNode& node, std::size_t output) {
  return output < node.outputs.size() && net.read(node.outputs[output]);
}

/// The layer that alone reads this one's outputs, through the Squeeze that takes the direction away; else
/// null.
const OnnxNode* layer_above(const NetBuilder& net, const OnnxNode& node, const OnnxNode*& squeeze) {
  if (reads(net, node, 1) || reads(net, node, 2) || !reads(net, node, 0)) return nullptr;
  squeeze = net.only_reader(node.outputs[0], "Squeeze");
  if (squeeze == nullptr || squeeze->inputs[0] != node.outputs[0]) return nullptr;
  if (NetBuilder::has(*squeeze, 1) && !net.known(squeeze->inputs[1])) return nullptr;
  const std::vector<std::int64_t> axes = net.stated_axes(*squeeze, 1);
  if (axes.size() != 1 || axis_of(axes[0], 4) != 1) return nullptr;
  const OnnxNode* above = net.only_reader(squeeze->outputs[0], "LSTM");
  return above != nullptr && above->inputs[0] == squeeze->outputs[0] ? above : nullptr;
}

/// Builds layers of which only the last hidden state is read as streams; false where they are others.
bool build_streams(NetBuilder& net, const OnnxNode& node, const NetValue& x, std::size_t steps) {
  std::vector<const OnnxNode*> layers = {&node};
  std::vector<const OnnxNode*> between;
  const auto forward = [](const OnnxNode& one) { return one.text("direction", "forward") == "forward"; };
  const OnnxNode* squeeze = nullptr;
  while (const OnnxNode* above = layer_above(net, *layers.back(), squeeze)) {
    layers.push_back(above);
    between.push_back(squeeze);
  }
  const OnnxNode& top = *layers.back();
  const bool last_alone = reads(net, top, 1) && !reads(net, top, 0) && !reads(net, top, 2);
  if (steps < 2 || !last_alone ||
      !std::all_of(layers.begin(), layers.end(), [&](const OnnxNode* one) { return forward(*one); })) {
    return false;
  }
  std::size_t inputs = static_cast<std::size_t>(x.sizes[2]);
  std::vector<LstmLayer> read;
  for (const OnnxNode* layer : layers) {
    read.push_back(read_lstm(net, *layer, inputs));
    inputs = read.back().hidden;
    if (layer != &node) net.absorb(*layer);
  }
  for (const OnnxNode* one : between) net.absorb(*one);
  float* last = net.make(top.outputs[1], {1, 1, static_cast<std::int64_t>(inputs)}).data;
  add_lstm_streams(net, std::move(read), x.data, steps, last);
  return true;
}

}  // namespace

bool build_lstm(NetBuilder& net, const OnnxNode& node) {
  if (node.kind != "LSTM") return false;
  const NetValue x = net.in(node, 0);
  if (x.integral || x.sizes.size() != 3 || x.sizes[1] != 1 || x.count() == 0) {
    refuse_net("LSTM: expected [steps, 1, inputs]");
  }
  net.is_family("lstm");
  if (net.streams() > 0) {
    add_carried_lstm(net, node, x);
    return true;
  }
  const auto steps = static_cast<std::size_t>(x.sizes[0]);
  if (build_streams(net, node, x, steps)) return true;
  auto op = std::make_unique<LstmOp>();
  op->layer = read_lstm(net, node, static_cast<std::size_t>(x.sizes[2]));
  op->x = x.data;
  op->steps = steps;
  op->reverse = node.text("direction", "forward") == "reverse";
  op->projected = net.buffer(steps * op->layer.gates());
  op->recurred = net.buffer(op->layer.gates());
  op->state = net.buffer(op->layer.wide);
  op->cell = net.buffer(op->layer.wide);
  const auto hidden = static_cast<std::int64_t>(op->layer.hidden);
  if (reads(net, node, 0)) op->all = net.make(node.outputs[0], {x.sizes[0], 1, 1, hidden}).data;
  if (reads(net, node, 1)) op->last_hidden = net.make(node.outputs[1], {1, 1, hidden}).data;
  if (reads(net, node, 2)) op->last_cell = net.make(node.outputs[2], {1, 1, hidden}).data;
  net.add_op(std::move(op));
  return true;
}

}  // namespace ringcraft
