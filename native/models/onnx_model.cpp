#include "models/onnx_model.hpp"

#include <array>
#include <cstring>
#include <vector>

#include "models/onnx_runtime.hpp"

namespace ringcraft {
namespace {

/// A float32 tensor's shape as the graph states it; -1 where it states none.
std::vector<std::int64_t> float_shape(const OnnxRuntime& runtime, const ort::TensorInfo* info,
                                      const std::string& what) {
  int element = 0;
  runtime.must<ort::GetTensorElementType>(what, info, &element);
  if (element != ort::kFloatElement) {
    throw OnnxError(what + ": expected float32, got element type " + std::to_string(element));
  }
  std::size_t rank = 0;
  runtime.must<ort::GetDimensionsCount>(what, info, &rank);
  std::vector<std::int64_t> shape(rank);
  runtime.must<ort::GetDimensions>(what, info, shape.data(), rank);
  return shape;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const std::int64_t size : shape) {
    text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  }
  return text + "]";
}

}  // namespace

struct OnnxModel::Parts {
  Parts(const std::string& path, const std::string& library, bool of_stream)
      : runtime(OnnxRuntime::open(library)), session(open_session(runtime, path)), stream(of_stream) {
    read_names(path);
    const std::vector<std::int64_t> row = input_shape(path);
    shape.windowed = row.size() == 3;
    shape.window = shape.windowed ? static_cast<std::size_t>(row[1]) : 1;
    shape.width = static_cast<std::size_t>(row.back());
    input_value = tensor_over(runtime, input.data(), row);
    shape.outputs = first_run(path);
    batch_open = !stream && graph_leaves_batch_open && two_rows_answer();
    output_value = tensor_over(runtime, output.data(), {1, static_cast<std::int64_t>(shape.outputs)});
  }

  static OrtSession open_session(const OnnxRuntime& runtime, const std::string& path) {
    const OrtSessionOptions options = serving_options(runtime);
    ort::Session* raw = nullptr;
    runtime.must<ort::CreateSession>(path, runtime.env(), path.c_str(),
                                     static_cast<const ort::SessionOptions*>(options.get()), &raw);
    return OrtSession(raw, {&runtime});
  }

  void read_names(const std::string& path) {
    const auto* graph = static_cast<const ort::Session*>(session.get());
    std::size_t inputs = 0;
    std::size_t outputs = 0;
    runtime.must<ort::SessionGetInputCount>(path, graph, &inputs);
    runtime.must<ort::SessionGetOutputCount>(path, graph, &outputs);
    if (inputs != 1 || outputs == 0) {
      throw OnnxError(path + ": expected one input and an output, got " + std::to_string(inputs) + " and " +
                      std::to_string(outputs));
    }
    input_name = name<ort::SessionGetInputName>(path);
    output_name = name<ort::SessionGetOutputName>(path);
  }

  template <class Call>
  std::string name(const std::string& path) {
    ort::Allocator* allocator = nullptr;
    runtime.must<ort::GetDefaultAllocator>(path, &allocator);
    char* text = nullptr;
    runtime.must<Call>(path, static_cast<const ort::Session*>(session.get()), std::size_t{0}, allocator,
                       &text);
    std::string copy = text;
    runtime.must<ort::AllocatorFree>(path, allocator, static_cast<void*>(text));
    return copy;
  }

  /// The input's shape with one row.
  std::vector<std::int64_t> input_shape(const std::string& path) {
    const std::string what = path + ": input " + input_name;
    ort::TypeInfo* raw = nullptr;
    runtime.must<ort::SessionGetInputTypeInfo>(what, static_cast<const ort::Session*>(session.get()),
                                               std::size_t{0}, &raw);
    const OrtTypeInfo type(raw, {&runtime});
    const ort::TensorInfo* info = nullptr;
    runtime.must<ort::CastTypeInfoToTensorInfo>(what, static_cast<const ort::TypeInfo*>(raw), &info);
    if (info == nullptr) {
      throw OnnxError(what + ": expected a tensor");
    }
    auto sizes = float_shape(runtime, info, what);
    const bool windowed = sizes.size() == 3;
    if (stream && (!windowed || sizes[1] != -1)) {
      throw OnnxError(what + ": expected [batch, steps, width] of a stream, the steps left open, got " +
                      shape_text(sizes));
    }
    if (stream) sizes[1] = 1;
    const auto within = [&](std::size_t axis, std::size_t most) {
      return sizes[axis] >= 1 && sizes[axis] <= static_cast<std::int64_t>(most);
    };
    const bool usable = (sizes.size() == 2 || windowed) && (sizes[0] == -1 || sizes[0] == 1) &&
                        within(sizes.size() - 1, kMaxFeatures) && (!windowed || within(1, kMaxWindow)) &&
                        (!windowed || sizes[1] * sizes[2] <= static_cast<std::int64_t>(kMaxInputs));
    if (!usable) {
      throw OnnxError(what + ": expected shape [batch, 1.." + std::to_string(kMaxFeatures) +
                      "] or [batch, 1.." + std::to_string(kMaxWindow) + ", 1.." +
                      std::to_string(kMaxFeatures) + "] of at most " + std::to_string(kMaxInputs) +
                      " floats, got " + shape_text(sizes));
    }
    graph_leaves_batch_open = sizes[0] == -1;
    sizes[0] = 1;
    return sizes;
  }

