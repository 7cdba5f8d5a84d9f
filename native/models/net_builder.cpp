#include "models/net_builder.hpp"

#include <algorithm>
#include <cstring>
#include <set>
#include <string_view>

namespace ringcraft {
namespace {

constexpr std::size_t kMaxFloats = std::size_t{1} << 24U;  // of all buffers: 64 MiB

}  // namespace

void refuse_net(const std::string& why) { throw OnnxError("net: " + why); }

std::size_t count_of(const Sizes& sizes) noexcept {
  std::size_t count = 1;
  for (const std::int64_t size : sizes) {
    count *= static_cast<std::size_t>(size);
  }
  return count;
}

Sizes strides_of(const Sizes& sizes) {
  Sizes strides(sizes.size(), 1);
  for (std::size_t axis = sizes.size(); axis-- > 1;) {
    strides[axis - 1] = strides[axis] * sizes[axis];
  }
  return strides;
}

std::size_t axis_of(std::int64_t axis, std::size_t rank) {
  const std::int64_t whole = axis < 0 ? axis + static_cast<std::int64_t>(rank) : axis;
  if (whole < 0 || whole >= static_cast<std::int64_t>(rank)) {
    refuse_net("axis " + std::to_string(axis) + " of " + std::to_string(rank));
  }
  return static_cast<std::size_t>(whole);
}

float* NetBuilder::buffer(std::size_t count) {
  if (count > kMaxFloats || (floats_ += count + kSlack) > kMaxFloats) {
    refuse_net("more than " + std::to_string(kMaxFloats) + " floats");
  }
  // Whole cache lines, so that slack is there whatever is written last.
  net_.buffers.emplace_back(padded(count, kSlack) + kSlack, 0.0F);
  return net_.buffers.back().data();
}

float* NetBuilder::keep(const std::vector<float>& values) {
  float* kept = buffer(values.size());
  std::copy(values.begin(), values.end(), kept);
  return kept;
}

const NetValue& NetBuilder::in(const OnnxNode& node, std::size_t index) const {
  if (!has(node, index)) {
    refuse_net(node.kind + ": expected an input " + std::to_string(index));
  }
  const auto found = values_.find(node.inputs[index]);
  if (found == values_.end()) {
    refuse_net(node.kind + ": input " + node.inputs[index] + " comes from nowhere");
  }
  return found->second;
}

const std::vector<std::int64_t>& NetBuilder::integers(const OnnxNode& node, std::size_t index) const {
  const NetValue& value = in(node, index);
  if (!value.integral) {
    refuse_net(node.kind + ": input " + node.inputs[index] + ": expected constant integers");
  }
  return value.integers;
}

std::vector<std::int64_t> NetBuilder::stated_axes(const OnnxNode& node, std::size_t index) const {
  return has(node, index) ? integers(node, index) : node.integers("axes");
}

float NetBuilder::scalar(const OnnxNode& node, std::size_t index) const {
  const NetValue& value = in(node, index);
  if (!value.constant || value.integral || value.count() != 1) {
    refuse_net(node.kind + ": input " + node.inputs[index] + ": expected one constant float");
  }
  return *value.data;
}

NetValue& NetBuilder::make(const std::string& name, const Sizes& sizes) {
  for (const std::int64_t size : sizes) {
    if (size < 1 || size > static_cast<std::int64_t>(kMaxFloats)) refuse_net(name + ": empty or too large");
  }
  std::size_t count = 1;
  for (const std::int64_t size : sizes) {
    count *= static_cast<std::size_t>(size);
    if (count > kMaxFloats) refuse_net(name + ": too large");
  }
  NetValue& value = values_[name];
  value = {sizes, buffer(count), false, false, {}, Element::kFloat, {}, {}};
  return value;
}

void NetBuilder::view(const std::string& name, const NetValue& value, const Sizes& sizes) {
  if (count_of(sizes) != value.count()) {
    refuse_net(name + ": expected as many elements as before");
  }
  NetValue same = value;
  same.sizes = sizes;
  same.rounding = nullptr;
  same.steps = nullptr;
  values_[name] = std::move(same);
}

void NetBuilder::constant(const std::string& name, const OnnxTensor& tensor) {
  if (tensor.element == Element::kFloat) {
    values_[name] = {tensor.sizes, keep(tensor.reals), true, false, {}, Element::kFloat, {}, {}};
  } else {
    constant_integers(name, tensor.sizes, tensor.integers, tensor.element);
  }
}

void NetBuilder::constant_integers(const std::string& name, Sizes sizes, std::vector<std::int64_t> values,
                                   Element element) {
  values_[name] = {std::move(sizes), nullptr, true, true, std::move(values), element, {}, {}};
}

void NetBuilder::rounded(const std::string& name, Rounding rounding) {
  values_.at(name).rounding = std::make_shared<const Rounding>(rounding);
}

void NetBuilder::stepped(const std::string& name, WeightSteps steps) {
  values_.at(name).steps = std::make_shared<const WeightSteps>(std::move(steps));
}

void NetBuilder::drop(const NetOp* op) {
  std::erase_if(net_.ops, [op](const std::unique_ptr<NetOp>& one) { return one.get() == op; });
}

const NetValue* NetBuilder::constant_floats(const std::string& name) const {
  const auto found = values_.find(name);
  return found == values_.end() || !found->second.constant || found->second.integral ? nullptr
                                                                                     : &found->second;
}

bool NetBuilder::read(const std::string& name) const {
  return readers_.contains(name) || graph_.outputs[0].name == name;
}

const OnnxNode* NetBuilder::only_reader(const std::string& name, const std::string& kind) const {
  const auto [first, last] = readers_.equal_range(name);
  const bool output = graph_.outputs[0].name == name;
  if (output || first == last || std::next(first) != last) {
    return nullptr;
  }
  const OnnxNode* reader = first->second;
  return reader->kind == kind && reader->domain.empty() && !done_.contains(reader) ? reader : nullptr;
}

Activation NetBuilder::activation_after(std::string& name, float& slope) {
  struct Named {
    const char* kind;
    Activation activation;
  };
  static constexpr Named kKnown[] = {{"Relu", Activation::kRelu},
                                     {"Sigmoid", Activation::kSigmoid},
                                     {"Tanh", Activation::kTanh},
                                     {"LeakyRelu", Activation::kLeakyRelu},
                                     {"Gelu", Activation::kGelu}};
  for (const Named& known : kKnown) {
    if (const OnnxNode* reader = only_reader(name, known.kind); reader != nullptr) {
      absorb(*reader);
      name = reader->outputs[0];
      slope = reader->real("alpha", 0.01F);
      const bool by_tanh = reader->text("approximate", "none") == "tanh";
      return known.activation == Activation::kGelu && by_tanh ? Activation::kGeluTanh : known.activation;
    }
  }
  return Activation::kNone;
}

void NetBuilder::is_family(const char* family) {
  // The later of these says more of a net than the earlier.
  static constexpr std::string_view kOrder[] = {"dense", "attention", "conv", "lstm"};
  const auto rank = [](std::string_view name) {
    return std::find(std::begin(kOrder), std::end(kOrder), name) - std::begin(kOrder);
  };
  if (rank(family) > rank(net_.family)) {
    net_.family = family;
  }
}

void NetBuilder::build(const OnnxNode& node) {
  if (!node.domain.empty() && !(node.domain == "com.microsoft" && node.kind == "Gelu")) {
    refuse_net("node " + node.domain + "." + node.kind);
  }
  for (const auto one : {build_elementwise, build_product, build_movement, build_shape, build_reduction,
                         build_conv, build_lstm, build_quantization}) {
    if (one(*this, node)) {
      return;
    }
  }
  refuse_net("node " + node.kind);
}

void NetBuilder::link() {
  std::set<std::string> wanted = {graph_.outputs[0].name};
  for (auto node = graph_.nodes.rbegin(); node != graph_.nodes.rend(); ++node) {
    if (node->outputs.empty()) refuse_net(node->kind + ": no output");
    if (std::none_of(node->outputs.begin(), node->outputs.end(),
                     [&](const std::string& name) { return wanted.contains(name); })) {
      absorb(*node);
      continue;
    }
    const std::set<std::string> read(node->inputs.begin(), node->inputs.end());
    for (const std::string& name : read) {
      if (name.empty()) continue;
      readers_.emplace(name, &*node);
      wanted.insert(name);
    }
  }
}

Net NetBuilder::build(const Sizes& input) {
  if (graph_.inputs.size() != 1 || graph_.outputs.empty()) {
    refuse_net("expected one input and an output");
  }
  link();
  for (const auto& [name, tensor] : graph_.constants) {
    constant(name, tensor);
  }
  net_.input = make(graph_.inputs[0].name, input).data;
  for (const OnnxNode& node : graph_.nodes) {
    if (!done_.contains(&node)) {
      done_[&node] = true;
      build(node);
    }
  }
  const auto output = values_.find(graph_.outputs[0].name);
  if (output == values_.end() || output->second.integral || output->second.sizes.size() != 2 ||
      output->second.sizes[0] != 1 || output->second.count() > kMaxOutputs || output->second.count() == 0) {
    refuse_net("expected an output [1, 1.." + std::to_string(kMaxOutputs) + "]");
  }
  net_.output = output->second.data;
  net_.outputs = output->second.count();
  return std::move(net_);
}

}  // namespace ringcraft
