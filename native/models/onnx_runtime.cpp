#include "models/onnx_runtime.hpp"

#include <dlfcn.h>

#include <map>
#include <mutex>

namespace ringcraft {
namespace {

/// output = features + features, opset 13, features [batch, 2].
constexpr std::array<unsigned char, 102> kKnownGraph = {
    0x08, 0x08, 0x3a, 0x5c, 0x0a, 0x21, 0x0a, 0x08, 0x66, 0x65, 0x61, 0x74, 0x75, 0x72, 0x65, 0x73, 0x0a,
    0x08, 0x66, 0x65, 0x61, 0x74, 0x75, 0x72, 0x65, 0x73, 0x12, 0x06, 0x6f, 0x75, 0x74, 0x70, 0x75, 0x74,
    0x22, 0x03, 0x41, 0x64, 0x64, 0x12, 0x05, 0x6b, 0x6e, 0x6f, 0x77, 0x6e, 0x5a, 0x18, 0x0a, 0x08, 0x66,
    0x65, 0x61, 0x74, 0x75, 0x72, 0x65, 0x73, 0x12, 0x0c, 0x0a, 0x0a, 0x08, 0x01, 0x12, 0x06, 0x0a, 0x00,
    0x0a, 0x02, 0x08, 0x02, 0x62, 0x16, 0x0a, 0x06, 0x6f, 0x75, 0x74, 0x70, 0x75, 0x74, 0x12, 0x0c, 0x0a,
    0x0a, 0x08, 0x01, 0x12, 0x06, 0x0a, 0x00, 0x0a, 0x02, 0x08, 0x02, 0x42, 0x04, 0x0a, 0x00, 0x10, 0x0d};

using GetApiBase = const ort::ApiBase* (*)();

}  // namespace

const OnnxRuntime& OnnxRuntime::open(const std::string& library) {
  // Never closed: sessions in other threads may outlive any owner, and the library is shared by all of them.
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<const OnnxRuntime>> opened;
  const std::lock_guard lock(mutex);
  auto found = opened.find(library);
  if (found == opened.end()) {
    found = opened.emplace(library, std::unique_ptr<const OnnxRuntime>(new OnnxRuntime(library))).first;
  }
  return *found->second;
}

OnnxRuntime::OnnxRuntime(const std::string& library) {
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* why = dlerror();
    throw OnnxError("onnxruntime: " + std::string(why != nullptr ? why : "cannot be opened"));
  }
  const auto get_base = reinterpret_cast<GetApiBase>(dlsym(handle, "OrtGetApiBase"));
  if (get_base == nullptr) {
    throw OnnxError(library + ": expected ONNX Runtime, found no OrtGetApiBase");
  }
  version_ = get_base()->get_version_string();
  if (version_.rfind("1.", 0) != 0) {
    throw OnnxError(library + ": expected ONNX Runtime 1.x, got " + version_);
  }
  table_ = get_base()->get_api(ort::kApiVersion);
  if (table_ == nullptr) {
    throw OnnxError(library + ": ONNX Runtime " + version_ + " offers no function table of version 1");
  }
  must<ort::CreateEnv>("onnxruntime environment", ort::kLogFatal, "ringcraft", &env_);
  prove();
}

void OnnxRuntime::throw_if(ort::Status* status, const std::string& what) const {
  if (status == nullptr) {
    return;
  }
  std::string message = call<ort::GetErrorMessage>(static_cast<const ort::Status*>(status));
  call<ort::ReleaseStatus>(status);
  for (char& letter : message) {
    letter = letter == '\n' ? ' ' : letter;
  }
  throw OnnxError(what + ": " + message);
}

void OnnxRuntime::prove() const {
  const OrtSessionOptions options = serving_options(*this);
  ort::Session* raw = nullptr;
  must<ort::CreateSessionFromArray>("onnxruntime known graph", env(),
                                    static_cast<const void*>(kKnownGraph.data()), kKnownGraph.size(),
                                    static_cast<const ort::SessionOptions*>(options.get()), &raw);
  const OrtSession session(raw, {this});
  std::array<float, 2> in = {1.5F, -4.0F};
  std::array<float, 2> out = {0.0F, 0.0F};
  const OrtValue input = tensor_over(*this, in.data(), {1, in.size()});
  const OrtValue output = tensor_over(*this, out.data(), {1, out.size()});
  const char* input_name = "features";
  const char* output_name = "output";
  const ort::Value* inputs[] = {input.get()};
  ort::Value* outputs[] = {output.get()};
  must<ort::Run>("onnxruntime known graph", session.get(), static_cast<const ort::RunOptions*>(nullptr),
                 static_cast<const char* const*>(&input_name), static_cast<const ort::Value* const*>(inputs),
                 std::size_t{1}, static_cast<const char* const*>(&output_name), std::size_t{1},
                 static_cast<ort::Value**>(outputs));
  if (out[0] != 3.0F || out[1] != -8.0F) {
    throw OnnxError("onnxruntime " + version_ + ": wrong answer on the known graph: expected 3 -8, got " +
                    std::to_string(out[0]) + " " + std::to_string(out[1]));
  }
}

OrtSessionOptions serving_options(const OnnxRuntime& runtime) {
  ort::SessionOptions* raw = nullptr;
  runtime.must<ort::CreateSessionOptions>("onnxruntime session options", &raw);
  OrtSessionOptions options(raw, {&runtime});
  const std::string what = "onnxruntime session options";
  runtime.must<ort::SetSessionExecutionMode>(what, raw, ort::kSequential);
  runtime.must<ort::SetSessionGraphOptimizationLevel>(what, raw, ort::kAllOptimizations);
  runtime.must<ort::SetIntraOpNumThreads>(what, raw, 1);
  runtime.must<ort::SetInterOpNumThreads>(what, raw, 1);
  return options;
}

OrtValue tensor_over(const OnnxRuntime& runtime, float* data, const std::vector<std::int64_t>& shape) {
  ort::MemoryInfo* raw_memory = nullptr;
  runtime.must<ort::CreateCpuMemoryInfo>("onnxruntime memory", ort::kArenaAllocator, ort::kDefaultMemory,
                                         &raw_memory);
  const OrtMemoryInfo memory(raw_memory, {&runtime});
  std::size_t floats = 1;
  for (const std::int64_t size : shape) {
    floats *= static_cast<std::size_t>(size);
  }
  ort::Value* raw = nullptr;
  runtime.must<ort::CreateTensorWithData>(
      "onnxruntime tensor", static_cast<const ort::MemoryInfo*>(raw_memory), static_cast<void*>(data),
      floats * sizeof(float), shape.data(), shape.size(), ort::kFloatElement, &raw);
  return OrtValue(raw, {&runtime});
}

std::string onnxruntime_version(const std::string& library) { return OnnxRuntime::open(library).version(); }

}  // namespace ringcraft
