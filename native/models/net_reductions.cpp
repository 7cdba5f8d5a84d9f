// Softmax, layer normalisation and reductions over neighbouring axes; QuantizeLinear and its way back.

#include <algorithm>

#include "models/net_copies.hpp"

namespace ringcraft {
namespace {

struct SoftmaxOp final : NetOp {
  SoftmaxOp(const Kernels& kernels, const float* from, float* to, std::size_t many, std::size_t wide)
      : call(kernels.softmax), x(from), y(to), rows(many), columns(wide) {}
  void run() noexcept override { call(x, y, rows, columns); }

  decltype(Kernels::softmax) call;
  const float* x;
  float* y;
  std::size_t rows;
  std::size_t columns;
};

struct LayerNormOp final : NetOp {
  void run() noexcept override { call(x, scale, bias, y, rows, columns, epsilon); }

  decltype(Kernels::layer_norm) call = nullptr;
  const float* x = nullptr;
  const float* scale = nullptr;
  const float* bias = nullptr;
  float* y = nullptr;
  std::size_t rows = 0;
  std::size_t columns = 0;
  float epsilon = 0;
};

struct ReduceOp final : NetOp {
  void run() noexcept override { call(kind, x, y, outer, count, inner); }

  decltype(Kernels::reduce) call = nullptr;
  Reduction kind = Reduction::kSum;
  const float* x = nullptr;
  float* y = nullptr;
  std::size_t outer = 1;
  std::size_t count = 1;
  std::size_t inner = 1;
};

struct QuantizeOp final : NetOp {
  QuantizeOp(const Kernels& kernels, const float* from, float* into, std::size_t many, const Scale& by)
      : call(kernels.quantize), x(from), y(into), count(many), to(by) {}
  void run() noexcept override { call(x, y, count, to); }

