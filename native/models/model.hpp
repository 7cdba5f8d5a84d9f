#pragma once
// What a worker asks for an answer: one model, whichever engine runs it.

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace ringcraft {

/// A graph or the runtime itself cannot be used; the message is one line for a person.
class OnnxError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Buffers start on a cache line, for the kernels' sake.
inline constexpr std::size_t kValueAlignment = 64;
inline constexpr std::size_t kMaxFeatures = 256;  ///< of one vector
inline constexpr std::size_t kMaxWindow = 128;    ///< vectors a decision reads
inline constexpr std::size_t kMaxInputs = 8192;   ///< floats of a whole window
inline constexpr std::size_t kMaxOutputs = 64;

/// What a model takes and gives.
struct ModelShape {
  std::size_t window = 1;  ///< vectors, oldest first
  std::size_t width = 0;   ///< floats of each
  std::size_t outputs = 0;
  bool windowed = false;  ///< whether the graph's input is [batch, window, width] rather than [batch, width]
};

class Model {
 public:
  virtual ~Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  [[nodiscard]] const ModelShape& shape() const noexcept { return shape_; }
  [[nodiscard]] std::size_t window() const noexcept { return shape_.window; }
  [[nodiscard]] std::size_t width() const noexcept { return shape_.width; }
  [[nodiscard]] std::size_t outputs() const noexcept { return shape_.outputs; }

  /// Floats of one row: window() * width().
  [[nodiscard]] std::size_t inputs() const noexcept { return shape_.window * shape_.width; }

  /// Which engine answers, for people: "onnxruntime", "trees-avx2".
  [[nodiscard]] const std::string& tier() const noexcept { return tier_; }

  /// Runs one row.
  ///
  /// @param in inputs() floats, the oldest vector first.
  /// @param out outputs() floats; untouched on failure.
  /// @return whether there is an answer.
  /// @note One thread at a time for each model; allocates nothing of its own.
  [[nodiscard]] virtual bool predict(const float* in, float* out) noexcept = 0;

  /// Whether predict_rows() runs rows together; if not, one after another is as fast.
  [[nodiscard]] virtual bool batches() const noexcept { return false; }

  /// Runs several rows. Together, their answers are those of predict() within rounding.
  ///
  /// @param in rows * inputs() floats.
  /// @param out rows * outputs() floats; of no meaning on failure.
  /// @return whether all have an answer.
  [[nodiscard]] virtual bool predict_rows(const float* in, std::size_t rows, float* out) noexcept;

  /// Does what the next predict() would otherwise do first; for when an answer is out and nothing waits.
  /// Answers are the same bits whether or not it is called.
  virtual void settle() noexcept {}

  /// Times `rows` single-row runs, `repeats` times over.
  /// @param settling whether settle() after each counts; it is called either way.
  /// @throws OnnxError a row got no answer.
  [[nodiscard]] std::vector<std::int64_t> latencies_ns(const float* in, std::size_t rows, std::size_t repeats,
                                                       bool settling = false);

 protected:
  Model(ModelShape shape, std::string tier) : shape_(shape), tier_(std::move(tier)) {}

 private:
  ModelShape shape_;
  std::string tier_;
};

}  // namespace ringcraft
