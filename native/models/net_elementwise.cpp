// Nodes that work number by number, and normalisation in front of a net.

#include <algorithm>
#include <limits>
#include <string_view>

#include "models/net_builder.hpp"

namespace ringcraft {
namespace {

struct UnaryOp final : NetOp {
  UnaryOp(const Kernels& kernels, Unary which, const float* from, float* to, std::size_t many, float first,
          float second)
      : call(kernels.unary), kind(which), x(from), y(to), count(many), a(first), b(second) {}
  void run() noexcept override { call(kind, x, y, count, a, b); }

  decltype(Kernels::unary) call;
  Unary kind;
  const float* x;
  float* y;
  std::size_t count;
  float a;
  float b;
};

struct BinaryOp final : NetOp {
  void run() noexcept override { call(kind, zip, left, right, y); }

  decltype(Kernels::binary) call = nullptr;
  Binary kind = Binary::kAdd;
  Zip zip;
  std::vector<std::uint32_t> left_rows;
  std::vector<std::uint32_t> right_rows;
  const float* left = nullptr;
  const float* right = nullptr;
  float* y = nullptr;
};

struct NormaliseOp final : NetOp {
  NormaliseOp(const Kernels& kernels, const float* from, const float* middle, const float* times, float* to,
              std::size_t many, float lowest, float highest)
      : call(kernels.normalise),
        x(from),
        centre(middle),
        factor(times),
        y(to),
        count(many),
        low(lowest),
        high(highest) {}
  void run() noexcept override { call(x, centre, factor, low, high, y, count); }

