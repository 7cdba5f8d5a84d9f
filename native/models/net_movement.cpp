// Nodes that move numbers and change none: each is worked out, while building, into where every output comes
// from.

#include <algorithm>
#include <cstring>

#include "models/net_builder.hpp"

namespace ringcraft {
namespace {

constexpr std::uint32_t kNowhere = ~std::uint32_t{0};

using Indices = std::vector<std::uint32_t>;

/// y[to..] = x[from..] piece by piece.
struct PiecesOp final : NetOp {
  struct Piece {
    std::uint32_t to;
    std::uint32_t from;
    std::uint32_t count;
  };

  void run() noexcept override {
    for (const Piece& piece : pieces) {
      std::memcpy(y + piece.to, x + piece.from, piece.count * sizeof(float));
    }
  }

  const float* x = nullptr;
  float* y = nullptr;
  std::vector<Piece> pieces;
};

/// y[i] = x[from[i]].
struct TableOp final : NetOp {
  void run() noexcept override {
    for (std::size_t i = 0; i < from.size(); ++i) {
      y[i] = x[from[i]];
    }
  }

  const float* x = nullptr;
  float* y = nullptr;
  Indices from;
};

/// Goes over all places of a tensor of these sizes, in order, with the sum of place times stride.
Indices walk(const Sizes& sizes, const Sizes& strides, std::int64_t first) {
  const std::size_t count = count_of(sizes);
  Indices indices;
  indices.reserve(count);
  std::vector<std::int64_t> at(sizes.size(), 0);
  std::int64_t offset = first;
  for (std::size_t i = 0; i < count; ++i) {
    indices.push_back(static_cast<std::uint32_t>(offset));
    for (std::size_t axis = sizes.size(); axis-- > 0;) {
      offset += strides[axis];
      if (++at[axis] < sizes[axis]) break;
      offset -= strides[axis] * sizes[axis];
      at[axis] = 0;
    }
  }
  return indices;
}

/// `name` becomes the elements of `value` at `from`; kNowhere gives `fill`.
void take(NetBuilder& net, const std::string& name, const NetValue& value, const Sizes& sizes,
          const Indices& from, float fill = 0) {
  if (value.integral) {
    std::vector<std::int64_t> taken;
    for (const std::uint32_t index : from) {
      taken.push_back(index == kNowhere ? static_cast<std::int64_t>(fill) : value.integers.at(index));
    }
    net.constant_integers(name, sizes, std::move(taken), value.element);
    return;
  }
  if (value.constant) {
    OnnxTensor tensor;
    tensor.element = Element::kFloat;
    tensor.sizes = sizes;
    for (const std::uint32_t index : from) {
      tensor.reals.push_back(index == kNowhere ? fill : value.data[index]);
    }
    net.constant(name, tensor);
    return;
  }
  float* y = net.make(name, sizes).data;
  Indices to;
  Indices kept;
  for (std::size_t i = 0; i < from.size(); ++i) {
    y[i] = fill;
    if (from[i] == kNowhere) continue;
    to.push_back(static_cast<std::uint32_t>(i));
    kept.push_back(from[i]);
  }
  copy_pairs(net, value.data, y, to, kept);
}

/// Sizes must hold something and not too much, before anything is worked out for each element.
const Sizes& sane(const OnnxNode& node, const Sizes& sizes) {
  double count = 1;
  for (const std::int64_t size : sizes) {
    count *= static_cast<double>(size);
    if (size < 0 || !(count <= 1e6)) refuse_net(node.kind + ": too large");
  }
  return sizes;
}

void add_transpose(NetBuilder& net, const OnnxNode& node) {
  const NetValue x = net.in(node, 0);
  std::vector<std::int64_t> order = node.integers("perm");
  if (order.empty()) {
    for (std::size_t axis = x.sizes.size(); axis-- > 0;) order.push_back(static_cast<std::int64_t>(axis));
  }
  if (order.size() != x.sizes.size()) refuse_net("Transpose: perm");
  const Sizes strides = strides_of(x.sizes);
  Sizes sizes;
  Sizes steps;
  std::vector<bool> used(order.size(), false);
  bool moved = false;
  std::size_t last = 0;
  for (const std::int64_t axis : order) {
    const std::size_t from = axis_of(axis, order.size());
    if (used[from]) refuse_net("Transpose: perm");
    used[from] = true;
    sizes.push_back(x.sizes[from]);
    steps.push_back(strides[from]);
    if (x.sizes[from] == 1) continue;
    moved = moved || from < last;  // axes of one element may go anywhere
    last = from;
  }
  if (!moved) {
    net.view(node.outputs[0], x, sizes);
    return;
  }
  take(net, node.outputs[0], x, sizes, walk(sane(node, sizes), steps, 0));
}

void add_reshape(NetBuilder& net, const OnnxNode& node) {
  const NetValue x = net.in(node, 0);
  Sizes sizes = net.integers(node, 1);
  std::int64_t known = 1;
  std::int64_t* open = nullptr;
  for (std::size_t axis = 0; axis < sizes.size(); ++axis) {
    if (sizes[axis] == 0 && node.integer("allowzero", 0) == 0 && axis < x.sizes.size())
      sizes[axis] = x.sizes[axis];
    if (sizes[axis] == -1 && open == nullptr) {
      open = &sizes[axis];
      continue;
    }
    if (sizes[axis] < 1 || sizes[axis] > (std::int64_t{1} << 24) ||
        (known *= sizes[axis]) > (std::int64_t{1} << 24)) {
      refuse_net("Reshape: size " + std::to_string(sizes[axis]));
    }
  }
  if (open != nullptr) *open = static_cast<std::int64_t>(x.count()) / known;
  net.view(node.outputs[0], x, sizes);
}

void add_flatten(NetBuilder& net, const OnnxNode& node) {
  const NetValue x = net.in(node, 0);
  const std::int64_t stated = node.integer("axis", 1);
  const std::size_t axis =
      stated == static_cast<std::int64_t>(x.sizes.size()) ? x.sizes.size() : axis_of(stated, x.sizes.size());
  const auto split = x.sizes.begin() + static_cast<std::ptrdiff_t>(axis);
  net.view(node.outputs[0], x,
           {static_cast<std::int64_t>(count_of(Sizes(x.sizes.begin(), split))),
            static_cast<std::int64_t>(count_of(Sizes(split, x.sizes.end())))});
}

std::vector<std::int64_t> stated_axes(NetBuilder& net, const OnnxNode& node, std::size_t index) {
  return net.has(node, index) ? net.integers(node, index) : node.integers("axes");
}

void add_squeeze(NetBuilder& net, const OnnxNode& node) {
  const NetValue x = net.in(node, 0);
  const std::vector<std::int64_t> axes = stated_axes(net, node, 1);
  std::vector<bool> gone(x.sizes.size(), false);
  for (std::size_t axis = 0; axis < gone.size(); ++axis) gone[axis] = axes.empty() && x.sizes[axis] == 1;
  for (const std::int64_t axis : axes) gone[axis_of(axis, gone.size())] = true;
  Sizes sizes;
  for (std::size_t axis = 0; axis < gone.size(); ++axis) {
    if (!gone[axis]) sizes.push_back(x.sizes[axis]);
  }
  net.view(node.outputs[0], x, sizes);
}

void add_unsqueeze(NetBuilder& net, const OnnxNode& node) {
  const NetValue x = net.in(node, 0);
  const std::vector<std::int64_t> axes = stated_axes(net, node, 1);
  std::vector<bool> fresh(x.sizes.size() + axes.size(), false);
  for (const std::int64_t axis : axes) fresh[axis_of(axis, fresh.size())] = true;
  Sizes sizes;
  auto next = x.sizes.begin();
  for (const bool one : fresh) {
    if (!one && next == x.sizes.end()) refuse_net("Unsqueeze: axes");
    sizes.push_back(one ? 1 : *next++);
  }
  if (next != x.sizes.end()) refuse_net("Unsqueeze: axes");
  net.view(node.outputs[0], x, sizes);
}

void add_slice(NetBuilder& net, const OnnxNode& node) {
  const NetValue x = net.in(node, 0);
  const auto& starts = net.integers(node, 1);
  const auto& ends = net.integers(node, 2);
  Sizes sizes = x.sizes;
  Sizes steps = strides_of(x.sizes);
  std::int64_t first = 0;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const std::int64_t stated = net.has(node, 3) ? net.integers(node, 3).at(i) : static_cast<std::int64_t>(i);
    const std::size_t axis = axis_of(stated, sizes.size());
    if (net.has(node, 4) && net.integers(node, 4).at(i) != 1) refuse_net("Slice in steps");
    const std::int64_t size = x.sizes[axis];
    const auto bounded = [size](std::int64_t at) {
      return std::clamp<std::int64_t>(at < 0 ? at + size : at, 0, size);
    };
    const std::int64_t from = bounded(starts[i]);
    sizes[axis] = bounded(ends.at(i)) - from;
    if (sizes[axis] < 1) refuse_net("Slice of nothing");
    first += from * steps[axis];
  }
  take(net, node.outputs[0], x, sizes, walk(sane(node, sizes), steps, first));
}

void add_gather(NetBuilder& net, const OnnxNode& node) {
  const NetValue x = net.in(node, 0);
  const NetValue chosen = net.in(node, 1);
  if (!chosen.integral) refuse_net("Gather: expected constant indices");
  const std::size_t axis = axis_of(node.integer("axis", 0), x.sizes.size());
  const auto split = static_cast<std::ptrdiff_t>(axis);
  Sizes sizes(x.sizes.begin(), x.sizes.begin() + split);
  sizes.insert(sizes.end(), chosen.sizes.begin(), chosen.sizes.end());
  sizes.insert(sizes.end(), x.sizes.begin() + split + 1, x.sizes.end());
  sane(node, sizes);
  const std::size_t outer = count_of(Sizes(x.sizes.begin(), x.sizes.begin() + split));
  const std::size_t inner = count_of(Sizes(x.sizes.begin() + split + 1, x.sizes.end()));
  const auto size = static_cast<std::size_t>(x.sizes[axis]);
  Indices from;
  for (std::size_t o = 0; o < outer; ++o) {
    for (const std::int64_t index : chosen.integers) {
      const std::size_t at = axis_of(index, size);
      for (std::size_t i = 0; i < inner; ++i) {
        from.push_back(static_cast<std::uint32_t>((o * size + at) * inner + i));
      }
    }
  }
  take(net, node.outputs[0], x, sizes, from);
}

void add_concat(NetBuilder& net, const OnnxNode& node) {
  const NetValue front = net.in(node, 0);
  const std::size_t axis = axis_of(node.integer("axis", 0), front.sizes.size());
  Sizes sizes = front.sizes;
  sizes[axis] = 0;
  bool integral = true;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const NetValue& x = net.in(node, i);
    if (x.sizes.size() != sizes.size()) refuse_net("Concat: sizes");
    for (std::size_t other = 0; other < sizes.size(); ++other) {
      if (other != axis && x.sizes[other] != sizes[other]) refuse_net("Concat: sizes");
    }
    sizes[axis] += x.sizes[axis];
    integral = integral && x.integral;
  }
  sane(node, sizes);
  const Sizes strides = strides_of(sizes);
  std::vector<std::int64_t> whole(integral ? count_of(sizes) : 0);
  float* y = integral ? nullptr : net.make(node.outputs[0], sizes).data;
  std::int64_t first = 0;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const NetValue& x = net.in(node, i);
    if (x.integral != integral) refuse_net("Concat of integers and floats");
    const Indices to = walk(x.sizes, strides, first);
    first += x.sizes[axis] * strides[axis];
    if (integral) {
      for (std::size_t k = 0; k < to.size(); ++k) whole[to[k]] = x.integers.at(k);
    } else {
      copy_pairs(net, x.data, y, to, walk(x.sizes, strides_of(x.sizes), 0));
    }
  }
  if (integral) net.constant_integers(node.outputs[0], sizes, std::move(whole));
}

