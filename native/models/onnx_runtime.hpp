#pragma once
// ONNX Runtime's shared library, opened once a process.

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "models/onnx_model.hpp"
#include "models/onnxruntime_api.hpp"

namespace ringcraft {

/// The opened library, its environment and its function table; lives until the process ends.
class OnnxRuntime {
 public:
  /// @throws OnnxError it cannot be opened, is another major version, or fails on the known graph.
  static const OnnxRuntime& open(const std::string& library);

  template <class Call, class... Arguments>
  auto call(Arguments... arguments) const noexcept {
    return Call::call(table_, arguments...);
  }

  /// Calls, and throws OnnxError("<what>: <the runtime's message>") if the runtime refuses.
  template <class Call, class... Arguments>
  void must(const std::string& what, Arguments... arguments) const {
    throw_if(Call::call(table_, arguments...), what);
  }

  [[nodiscard]] const ort::Env* env() const noexcept { return env_; }
  [[nodiscard]] const std::string& version() const noexcept { return version_; }

 private:
  explicit OnnxRuntime(const std::string& library);
  void throw_if(ort::Status* status, const std::string& what) const;
  void prove() const;

  const void* const* table_ = nullptr;
  ort::Env* env_ = nullptr;
  std::string version_;
};

/// Frees what the runtime made, through the runtime.
template <class Release, class T>
struct OrtDeleter {
  const OnnxRuntime* runtime = nullptr;
  void operator()(T* object) const noexcept { runtime->call<Release>(object); }
};

using OrtSession = std::unique_ptr<ort::Session, OrtDeleter<ort::ReleaseSession, ort::Session>>;
using OrtValue = std::unique_ptr<ort::Value, OrtDeleter<ort::ReleaseValue, ort::Value>>;
using OrtTypeInfo = std::unique_ptr<ort::TypeInfo, OrtDeleter<ort::ReleaseTypeInfo, ort::TypeInfo>>;
using OrtTensorInfo = std::unique_ptr<ort::TensorInfo, OrtDeleter<ort::ReleaseTensorInfo, ort::TensorInfo>>;
using OrtMemoryInfo = std::unique_ptr<ort::MemoryInfo, OrtDeleter<ort::ReleaseMemoryInfo, ort::MemoryInfo>>;
using OrtSessionOptions =
    std::unique_ptr<ort::SessionOptions, OrtDeleter<ort::ReleaseSessionOptions, ort::SessionOptions>>;

/// Options of every session: one thread, in sequence, all graph optimizations.
[[nodiscard]] OrtSessionOptions serving_options(const OnnxRuntime& runtime);

/// A float tensor over memory of ours, whose sizes are `shape`.
[[nodiscard]] OrtValue tensor_over(const OnnxRuntime& runtime, float* data,
                                   const std::vector<std::int64_t>& shape);

}  // namespace ringcraft
