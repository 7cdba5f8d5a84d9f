#pragma once
// One ONNX graph, run a row at a time through ONNX Runtime with values that were laid out beforehand.

#include <memory>
#include <string>
#include <vector>

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
  /// @param stream whether its input is to be [batch, steps, width] with the steps left open: a sequence, not
  /// a window. predict() then takes a sequence of one vector.
  OnnxModel(const std::string& path, const std::string& library, bool stream = false);
  ~OnnxModel() override;

  [[nodiscard]] bool predict(const float* in, float* out) noexcept override;

  /// Where the graph leaves its batch open, and says so of two rows too.
  [[nodiscard]] bool batches() const noexcept override;
  [[nodiscard]] bool predict_rows(const float* in, std::size_t rows, float* out) noexcept override;

  /// Runs every beginning of a sequence by itself, of a graph that was opened as a stream's.
  ///
  /// @param vectors count * width() floats, the oldest first.
  /// @return count * outputs() floats: what the graph says after each vector, over all that came so far.
  /// @throws OnnxError the runtime refuses.
  [[nodiscard]] std::vector<float> answers_along(const float* vectors, std::size_t count);

 private:
  struct Parts;
  explicit OnnxModel(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

/// Version of the library at `library`, once it has been opened and proved.
/// @throws OnnxError it cannot be opened, is another major version, or fails on the known graph.
[[nodiscard]] std::string onnxruntime_version(const std::string& library);

}  // namespace ringcraft
