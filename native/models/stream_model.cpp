#include "models/stream_model.hpp"

#include <cmath>
#include <cstring>
#include <utility>

#include "models/kernel_model.hpp"
#include "models/net_builder.hpp"

namespace ringcraft {
namespace {

bool all_finite(const float* values, std::size_t count) noexcept {
  bool finite = true;
  for (std::size_t i = 0; i < count; ++i) {
    finite = finite && std::isfinite(values[i]);
  }
  return finite;
}

class NetStreams final : public StreamModel {
 public:
  NetStreams(Net net, ModelShape shape, std::size_t streams, const Kernels& kernels)
      : StreamModel(shape, std::string(net.family) + "-stream-" + kernels.name, streams),
        net_(std::move(net)) {
    for (std::size_t stream = 0; stream < streams; ++stream) {
      restart(stream);
    }
    select(0);
  }

  [[nodiscard]] bool predict(const float* in, float* out) noexcept override {
    if (!all_finite(in, inputs())) return false;
    std::memcpy(net_.input, in, inputs() * sizeof(float));
    for (const auto& op : net_.ops) {
      op->run();
    }
    std::memcpy(out, net_.output, outputs() * sizeof(float));
    if (!all_finite(out, outputs())) restart(selected_);
    return true;
  }

  void settle() noexcept override {
    for (const auto& op : net_.ops) {
      op->settle();
    }
  }

  void select(std::size_t stream) noexcept override {
    selected_ = stream;
    for (NetCarrier* carrier : net_.carriers) {
      carrier->select(stream);
    }
  }

  void restart(std::size_t stream) noexcept override {
    for (NetCarrier* carrier : net_.carriers) {
      carrier->restart(stream);
    }
  }

 private:
  Net net_;
  std::size_t selected_ = 0;
};

ModelShape step_shape(const OnnxValue& input) {
  const Sizes& sizes = input.sizes;
  const bool usable = input.element == Element::kFloat && sizes.size() == 3 &&
                      (sizes[0] == -1 || sizes[0] == 1) && sizes[1] == -1 && sizes[2] >= 1 &&
                      sizes[2] <= static_cast<std::int64_t>(kMaxFeatures);
  if (!usable) {
    throw OnnxError("stream: input " + input.name +
                    ": expected float32 [batch, steps, width], the steps left open");
  }
  return {1, static_cast<std::size_t>(sizes[2]), 0, true};
}

}  // namespace

std::unique_ptr<StreamModel> build_stream(std::string_view bytes, std::size_t streams,
                                          const Kernels& kernels) {
  if (streams < 1 || streams > kMaxStreams) {
    throw OnnxError("stream: expected 1.." + std::to_string(kMaxStreams) + " streams, got " +
                    std::to_string(streams));
  }
  const OnnxGraph graph = parse_onnx(bytes);
  if (graph.inputs.size() != 1 || graph.outputs.empty() || graph.nodes.empty()) {
    throw OnnxError("stream: expected one input, an output and a node");
  }
  ModelShape shape = step_shape(graph.inputs[0]);
  Net net = NetBuilder(graph, kernels, streams).build({1, 1, static_cast<std::int64_t>(shape.width)});
  if (net.carriers.empty()) {
    throw OnnxError("stream: expected an LSTM that the answer depends on, got none");
  }
  shape.outputs = net.outputs;
  return std::make_unique<NetStreams>(std::move(net), shape, streams, kernels);
}

std::unique_ptr<StreamModel> load_stream(const std::string& path, std::size_t streams,
                                         const std::string& isa) {
  const Kernels& kernels = chosen_kernels(isa);
  return build_stream(read_model_file(path), streams, kernels);
}

}  // namespace ringcraft