  /// Runs a row of zeros with an output of the runtime's own, and returns the width that came.
  std::size_t first_run(const std::string& path) {
    const std::string what = path + ": output " + output_name;
    ort::Value* raw = nullptr;
    runtime.must<ort::Run>(path, session.get(), static_cast<const ort::RunOptions*>(nullptr), input_names(),
                           input_values(), std::size_t{1}, output_names(), std::size_t{1}, &raw);
    const OrtValue value(raw, {&runtime});
    ort::TensorInfo* raw_info = nullptr;
    runtime.must<ort::GetTensorTypeAndShape>(what, static_cast<const ort::Value*>(raw), &raw_info);
    const OrtTensorInfo info(raw_info, {&runtime});
    const auto sizes = float_shape(runtime, raw_info, what);
    const bool usable = sizes.size() == 2 && sizes[0] == 1 && sizes[1] >= 1 &&
                        sizes[1] <= static_cast<std::int64_t>(kMaxOutputs);
    if (!usable) {
      throw OnnxError(what + ": expected shape [1, 1.." + std::to_string(kMaxOutputs) +
                      "] for one row, got " + shape_text(sizes));
    }
    return static_cast<std::size_t>(sizes[1]);
  }

  /// Runs rows together into `out`.
  /// @throws OnnxError the runtime refuses, or answers in another shape.
  void run(float* in, std::size_t rows, float* out) {
    const auto count = static_cast<std::int64_t>(rows);
    const auto width = static_cast<std::int64_t>(shape.width);
    if (shape.windowed) {
      run(in, {count, static_cast<std::int64_t>(shape.window), width}, rows, out);
    } else {
      run(in, {count, width}, rows, out);
    }
  }

  void run(float* in, const std::vector<std::int64_t>& inputs, std::size_t rows, float* out) {
    const auto count = static_cast<std::int64_t>(rows);
    const OrtValue given = tensor_over(runtime, in, inputs);
    const OrtValue taken = tensor_over(runtime, out, {count, static_cast<std::int64_t>(shape.outputs)});
    const ort::Value* input_value_pointer = given.get();
    ort::Value* answers = taken.get();
    runtime.must<ort::Run>("input " + shape_text(inputs), session.get(),
                           static_cast<const ort::RunOptions*>(nullptr), input_names(),
                           static_cast<const ort::Value* const*>(&input_value_pointer), std::size_t{1},
                           output_names(), std::size_t{1}, &answers);
  }

  /// Whether the graph runs more than one row, as it says.
  bool two_rows_answer() noexcept {
    try {
      std::vector<float> in(2 * shape.window * shape.width);
      std::vector<float> out(2 * shape.outputs);
      run(in.data(), 2, out.data());
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }

  const char* const* input_names() noexcept { return &(input_name_pointer = input_name.c_str()); }
  const char* const* output_names() noexcept { return &(output_name_pointer = output_name.c_str()); }
  const ort::Value* const* input_values() noexcept { return &(input_pointer = input_value.get()); }

  const OnnxRuntime& runtime;
  OrtSession session;
  bool stream;
  std::string input_name;
  std::string output_name;
  const char* input_name_pointer = nullptr;
  const char* output_name_pointer = nullptr;
  const ort::Value* input_pointer = nullptr;
  alignas(kValueAlignment) std::array<float, kMaxInputs> input{};
  alignas(kValueAlignment) std::array<float, kMaxOutputs> output{};
  ModelShape shape;
  bool graph_leaves_batch_open = false;
  bool batch_open = false;
  OrtValue input_value;
  OrtValue output_value;
};

OnnxModel::OnnxModel(const std::string& path, const std::string& library, bool stream)
    : OnnxModel(std::make_unique<Parts>(path, library, stream)) {}

OnnxModel::OnnxModel(std::unique_ptr<Parts> parts)
    : Model(parts->shape, "onnxruntime"), parts_(std::move(parts)) {}

OnnxModel::~OnnxModel() = default;

bool OnnxModel::predict(const float* in, float* out) noexcept {
  Parts& parts = *parts_;
  std::memcpy(parts.input.data(), in, inputs() * sizeof(float));
  ort::Value* output = parts.output_value.get();
  ort::Status* status = parts.runtime.call<ort::Run>(
      parts.session.get(), static_cast<const ort::RunOptions*>(nullptr), parts.input_names(),
      parts.input_values(), std::size_t{1}, parts.output_names(), std::size_t{1}, &output);
  if (status != nullptr) {
    parts.runtime.call<ort::ReleaseStatus>(status);
    return false;
  }
  std::memcpy(out, parts.output.data(), outputs() * sizeof(float));
  return true;
}

std::vector<float> OnnxModel::answers_along(const float* vectors, std::size_t count) {
  Parts& parts = *parts_;
  if (!parts.stream) {
    throw OnnxError("answers_along: expected a graph opened as a stream's");
  }
  std::vector<float> said(count * outputs());
  for (std::size_t steps = 1; steps <= count; ++steps) {
    // The runtime's interface knows no constant tensor.
    parts.run(const_cast<float*>(vectors),
              {1, static_cast<std::int64_t>(steps), static_cast<std::int64_t>(width())}, 1,
              said.data() + (steps - 1) * outputs());
  }
  return said;
}

bool OnnxModel::batches() const noexcept { return parts_->batch_open; }

bool OnnxModel::predict_rows(const float* in, std::size_t rows, float* out) noexcept {
  if (!batches()) return Model::predict_rows(in, rows, out);
  try {
    parts_->run(const_cast<float*>(in), rows, out);  // the runtime's interface knows no constant tensor
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace ringcraft