void add_split(NetBuilder& net, const OnnxNode& node) {
  const NetValue x = net.in(node, 0);
  const std::size_t axis = axis_of(node.integer("axis", 0), x.sizes.size());
  const auto parts = static_cast<std::int64_t>(node.outputs.size());
  std::vector<std::int64_t> lengths = net.has(node, 1) ? net.integers(node, 1) : node.integers("split");
  if (lengths.empty()) {
    const std::int64_t each = (x.sizes[axis] + parts - 1) / parts;
    lengths.assign(node.outputs.size(), each);
    lengths.back() = x.sizes[axis] - each * (parts - 1);
  }
  if (lengths.size() != node.outputs.size()) refuse_net("Split: lengths");
  const Sizes strides = strides_of(x.sizes);
  std::int64_t first = 0;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    if (lengths[i] < 1 || lengths[i] > x.sizes[axis] - first) refuse_net("Split: lengths");
    Sizes sizes = x.sizes;
    sizes[axis] = lengths[i];
    take(net, node.outputs[i], x, sizes, walk(sane(node, sizes), strides, first * strides[axis]));
    first += lengths[i];
  }
}

void add_expand(NetBuilder& net, const OnnxNode& node) {
  const NetValue x = net.in(node, 0);
  Sizes sizes = net.integers(node, 1);
  if (sizes.size() < x.sizes.size()) sizes.insert(sizes.begin(), x.sizes.size() - sizes.size(), 1);
  Sizes steps(sizes.size(), 0);
  const Sizes strides = strides_of(x.sizes);
  const std::size_t skipped = sizes.size() - x.sizes.size();
  for (std::size_t axis = 0; axis < x.sizes.size(); ++axis) {
    std::int64_t& size = sizes[axis + skipped];
    if (x.sizes[axis] == 1) continue;
    if (size != 1 && size != x.sizes[axis]) refuse_net("Expand: sizes");
    size = x.sizes[axis];
    steps[axis + skipped] = strides[axis];
  }
  take(net, node.outputs[0], x, sizes, walk(sane(node, sizes), steps, 0));
}

