#include "models/kernel_model.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "models/net_builder.hpp"
#include "models/packed_trees.hpp"

namespace ringcraft {
namespace {

std::string tier_of(const char* family, const Kernels& kernels) {
  return std::string(family) + "-" + kernels.name;
}

class TreeModel final : public Model {
 public:
  TreeModel(std::unique_ptr<const PackedTrees> packed, ModelShape shape, const Kernels& kernels)
      : Model(shape, tier_of("trees", kernels)),
        kernels_(kernels),
        holder_(std::move(packed)),
        packed_(*holder_),
        keys_(padded(std::max(packed_.trees().features, width()), kSlack) + kSlack) {
    if (packed_.trees().features > inputs()) {
      throw OnnxError("trees: expected at most " + std::to_string(inputs()) + " features, got " +
                      std::to_string(packed_.trees().features));
    }
  }

  [[nodiscard]] bool predict(const float* in, float* out) noexcept override {
    alignas(kValueAlignment) std::array<float, kMaxOutputs + kSlack> sums;
    std::copy(packed_.base().begin(), packed_.base().end(), sums.begin());
    kernels_.trees(packed_.trees(), in, keys_.data(), sums.data());
    if (packed_.transform() == TreeTransform::kSoftmax) {
      kernels_.softmax(sums.data(), sums.data(), 1, outputs());
    } else if (packed_.transform() == TreeTransform::kLogistic) {
      kernels_.unary(Unary::kSigmoid, sums.data(), sums.data(), outputs(), 0, 0);
    }
    std::memcpy(out, sums.data(), outputs() * sizeof(float));
    return true;
  }

 private:
  const Kernels& kernels_;
  std::unique_ptr<const PackedTrees> holder_;
  const PackedTrees& packed_;
  Aligned<std::uint32_t> keys_;
};

class NetModel final : public Model {
 public:
  NetModel(Net net, ModelShape shape, const Kernels& kernels)
      : Model(shape, tier_of(net.family, kernels)), net_(std::move(net)) {}

  [[nodiscard]] bool predict(const float* in, float* out) noexcept override {
    std::memcpy(net_.input, in, inputs() * sizeof(float));
    for (const auto& op : net_.ops) {
      op->run();
    }
    std::memcpy(out, net_.output, outputs() * sizeof(float));
    return true;
  }

  void settle() noexcept override {
    for (const auto& op : net_.ops) {
      op->settle();
    }
  }

 private:
  Net net_;
};

ModelShape input_shape(const OnnxValue& input) {
  const Sizes& sizes = input.sizes;
  const bool windowed = sizes.size() == 3;
  const auto within = [&](std::size_t axis, std::size_t most) {
    return sizes[axis] >= 1 && sizes[axis] <= static_cast<std::int64_t>(most);
  };
  const bool usable = input.element == Element::kFloat && (windowed || sizes.size() == 2) &&
                      (sizes[0] == -1 || sizes[0] == 1) && within(sizes.size() - 1, kMaxFeatures) &&
                      (!windowed || within(1, kMaxWindow)) &&
                      count_of({sizes.begin() + 1, sizes.end()}) <= kMaxInputs;
  if (!usable) {
    throw OnnxError("input " + input.name + ": expected float32 [batch, width] or [batch, window, width]");
  }
  return {windowed ? static_cast<std::size_t>(sizes[1]) : 1, static_cast<std::size_t>(sizes.back()), 0,
          windowed};
}

/// An ensemble; after it perhaps an Add of constants, and perhaps a Softmax.
std::unique_ptr<Model> build_trees(const OnnxGraph& graph, ModelShape shape, const Kernels& kernels) {
  const OnnxNode& node = graph.nodes[0];
  const std::size_t scores = node.kind == "TreeEnsembleClassifier" ? 1 : 0;
  if (shape.windowed || node.inputs.size() != 1 || node.inputs[0] != graph.inputs[0].name ||
      node.outputs.size() <= scores) {
    throw OnnxError("trees: expected an ensemble over the input");
  }
  auto packed = std::make_unique<PackedTrees>(node);
  shape.outputs = packed->outputs();
  std::string name = node.outputs[scores];
  for (std::size_t i = 1; i < graph.nodes.size(); ++i) {
    const OnnxNode& next = graph.nodes[i];
    const bool reads = next.domain.empty() && !next.inputs.empty() && next.inputs[0] == name &&
                       next.outputs.size() == 1 && packed->transform() == TreeTransform::kNone;
    const auto constant =
        next.inputs.size() == 2 ? graph.constants.find(next.inputs[1]) : graph.constants.end();
    if (reads && next.kind == "Add" && constant != graph.constants.end() &&
        constant->second.reals.size() == shape.outputs) {
      packed->add_base(constant->second.reals.data());
    } else if (reads && next.kind == "Softmax" && graph.opset >= 13 &&
               std::abs(next.integer("axis", -1)) == 1) {
      packed->transform(TreeTransform::kSoftmax);
    } else {
      throw OnnxError("trees: node " + next.kind + " after the ensemble");
    }
    name = next.outputs[0];
  }
  if (name != graph.outputs[0].name) {
    throw OnnxError("trees: expected the first output to be the ensemble's");
  }
  return std::make_unique<TreeModel>(std::move(packed), shape, kernels);
}

}  // namespace

std::unique_ptr<Model> build_kernel(std::string_view bytes, const Kernels& kernels) {
  const OnnxGraph graph = parse_onnx(bytes);
  if (graph.inputs.size() != 1 || graph.outputs.empty() || graph.nodes.empty()) {
    throw OnnxError("expected one input, an output and a node");
  }
  ModelShape shape = input_shape(graph.inputs[0]);
  if (graph.nodes[0].domain == "ai.onnx.ml") {
    return build_trees(graph, shape, kernels);
  }
  Sizes input = {1, static_cast<std::int64_t>(shape.width)};
  if (shape.windowed) {
    input.insert(input.begin() + 1, static_cast<std::int64_t>(shape.window));
  }
  Net net = NetBuilder(graph, kernels).build(input);
  shape.outputs = net.outputs;
  return std::make_unique<NetModel>(std::move(net), shape, kernels);
}

std::string read_model_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    throw OnnxError(path + ": cannot be read");
  }
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

const Kernels& chosen_kernels(const std::string& isa) {
  const Kernels* kernels = isa.empty() ? &best_kernels() : kernels_named(isa.c_str());
  if (kernels == nullptr) {
    throw OnnxError("kernels: this processor or build lacks " + isa);
  }
  return *kernels;
}

std::unique_ptr<Model> load_kernel(const std::string& path, const std::string& isa) {
  const Kernels& kernels = chosen_kernels(isa);
  return build_kernel(read_model_file(path), kernels);
}

}  // namespace ringcraft
