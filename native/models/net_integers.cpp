// Products of what was rounded to steps of a byte with weights of a byte, in whole numbers: exact.

#include "models/net_integers.hpp"

#include <algorithm>

namespace ringcraft {
namespace {

constexpr std::size_t kMostInputs = 16'384;  // 255 * 255 * so many stay below 2^31

struct IntegerOp final : NetOp {
  void run() noexcept override { call(layer, x, rounded.data(), y, rows); }

  decltype(Kernels::integers) call = nullptr;
  IntegerLinear layer;
  const float* x = nullptr;
  float* y = nullptr;
  std::size_t rows = 1;
  Aligned<std::int16_t> weights;
  Aligned<std::int16_t> rounded;
};

/// Panels of four vectors, then of one: [pair of inputs][output][2].
Aligned<std::int16_t> pack(const std::vector<std::int16_t>& weights, std::size_t inputs, std::size_t outputs,
                           std::size_t lanes) {
  Aligned<std::int16_t> packed;
  for (std::size_t first = 0; first < outputs;) {
    const std::size_t wide = outputs - first > 3 * lanes ? 4 * lanes : lanes;
    for (std::size_t i = 0; i < inputs; i += 2) {
      for (std::size_t o = first; o < first + wide; ++o) {
        for (const std::size_t input : {i, i + 1}) {
          packed.push_back(o < outputs && input < inputs ? weights[input * outputs + o] : std::int16_t{0});
        }
      }
    }
    first += wide;
  }
  return packed;
}

}  // namespace

bool add_integer_product(NetBuilder& net, const OnnxNode& node, const NetValue& x, const NetValue& weights,
                         bool turned, std::vector<float> bias, const Sizes& sizes) {
  const std::size_t outputs = bias.size();
  const std::size_t inputs = weights.count() / outputs;
  if (x.rounding == nullptr || weights.steps == nullptr || inputs > kMostInputs ||
      net.readers(node.inputs[0]) != 1) {
    return false;
  }
  const WeightSteps& steps = *weights.steps;
  const std::size_t outputs_axis = turned ? 0 : 1;
  if (weights.sizes.size() != 2 || (steps.scales.size() > 1 && steps.axis != outputs_axis)) return false;
  auto op = std::make_unique<IntegerOp>();
  const std::size_t lanes = net.kernels().lanes;
  std::vector<std::int16_t> laid(inputs * outputs);
  for (std::size_t i = 0; i < inputs; ++i) {
    for (std::size_t o = 0; o < outputs; ++o) {
      laid[i * outputs + o] = steps.values[turned ? o * inputs + i : i * outputs + o];
    }
  }
  std::vector<float> factors(padded(outputs, 4 * lanes), 0.0F);
  for (std::size_t o = 0; o < outputs; ++o) {
    factors[o] = x.rounding->to.scale * steps.scales[steps.scales.size() == 1 ? 0 : o];
  }
  std::string name = node.outputs[0];
  absorb_bias(net, name, bias);
  bias.resize(factors.size(), 0.0F);
  IntegerLinear& layer = op->layer;
  layer.activation = net.activation_after(name, layer.slope);
  layer.inputs = inputs;
  layer.outputs = outputs;
  layer.x = x.rounding->to;
  layer.factors = net.keep(factors);
  layer.bias = net.keep(bias);
  op->weights = pack(laid, inputs, outputs, lanes);
  layer.weights = op->weights.data();
  op->rows = x.count() / inputs;
  op->rounded.resize(op->rows * (padded(inputs, kSlack) + kSlack));
  op->call = net.kernels().integers;
  op->x = x.rounding->x;
  net.drop(x.rounding->op);
  op->y = net.make(name, sizes).data;
  net.add_op(std::move(op));
  return true;
}

}  // namespace ringcraft