void add_pad(NetBuilder& net, const OnnxNode& node) {
  const NetValue x = net.in(node, 0);
  const auto& pads = net.integers(node, 1);
  if (node.text("mode", "constant") != "constant" || pads.size() != 2 * x.sizes.size() || net.has(node, 3)) {
    refuse_net("Pad of another kind");
  }
  const float fill = net.has(node, 2) ? net.scalar(node, 2) : 0.0F;
  Sizes sizes = x.sizes;
  for (std::size_t axis = 0; axis < sizes.size(); ++axis) {
    if (pads[axis] < 0 || pads[axis + sizes.size()] < 0) refuse_net("Pad that cuts");
    sizes[axis] += pads[axis] + pads[axis + sizes.size()];
  }
  const Sizes strides = strides_of(sane(node, sizes));
  std::int64_t first = 0;
  for (std::size_t axis = 0; axis < sizes.size(); ++axis) first += pads[axis] * strides[axis];
  Indices from(count_of(sizes), kNowhere);
  const Indices to = walk(x.sizes, strides, first);
  for (std::size_t i = 0; i < to.size(); ++i) from[to[i]] = static_cast<std::uint32_t>(i);
  take(net, node.outputs[0], x, sizes, from, fill);
}

void add_constant(NetBuilder& net, const OnnxNode& node) {
  if (const OnnxAttribute* value = node.find("value"); value != nullptr) {
    net.constant(node.outputs[0], value->tensor);
  } else if (const OnnxAttribute* whole = node.find("value_ints"); whole != nullptr) {
    net.constant_integers(node.outputs[0], {static_cast<std::int64_t>(whole->integers.size())},
                          whole->integers);
  } else if (const OnnxAttribute* one = node.find("value_int"); one != nullptr) {
    net.constant_integers(node.outputs[0], {}, {one->integer});
  } else if (const OnnxAttribute* real = node.find("value_float"); real != nullptr) {
    OnnxTensor tensor;
    tensor.element = Element::kFloat;
    tensor.reals = {real->real};
    net.constant(node.outputs[0], tensor);
  } else {
    refuse_net("Constant of another kind");
  }
}