  decltype(Kernels::quantize) call;
  const float* x;
  float* y;
  std::size_t count;
  Scale to;
};

void add_softmax(NetBuilder& net, const OnnxNode& node) {
  const NetValue x = net.in(node, 0);
  if (x.integral || net.opset() < 13 || x.sizes.empty()) refuse_net("Softmax of another kind");
  const std::size_t axis = axis_of(node.integer("axis", -1), x.sizes.size());
  float* y = net.make(node.outputs[0], x.sizes).data;
  const auto columns = static_cast<std::size_t>(x.sizes[axis]);
  const std::size_t rows = x.count() / columns;
  const Sizes strides = strides_of(x.sizes);
  if (strides[axis] == 1) {
    net.add<SoftmaxOp>(net.kernels(), x.data, y, rows, columns);
    return;
  }
  // The axis goes last for the kernel, and back.
  Sizes sizes = x.sizes;
  Sizes steps = strides;
  std::rotate(sizes.begin() + static_cast<std::ptrdiff_t>(axis),
              sizes.begin() + static_cast<std::ptrdiff_t>(axis) + 1, sizes.end());
  std::rotate(steps.begin() + static_cast<std::ptrdiff_t>(axis),
              steps.begin() + static_cast<std::ptrdiff_t>(axis) + 1, steps.end());
  float* turned = net.buffer(x.count());
  float* shares = net.buffer(x.count());
  copy_strided(net, x.data, turned, sizes, steps, 0);
  net.add<SoftmaxOp>(net.kernels(), turned, shares, rows, columns);
  Sizes back = strides_of(sizes);
  std::rotate(back.begin() + static_cast<std::ptrdiff_t>(axis), back.end() - 1, back.end());
  copy_strided(net, shares, y, x.sizes, back, 0);
}

void add_layer_norm(NetBuilder& net, const OnnxNode& node) {
  const NetValue x = net.in(node, 0);
  const NetValue scale = net.in(node, 1);
  const bool last =
      !x.sizes.empty() && axis_of(node.integer("axis", -1), x.sizes.size()) == x.sizes.size() - 1;
  const bool fits = last && !x.integral && scale.constant && !scale.integral && node.outputs.size() == 1 &&
                    scale.count() == static_cast<std::size_t>(x.sizes.back());
  if (!fits) refuse_net("LayerNormalization: expected constants over the last axis");
  auto op = std::make_unique<LayerNormOp>();
  op->columns = scale.count();
  op->rows = x.count() / op->columns;
  op->bias = net.keep(std::vector<float>(op->columns, 0.0F));
  if (net.has(node, 2)) {
    const NetValue bias = net.in(node, 2);
    if (!bias.constant || bias.integral || bias.count() != op->columns)
      refuse_net("LayerNormalization: bias");
    op->bias = bias.data;
  }
  op->call = net.kernels().layer_norm;
  op->x = x.data;
  op->scale = scale.data;
  op->epsilon = node.real("epsilon", 1e-5F);
  op->y = net.make(node.outputs[0], x.sizes).data;
  net.add_op(std::move(op));
}

void add_reduction(NetBuilder& net, const OnnxNode& node, Reduction kind) {
  const NetValue x = net.in(node, 0);
  std::vector<std::int64_t> stated = net.has(node, 1) ? net.integers(node, 1) : node.integers("axes");
  if (x.integral) refuse_net(node.kind + " of integers");
  std::vector<bool> gone(x.sizes.size(), stated.empty() && node.integer("noop_with_empty_axes", 0) == 0);
  for (const std::int64_t axis : stated) {
    gone[axis_of(axis, gone.size())] = true;
  }
  auto op = std::make_unique<ReduceOp>();
  Sizes sizes;
  int changes = 0;
  for (std::size_t axis = 0; axis < gone.size(); ++axis) {
    const auto size = static_cast<std::size_t>(x.sizes[axis]);
    if (size > 1 && gone[axis]) {
      if (op->inner > 1) ++changes;
      op->count *= size;
    } else if (size > 1) {
      (op->count > 1 ? op->inner : op->outer) *= size;
    }
    if (!gone[axis]) {
      sizes.push_back(x.sizes[axis]);
    } else if (node.integer("keepdims", 1) != 0) {
      sizes.push_back(1);
    }
  }
  if (changes > 0) refuse_net(node.kind + " over axes that lie apart");
  op->call = net.kernels().reduce;
  op->kind = kind;
  op->x = x.data;
  op->y = net.make(node.outputs[0], sizes).data;
  net.add_op(std::move(op));
}

/// Scale and zero point of a whole tensor; the element type follows from the zero point.
Scale scale_of(NetBuilder& net, const OnnxNode& node) {
  Scale scale;
  scale.scale = net.scalar(node, 1);
  scale.low = 0;
  scale.high = 255;
  if (net.has(node, 2)) {
    const std::vector<std::int64_t>& zero = net.integers(node, 2);
    if (zero.size() != 1) refuse_net(node.kind + ": expected one zero point");
    scale.zero = static_cast<float>(zero[0]);
    if (net.in(node, 2).element == Element::kInt8) {
      scale.low = -128;
      scale.high = 127;
    }
  }
  return scale;
}

void add_quantize(NetBuilder& net, const OnnxNode& node) {
  const NetValue x = net.in(node, 0);
  if (x.integral) refuse_net("QuantizeLinear of integers");
  Scale scale = scale_of(net, node);
  std::string name = node.outputs[0];
  const OnnxNode* back = net.only_reader(name, "DequantizeLinear");
  if (back != nullptr && back->inputs.size() == node.inputs.size() &&
      std::equal(back->inputs.begin() + 1, back->inputs.end(), node.inputs.begin() + 1)) {
    scale.back = true;
    net.absorb(*back);
    name = back->outputs[0];
  }
  float* y = net.make(name, x.sizes).data;
  const NetOp* op = net.add<QuantizeOp>(net.kernels(), x.data, y, x.count(), scale);
  if (scale.back) net.rounded(name, {scale, x.data, op});
}

/// Constants only: what was rounded while running comes back in the same pass.
void add_dequantize(NetBuilder& net, const OnnxNode& node) {
  const NetValue x = net.in(node, 0);
  if (!x.integral) refuse_net("DequantizeLinear of other than a constant");
  const NetValue scale = net.in(node, 1);
  std::vector<std::int64_t> zero = net.has(node, 2) ? net.integers(node, 2) : std::vector<std::int64_t>();
  if (!scale.constant || scale.integral || scale.count() == 0 || node.integer("block_size", 0) != 0) {
    refuse_net("DequantizeLinear: expected constant scales");
  }
  zero.resize(scale.count(), 0);
  std::size_t inner = 1;
  if (scale.count() > 1) {
    const std::size_t axis = axis_of(node.integer("axis", 1), x.sizes.size());
    inner = static_cast<std::size_t>(strides_of(x.sizes)[axis]);
    if (scale.count() != static_cast<std::size_t>(x.sizes[axis])) refuse_net("DequantizeLinear: scales");
  }
  OnnxTensor tensor;
  tensor.element = Element::kFloat;
  tensor.sizes = x.sizes;
  WeightSteps steps;
  steps.scales.assign(scale.data, scale.data + scale.count());
  bool small = true;
  for (std::size_t i = 0; i < x.integers.size(); ++i) {
    const std::size_t at = i / inner % scale.count();
    const std::int64_t whole = x.integers[i] - zero[at];
    small = small && std::abs(whole) <= 255;
    steps.values.push_back(static_cast<std::int16_t>(small ? whole : 0));
    tensor.reals.push_back(static_cast<float>(x.integers[i] - zero[at]) * scale.data[at]);
  }
  net.constant(node.outputs[0], tensor);
  if (!small) return;
  if (scale.count() > 1) steps.axis = axis_of(node.integer("axis", 1), x.sizes.size());
  net.stepped(node.outputs[0], std::move(steps));
}

}  // namespace

bool build_reduction(NetBuilder& net, const OnnxNode& node) {
  if (node.kind == "Softmax") {
    add_softmax(net, node);
  } else if (node.kind == "LayerNormalization") {
    add_layer_norm(net, node);
  } else if (node.kind == "ReduceMean" || node.kind == "ReduceSum") {
    add_reduction(net, node, node.kind == "ReduceMean" ? Reduction::kMean : Reduction::kSum);
  } else if (node.kind == "ReduceMax" || node.kind == "ReduceMin") {
    add_reduction(net, node, node.kind == "ReduceMax" ? Reduction::kMax : Reduction::kMin);
  } else {
    return false;
  }
  return true;
}

bool build_quantization(NetBuilder& net, const OnnxNode& node) {
  if (node.kind == "QuantizeLinear") {
    add_quantize(net, node);
  } else if (node.kind == "DequantizeLinear") {
    add_dequantize(net, node);
  } else {
    return false;
  }
  return true;
}

}  // namespace ringcraft
