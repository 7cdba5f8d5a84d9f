#pragma once
// A model that carries its state from one vector to the next: a stream of them for each instrument.
//
// Another thing than a window: an answer depends on every vector since the stream began, and a vector that is
// asked about twice counts twice.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "models/model.hpp"

namespace ringcraft {

struct Kernels;

inline constexpr std::size_t kMaxStreams = 4096;  ///< of one model

/// predict() is the next step of the stream that was selected, the first one to begin with.
///
/// A vector with a value that is not finite is no step: there is no answer, and the state stays as it was.
/// A step whose outputs are not finite is answered, and its stream begins anew: such a state never mends.
class StreamModel : public Model {
 public:
  [[nodiscard]] std::size_t streams() const noexcept { return streams_; }

  /// Makes `stream` the one that predict() moves on.
  /// @param stream below streams().
  virtual void select(std::size_t stream) noexcept = 0;

  /// Begins `stream` anew, whichever is selected.
  /// @param stream below streams().
  virtual void restart(std::size_t stream) noexcept = 0;

 protected:
  StreamModel(ModelShape shape, std::string tier, std::size_t streams)
      : Model(shape, std::move(tier)), streams_(streams) {}

 private:
  std::size_t streams_;
};

/// Builds kernels that carry the states of a graph's LSTM layers.
///
/// Built for one step: whatever else in the graph reaches back over the steps answers otherwise than it does.
/// Who serves one compares it with the graph over a whole sequence first.
///
/// @param bytes the .onnx file's; its input is [batch, steps, width], the steps left open.
/// @param streams how many states are kept, 1..kMaxStreams.
/// @throws OnnxError the graph is malformed, no such one, or not known here; the message says what.
[[nodiscard]] std::unique_ptr<StreamModel> build_stream(std::string_view bytes, std::size_t streams,
                                                        const Kernels& kernels);

/// The same from the file at `path`, with the best instruction set of this processor, or the one named.
/// @throws OnnxError as build_stream; the file cannot be read; this processor or build lacks the set.
[[nodiscard]] std::unique_ptr<StreamModel> load_stream(const std::string& path, std::size_t streams,
                                                       const std::string& isa = "");

}  // namespace ringcraft
