// Nodes that leave every number where it lies, and constants: nothing of them runs for a row.

#include <algorithm>

#include "models/net_copies.hpp"

namespace ringcraft {
namespace {

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

void add_squeeze(NetBuilder& net, const OnnxNode& node) {
  const NetValue x = net.in(node, 0);
  const std::vector<std::int64_t> axes = net.stated_axes(node, 1);
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
  const std::vector<std::int64_t> axes = net.stated_axes(node, 1);
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
constexpr Named kShapes[] = {{"Reshape", add_reshape},
                             {"Flatten", add_flatten},
                             {"Squeeze", add_squeeze},
                             {"Unsqueeze", add_unsqueeze},
                             {"Constant", add_constant},
                             {"Shape", add_shape},
                             {"ConstantOfShape", add_constant_of_shape},
                             {"Identity", add_same},
                             {"Dropout", add_same},
                             {"Cast", add_cast}};

}  // namespace

bool build_shape(NetBuilder& net, const OnnxNode& node) {
  for (const Named& known : kShapes) {
    if (node.kind == known.kind) {
      known.add(net, node);
      return true;
    }
  }
  return false;
}

}  // namespace ringcraft
