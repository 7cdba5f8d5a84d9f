#include "models/net_lstm_carried.hpp"

#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "models/net_lstm_layer.hpp"

namespace ringcraft {
namespace {

/// What the next step needs of the state alone is worked out in settle(), after the answer.
class CarriedLstm final : public NetOp, public NetCarrier {
 public:
  CarriedLstm(NetBuilder& net, LstmLayer layer, const float* x, const std::array<float*, 3>& outputs)
      : layer_(layer), x_(x), outputs_(outputs), projected_(net.buffer(layer.gates())) {
    // A stream's parts side by side: streams in turns find each other's out of the nearest cache.
    const std::size_t each = 2 * layer.wide + layer.gates();
    float* place = net.buffer(net.streams() * each);
    for (std::size_t stream = 0; stream < net.streams(); ++stream, place += each) {
      states_.push_back({place, place + layer.wide, place + 2 * layer.wide, false});
    }
  }

  void run() noexcept override {
    State& state = *selected_;
    layer_.project(x_, layer_.projection.inputs, 1, projected_);
    if (!std::exchange(state.ahead, false)) layer_.recur(state.hidden, 1, state.recurred);
    layer_.step(projected_, 0, state.recurred, state.cell, state.hidden, 1);
    const std::array<const float*, 3> said = {state.hidden, state.hidden, state.cell};
    for (std::size_t i = 0; i < said.size(); ++i) {
      if (outputs_[i] != nullptr) std::memcpy(outputs_[i], said[i], layer_.hidden * sizeof(float));
    }
  }

  void settle() noexcept override {
    State& state = *selected_;
    if (!std::exchange(state.ahead, true)) layer_.recur(state.hidden, 1, state.recurred);
  }

  void select(std::size_t stream) noexcept override { selected_ = &states_[stream]; }

  void restart(std::size_t stream) noexcept override {
    layer_.begin(states_[stream].hidden, states_[stream].cell);
    states_[stream].ahead = false;
  }

 private:
  struct State {
    float* hidden;
    float* cell;
    float* recurred;  ///< the hidden state's part of the next step's gates, once `ahead`
    bool ahead;
  };

  LstmLayer layer_;
  const float* x_;
  std::array<float*, 3> outputs_;  ///< all hidden states, the last, the last cell state; null: not read
  float* projected_;
  std::vector<State> states_;
  State* selected_ = nullptr;
};

}  // namespace

void add_carried_lstm(NetBuilder& net, const OnnxNode& node, const NetValue& x) {
  if (node.text("direction", "forward") != "forward") refuse_net("LSTM of a stream: forward only");
  if (x.sizes[0] != 1) {
    refuse_net("LSTM of a stream: expected one step at a time, got " + std::to_string(x.sizes[0]));
  }
  const LstmLayer layer = read_lstm(net, node, static_cast<std::size_t>(x.sizes[2]));
  const auto hidden = static_cast<std::int64_t>(layer.hidden);
  std::array<float*, 3> outputs{};
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (i >= node.outputs.size() || !net.read(node.outputs[i])) continue;
    outputs[i] = net.make(node.outputs[i], i == 0 ? Sizes{1, 1, 1, hidden} : Sizes{1, 1, hidden}).data;
  }
  auto op = std::make_unique<CarriedLstm>(net, layer, x.data, outputs);
  net.carries(*op);
  net.add_op(std::move(op));
}

}  // namespace ringcraft