  decltype(Kernels::normalise) call;
  const float* x;
  const float* centre;
  const float* factor;
  float* y;
  std::size_t count;
  float low;
  float high;
};

/// A value's sizes with ones in front, and where each axis leads: 0 where one element serves all.
struct Spread {
  Spread(const NetValue& value, const Sizes& sizes) : steps(sizes.size(), 0) {
    const std::size_t skipped = sizes.size() - value.sizes.size();
    const Sizes strides = strides_of(value.sizes);
    for (std::size_t axis = 0; axis < value.sizes.size(); ++axis) {
      if (value.sizes[axis] == 1) continue;
      steps[axis + skipped] = strides[axis];
    }
  }
  Sizes steps;
};

Sizes broadcast(const OnnxNode& node, const Sizes& left, const Sizes& right) {
  Sizes sizes(std::max(left.size(), right.size()), 1);
  for (const Sizes* one : {&left, &right}) {
    const std::size_t skipped = sizes.size() - one->size();
    for (std::size_t axis = 0; axis < one->size(); ++axis) {
      std::int64_t& size = sizes[axis + skipped];
      if ((*one)[axis] != 1 && size != 1 && size != (*one)[axis]) {
        refuse_net(node.kind + ": sizes that do not go together");
      }
      size = std::max(size, (*one)[axis]);
    }
  }
  return sizes;
}

void add_binary(NetBuilder& net, const OnnxNode& node, Binary kind) {
  const NetValue left = net.in(node, 0);
  const NetValue right = net.in(node, 1);
  if (node.inputs.size() != 2 || left.integral || right.integral)
    refuse_net(node.kind + " of other than two floats");
  const Sizes sizes = broadcast(node, left.sizes, right.sizes);
  const Spread a(left, sizes);
  const Spread b(right, sizes);
  // Axes from the last on are one row as long as each side either goes on through all of them or repeats.
  std::size_t columns = 1;
  std::size_t axis = sizes.size();
  bool a_repeats = true;
  bool b_repeats = true;
  for (; axis > 0; --axis) {
    if (sizes[axis - 1] == 1) continue;
    const bool a_stays = a.steps[axis - 1] == 0;
    const bool b_stays = b.steps[axis - 1] == 0;
    if (columns > 1 && (a_stays != a_repeats || b_stays != b_repeats)) break;
    a_repeats = a_stays;
    b_repeats = b_stays;
    columns *= static_cast<std::size_t>(sizes[axis - 1]);
  }
  auto op = std::make_unique<BinaryOp>();
  const std::size_t rows = count_of(Sizes(sizes.begin(), sizes.begin() + static_cast<std::ptrdiff_t>(axis)));
  for (std::size_t row = 0; row < rows; ++row) {
    std::size_t rest = row;
    std::int64_t from_a = 0;
    std::int64_t from_b = 0;
    for (std::size_t i = axis; i-- > 0;) {
      const auto at = static_cast<std::int64_t>(rest % static_cast<std::size_t>(sizes[i]));
      rest /= static_cast<std::size_t>(sizes[i]);
      from_a += at * a.steps[i];
      from_b += at * b.steps[i];
    }
    op->left_rows.push_back(static_cast<std::uint32_t>(from_a));
    op->right_rows.push_back(static_cast<std::uint32_t>(from_b));
  }
  op->call = net.kernels().binary;
  op->kind = kind;
  op->left = left.data;
  op->right = right.data;
  op->zip = {rows, columns, op->left_rows.data(), op->right_rows.data(), a_repeats, b_repeats};
  op->y = net.make(node.outputs[0], sizes).data;
  net.add_op(std::move(op));
}

void add_unary(NetBuilder& net, const OnnxNode& node, Unary kind, float a = 0, float b = 0) {
  const NetValue x = net.in(node, 0);
  if (x.integral) refuse_net(node.kind + " of integers");
  float* y = net.make(node.outputs[0], x.sizes).data;
  net.add<UnaryOp>(net.kernels(), kind, x.data, y, x.count(), a, b);
}

/// `value` repeated to these sizes; false where it is no constant float or would have to grow.
bool repeated(const NetValue& value, const Sizes& sizes, std::vector<float>& into) {
  if (!value.constant || value.integral || value.sizes.size() > sizes.size()) return false;
  const std::size_t skipped = sizes.size() - value.sizes.size();
  for (std::size_t axis = 0; axis < value.sizes.size(); ++axis) {
    if (value.sizes[axis] != 1 && value.sizes[axis] != sizes[axis + skipped]) return false;
  }
  const Spread spread(value, sizes);
  into.resize(count_of(sizes));
  for (std::size_t i = 0; i < into.size(); ++i) {
    std::size_t rest = i;
    std::int64_t from = 0;
    for (std::size_t axis = sizes.size(); axis-- > 0;) {
      from += static_cast<std::int64_t>(rest % static_cast<std::size_t>(sizes[axis])) * spread.steps[axis];
      rest /= static_cast<std::size_t>(sizes[axis]);
    }
    into[i] = value.data[from];
  }
  return true;
}

/// (x - centre) * factor, or / divisor, clipped: one pass where it is all constants but x.
bool add_normalisation(NetBuilder& net, const OnnxNode& node) {
  const NetValue x = net.in(node, 0);
  std::vector<float> centre;
  std::vector<float> factor;
  if (x.constant || !repeated(net.in(node, 1), x.sizes, centre)) return false;
  const OnnxNode* times = net.only_reader(node.outputs[0], "Mul");
  const bool divided = times == nullptr;
  times = divided ? net.only_reader(node.outputs[0], "Div") : times;
  if (times == nullptr || times->inputs[0] != node.outputs[0] || times->inputs.size() != 2) return false;
  if (!net.known(times->inputs[1]) || !repeated(net.in(*times, 1), x.sizes, factor)) return false;
  if (divided) {
    for (float& each : factor) each = 1.0F / each;
  }
  net.absorb(*times);
  std::string name = times->outputs[0];
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
  if (const OnnxNode* clip = net.only_reader(name, "Clip"); clip != nullptr && net.opset() >= 11) {
    const bool ready = (!net.has(*clip, 1) || net.known(clip->inputs[1])) &&
                       (!net.has(*clip, 2) || net.known(clip->inputs[2]));
    if (ready) {
      low = net.has(*clip, 1) ? net.scalar(*clip, 1) : low;
      high = net.has(*clip, 2) ? net.scalar(*clip, 2) : high;
      net.absorb(*clip);
      name = clip->outputs[0];
    }
  }
  float* y = net.make(name, x.sizes).data;
  net.add<NormaliseOp>(net.kernels(), x.data, net.keep(centre), net.keep(factor), y, x.count(), low, high);
  return true;
}

struct NamedUnary {
  std::string_view kind;
  Unary unary;
};
constexpr NamedUnary kUnaries[] = {
    {"Relu", Unary::kRelu}, {"Sigmoid", Unary::kSigmoid}, {"Tanh", Unary::kTanh},
    {"Exp", Unary::kExp},   {"Sqrt", Unary::kSqrt},       {"Erf", Unary::kErf},
    {"Abs", Unary::kAbs},   {"Neg", Unary::kNegate},      {"Reciprocal", Unary::kReciprocal}};
struct NamedBinary {
  std::string_view kind;
  Binary binary;
};
constexpr NamedBinary kBinaries[] = {{"Add", Binary::kAdd}, {"Sub", Binary::kSub}, {"Mul", Binary::kMul},
                                     {"Div", Binary::kDiv}, {"Min", Binary::kMin}, {"Max", Binary::kMax}};

}  // namespace

bool build_elementwise(NetBuilder& net, const OnnxNode& node) {
  if (node.kind == "Sub" && node.inputs.size() == 2 && add_normalisation(net, node)) return true;
  for (const NamedUnary& known : kUnaries) {
    if (known.kind == node.kind) {
      add_unary(net, node, known.unary);
      return true;
    }
  }
  for (const NamedBinary& known : kBinaries) {
    if (known.kind == node.kind) {
      add_binary(net, node, known.binary);
      return true;
    }
  }
  if (node.kind == "Gelu") {
    add_unary(net, node, node.text("approximate", "none") == "tanh" ? Unary::kGeluTanh : Unary::kGelu);
  } else if (node.kind == "LeakyRelu") {
    add_unary(net, node, Unary::kLeakyRelu, node.real("alpha", 0.01F));
  } else if (node.kind == "HardSigmoid") {
    add_unary(net, node, Unary::kHardSigmoid, node.real("alpha", 0.2F), node.real("beta", 0.5F));
  } else if (node.kind == "Clip" && net.opset() >= 11) {
    const float all = std::numeric_limits<float>::infinity();
    add_unary(net, node, Unary::kClip, net.has(node, 1) ? net.scalar(node, 1) : -all,
              net.has(node, 2) ? net.scalar(node, 2) : all);
  } else if (node.kind == "Pow" && net.scalar(node, 1) == 2.0F) {
    add_unary(net, node, Unary::kSquare);
  } else if (node.kind == "Pow" && net.scalar(node, 1) == 0.5F) {
    add_unary(net, node, Unary::kSqrt);
  } else {
    return false;
  }
  return true;
}

}  // namespace ringcraft