void add_constant_of_shape(NetBuilder& net, const OnnxNode& node) {
  OnnxTensor tensor;
  tensor.element = Element::kFloat;
  tensor.sizes = net.integers(node, 0);
  const std::size_t count = count_of(sane(node, tensor.sizes));
  const OnnxAttribute* value = node.find("value");
  if (value != nullptr && value->tensor.count() != 1) refuse_net("ConstantOfShape: expected one value");
  if (value != nullptr && value->tensor.element != Element::kFloat) {
    net.constant_integers(node.outputs[0], tensor.sizes, Sizes(count, value->tensor.integers[0]));
    return;
  }
  tensor.reals.assign(count, value == nullptr ? 0.0F : value->tensor.reals[0]);
  net.constant(node.outputs[0], tensor);
}

void add_shape(NetBuilder& net, const OnnxNode& node) {
  const Sizes sizes = net.in(node, 0).sizes;
  const auto rank = static_cast<std::int64_t>(sizes.size());
  const auto bounded = [rank](std::int64_t at) {
    return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank);
  };
  const std::int64_t from = bounded(node.integer("start", 0));
  const std::int64_t to = std::max(from, bounded(node.integer("end", rank)));
  net.constant_integers(node.outputs[0], {to - from}, Sizes(sizes.begin() + from, sizes.begin() + to));
}

