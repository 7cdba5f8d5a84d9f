#pragma once
// One ONNX graph, run a row at a time through ONNX Runtime with values that were laid out beforehand.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace ringcraft {

/// A graph or the runtime itself cannot be used; the message is one line for a person.
class OnnxError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Buffers start on a cache line, for the kernels' sake.
inline constexpr std::size_t kValueAlignment = 64;
inline constexpr std::size_t kMaxFeatures = 256;
inline constexpr std::size_t kMaxOutputs = 64;

class OnnxModel {
 public:
  /// Loads a graph with one float32 input [batch, inputs]; its first float32 output [batch, outputs] is read.
  ///
  /// @param path the .onnx file.
  /// @param library ONNX Runtime's shared library; opened once a process and proved on a known graph.
  /// @throws OnnxError the library or the graph cannot be used, or the graph has another shape.
  OnnxModel(const std::string& path, const std::string& library);
  ~OnnxModel();
  OnnxModel(const OnnxModel&) = delete;
  OnnxModel& operator=(const OnnxModel&) = delete;

  [[nodiscard]] std::size_t inputs() const noexcept;
  [[nodiscard]] std::size_t outputs() const noexcept;

  /// Runs one row.
  ///
  /// @param in inputs() floats.
  /// @param out outputs() floats; untouched on failure.
  /// @return whether the runtime answered.
  /// @note One thread at a time for each OnnxModel; allocates nothing of its own.
  [[nodiscard]] bool predict(const float* in, float* out) noexcept;

  /// Times `rows` single-row runs, `repeats` times over.
  [[nodiscard]] std::vector<std::int64_t> latencies_ns(const float* in, std::size_t rows,
                                                       std::size_t repeats);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

/// Version of the library at `library`, once it has been opened and proved.
/// @throws OnnxError it cannot be opened, is another major version, or fails on the known graph.
[[nodiscard]] std::string onnxruntime_version(const std::string& library);

}  // namespace ringcraft
