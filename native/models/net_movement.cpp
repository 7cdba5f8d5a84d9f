// Nodes that move numbers and change none: each is worked out, while building, into where every output comes
// from.

#include <algorithm>

#include "models/net_copies.hpp"

namespace ringcraft {
namespace {

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

struct Named {
  const char* kind;
  void (*add)(NetBuilder&, const OnnxNode&);
};
constexpr Named kMovements[] = {
    {"Transpose", add_transpose}, {"Slice", add_slice},   {"Gather", add_gather}, {"Concat", add_concat},
    {"Split", add_split},         {"Expand", add_expand}, {"Pad", add_pad}};

}  // namespace

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
