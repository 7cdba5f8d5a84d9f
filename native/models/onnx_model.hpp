#pragma once
// One ONNX graph, run a row at a time through ONNX Runtime with values that were laid out beforehand.

#include <memory>
#include <string>

#include "models/model.hpp"

namespace ringcraft {

/// The tier that runs every graph, and that all others are held to.
class OnnxModel final : public Model {
 public:
  /// Loads a graph with one float32 input, [batch, width] or [batch, window, width]; its first float32 output
  /// [batch, outputs] is read.
  ///
  /// @param path the .onnx file.
  /// @param library ONNX Runtime's shared library; opened once a process and proved on a known graph.
  /// @throws OnnxError the library or the graph cannot be used, or the graph has another shape.
  OnnxModel(const std::string& path, const std::string& library);
  ~OnnxModel() override;

  [[nodiscard]] bool predict(const float* in, float* out) noexcept override;

 private:
  struct Parts;
  explicit OnnxModel(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

/// Version of the library at `library`, once it has been opened and proved.
/// @throws OnnxError it cannot be opened, is another major version, or fails on the known graph.
[[nodiscard]] std::string onnxruntime_version(const std::string& library);

}  // namespace ringcraft