void add_same(NetBuilder& net, const OnnxNode& node) {
  const NetValue x = net.in(node, 0);
  net.view(node.outputs[0], x, x.sizes);
}

void add_cast(NetBuilder& net, const OnnxNode& node) {
  const bool to_float = node.integer("to", 0) == static_cast<std::int64_t>(Element::kFloat);
  if (net.in(node, 0).integral == to_float) refuse_net("Cast between floats and integers");
  add_same(net, node);
}

struct Named {
  const char* kind;
  void (*add)(NetBuilder&, const OnnxNode&);
};
constexpr Named kMovements[] = {{"Transpose", add_transpose},
                                {"Reshape", add_reshape},
                                {"Flatten", add_flatten},
                                {"Squeeze", add_squeeze},
                                {"Unsqueeze", add_unsqueeze},
                                {"Slice", add_slice},
                                {"Gather", add_gather},
                                {"Concat", add_concat},
                                {"Split", add_split},
                                {"Expand", add_expand},
                                {"Pad", add_pad},
                                {"Constant", add_constant},
                                {"Shape", add_shape},
                                {"ConstantOfShape", add_constant_of_shape},
                                {"Identity", add_same},
                                {"Dropout", add_same},
                                {"Cast", add_cast}};

}  // namespace

void copy_pairs(NetBuilder& net, const float* x, float* y, const Indices& to, const Indices& from) {
  auto pieces = std::make_unique<PiecesOp>();
  bool in_order = true;
  for (std::size_t i = 0; i < to.size(); ++i) {
    in_order = in_order && to[i] == i;
    if (!pieces->pieces.empty()) {
      PiecesOp::Piece& last = pieces->pieces.back();
      if (last.to + last.count == to[i] && last.from + last.count == from[i]) {
        ++last.count;
        continue;
      }
    }
    pieces->pieces.push_back({to[i], from[i], 1});
  }
  if (in_order && pieces->pieces.size() * 4 > to.size()) {
    auto table = std::make_unique<TableOp>();
    table->x = x;
    table->y = y;
    table->from = from;
    net.add_op(std::move(table));
    return;
  }
  pieces->x = x;
  pieces->y = y;
  net.add_op(std::move(pieces));
}

void copy_strided(NetBuilder& net, const float* x, float* y, const Sizes& sizes, const Sizes& strides,
                  std::int64_t first) {
  const Indices from = walk(sizes, strides, first);
  Indices to(from.size());
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = static_cast<std::uint32_t>(i);
  copy_pairs(net, x, y, to, from);
}

bool build_movement(NetBuilder& net, const OnnxNode& node) {
  for (const Named& known : kMovements) {
    if (node.kind == known.kind) {
      known.add(net, node);
      return true;
    }
  }
  return false;
}

}  // namespace ringcraft
