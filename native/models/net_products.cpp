// MatMul and Gemm, with the bias and the activation that follow.

#include <algorithm>

#include "models/net_integers.hpp"

namespace ringcraft {
namespace {

struct LinearOp final : NetOp {
  void run() noexcept override { call(layer, x, layer.inputs, y, layer.outputs, rows, false); }

  decltype(Kernels::linear) call = nullptr;
  Linear layer;
  const float* x = nullptr;
  float* y = nullptr;
  std::size_t rows = 1;
};

/// Products of two buffers, or of a constant and a buffer, one for each batch.
struct RowsOp final : NetOp {
  void run() noexcept override {
    for (std::size_t i = 0; i < a_at.size(); ++i) {
      call(product, a + a_at[i], b + b_at[i], c + i * product.m * product.n);
    }
  }

  decltype(Kernels::rows) call = nullptr;
  Rows product;
  std::vector<std::uint32_t> offsets;
  std::vector<std::size_t> a_at;
  std::vector<std::size_t> b_at;
  const float* a = nullptr;
  const float* b = nullptr;
  float* c = nullptr;
};

/// y = x * weights + bias for the rows of x; weights [inputs][outputs].
void add_linear(NetBuilder& net, std::string name, const NetValue& x, const std::vector<float>& weights,
                std::vector<float> bias, Sizes sizes) {
  auto op = std::make_unique<LinearOp>();
  const std::size_t inputs = weights.size() / bias.size();
  op->call = net.kernels().linear;
  op->layer.inputs = inputs;
  op->layer.outputs = bias.size();
  absorb_bias(net, name, bias);
  op->layer.activation = net.activation_after(name, op->layer.slope);
  const std::size_t lanes = net.kernels().lanes;
  op->layer.weights = net.keep(pack_linear(weights, inputs, bias.size(), lanes));
  bias.resize(padded(bias.size(), 2 * lanes), 0.0F);
  op->layer.bias = net.keep(bias);
  op->rows = x.count() / inputs;
  op->x = x.data;
  op->y = net.make(name, sizes).data;
  net.add_op(std::move(op));
}

void add_gemm(NetBuilder& net, const OnnxNode& node) {
  const NetValue x = net.in(node, 0);
  const NetValue weights = net.in(node, 1);
  const bool turned = node.integer("transB", 0) != 0;
  if (node.integer("transA", 0) != 0 || !weights.constant || weights.integral || x.integral ||
      x.sizes.size() != 2 || weights.sizes.size() != 2) {
    refuse_net("Gemm: expected rows times constant weights");
  }
  const auto inputs = static_cast<std::size_t>(weights.sizes[turned ? 1 : 0]);
  const auto outputs = static_cast<std::size_t>(weights.sizes[turned ? 0 : 1]);
  if (inputs == 0 || outputs == 0 || x.sizes[1] != static_cast<std::int64_t>(inputs)) {
    refuse_net("Gemm: sizes that do not go together");
  }
  const float alpha = node.real("alpha", 1.0F);
  std::vector<float> laid(inputs * outputs);
  for (std::size_t i = 0; i < inputs; ++i) {
    for (std::size_t o = 0; o < outputs; ++o) {
      laid[i * outputs + o] = alpha * weights.data[turned ? o * inputs + i : i * outputs + o];
    }
  }
  std::vector<float> bias(outputs, 0.0F);
  if (net.has(node, 2)) {
    const NetValue given = net.in(node, 2);
    const bool fits = given.constant && !given.integral && (given.count() == 1 || given.count() == outputs) &&
                      (given.count() == 1 || given.sizes.back() == static_cast<std::int64_t>(outputs));
    if (!fits) refuse_net("Gemm: expected a constant bias for each output");
    for (std::size_t o = 0; o < outputs; ++o) {
      bias[o] = node.real("beta", 1.0F) * given.data[given.count() == 1 ? 0 : o];
    }
  }
  const Sizes sizes = {x.sizes[0], static_cast<std::int64_t>(outputs)};
  if (alpha == 1.0F && add_integer_product(net, node, x, weights, turned, bias, sizes)) return;
  add_linear(net, node.outputs[0], x, laid, std::move(bias), sizes);
}

/// Where each batch of an operand starts; its batches repeat where it has but one.
std::vector<std::size_t> batches(const Sizes& own, const Sizes& all) {
  const std::size_t many = count_of(Sizes(all.begin(), all.end() - 2));
  const std::size_t mine = count_of(Sizes(own.begin(), own.end() - 2));
  const auto size = static_cast<std::size_t>(own[own.size() - 2] * own.back());
  if (mine != many && mine != 1) refuse_net("MatMul: batches that do not go together");
  std::vector<std::size_t> at(many);
  for (std::size_t i = 0; i < many; ++i) {
    at[i] = mine == 1 ? 0 : i * size;
  }
  return at;
}

void add_matmul(NetBuilder& net, const OnnxNode& node) {
  const NetValue a = net.in(node, 0);
  const NetValue b = net.in(node, 1);
  if (a.integral || b.integral || a.sizes.size() < 2 || b.sizes.size() < 2 ||
      a.sizes.back() != b.sizes[b.sizes.size() - 2]) {
    refuse_net("MatMul: sizes that do not go together");
  }
  if (b.constant && b.sizes.size() == 2 && !a.constant) {
    Sizes sizes = a.sizes;
    sizes.back() = b.sizes[1];
    if (b.count() == 0) refuse_net("MatMul: no weights");
    const std::vector<float> bias(static_cast<std::size_t>(b.sizes[1]), 0.0F);
    if (add_integer_product(net, node, a, b, false, bias, sizes)) return;
    add_linear(net, node.outputs[0], a, {b.data, b.data + b.count()}, bias, sizes);
    return;
  }
  if (!a.constant && !b.constant) net.is_family("attention");
  Sizes sizes = a.sizes.size() >= b.sizes.size() ? a.sizes : b.sizes;
  sizes[sizes.size() - 2] = a.sizes[a.sizes.size() - 2];
  sizes.back() = b.sizes.back();
  auto op = std::make_unique<RowsOp>();
  // The smaller of two operands with batches must be the one that has but one.
  op->a_at = batches(a.sizes, sizes);
  op->b_at = batches(b.sizes, sizes);
  Rows& product = op->product;
  product.m = static_cast<std::size_t>(sizes[sizes.size() - 2]);
  product.n = static_cast<std::size_t>(sizes.back());
  product.k = static_cast<std::size_t>(a.sizes.back());
  product.a_row = product.k;
  product.c_row = product.n;
  for (std::size_t k = 0; k < product.k; ++k) {
    op->offsets.push_back(static_cast<std::uint32_t>(k * product.n));
  }
  product.offsets = op->offsets.data();
  std::string name = node.outputs[0];
  product.activation = net.activation_after(name, product.slope);
  op->call = net.kernels().rows;
  op->a = a.data;
  op->b = b.data;
  op->c = net.make(name, sizes).data;
  net.add_op(std::move(op));
}

}  // namespace

bool absorb_bias(NetBuilder& net, std::string& name, std::vector<float>& bias) {
  const OnnxNode* add = net.only_reader(name, "Add");
  if (add == nullptr || add->inputs.size() != 2) return false;
  const NetValue* other = net.constant_floats(add->inputs[add->inputs[0] == name ? 1 : 0]);
  if (other == nullptr) return false;
  const bool row = !other->sizes.empty() && other->sizes.back() == static_cast<std::int64_t>(bias.size()) &&
                   other->count() == bias.size() && other->sizes.size() <= 2;
  if (!row) return false;
  for (std::size_t i = 0; i < bias.size(); ++i) {
    bias[i] += other->data[i];
  }
  net.absorb(*add);
  name = add->outputs[0];
  return true;
}

std::vector<float> pack_linear(const std::vector<float>& weights, std::size_t inputs, std::size_t outputs,
                               std::size_t lanes) {
  std::vector<float> packed;
  for (std::size_t first = 0; first < outputs;) {
    const std::size_t wide = outputs - first > lanes ? 2 * lanes : lanes;
    for (std::size_t i = 0; i < inputs; ++i) {
      for (std::size_t o = first; o < first + wide; ++o) {
        packed.push_back(o < outputs ? weights[i * outputs + o] : 0.0F);
      }
    }
    first += wide;
  }
  return packed;
}

bool build_product(NetBuilder& net, const OnnxNode& node) {
  if (node.kind == "Gemm") {
    add_gemm(net, node);
  } else if (node.kind == "MatMul") {
    add_matmul(net, node);
  } else {
    return false;
  }
  return true;
}

}  // namespace ringcraft
