#include "models/net_lstm_stream.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

namespace ringcraft {
namespace {

constexpr std::size_t kMostStreams = 16;  // instruments that one model follows at a time
constexpr std::size_t kMostFloats = std::size_t{1} << 20U;
constexpr std::uint64_t kWorthOfStream = 256;  // windows that went nowhere, before a stream gives way to them

/// Windows under way of one sequence of vectors, a row each.
struct Stream {
  struct States {
    float* hidden;    ///< [rows][wide]
    float* cells;     ///< [rows][wide]
    float* recurred;  ///< of the oldest row, ahead of its last step
  };
  std::vector<States> layers;
  float* vectors = nullptr;  ///< twice a window, of which `first` on is the newest
  std::size_t first = 0;
  std::size_t open = 0;    ///< rows in use
  std::size_t oldest = 0;  ///< row that is full next, once all are in use
  std::uint64_t used = 0;  ///< run in which it was last asked; 0: never
  bool moved = false;
};

class LstmStreams final : public NetOp {
 public:
  LstmStreams(NetBuilder& net, std::vector<LstmLayer> layers, const float* x, std::size_t steps, float* last)
      : layers_(std::move(layers)),
        x_(x),
        last_(last),
        steps_(steps),
        rows_(steps - 1),
        inputs_(layers_[0].projection.inputs) {
    std::size_t gates = 0;
    std::size_t wide = 0;
    std::size_t each = 2 * steps * inputs_;
    for (const LstmLayer& layer : layers_) {
      gates = std::max(gates, layer.gates());
      wide = std::max(wide, layer.wide);
      each += 2 * rows_ * layer.wide + layer.gates();
    }
    projected_ = net.buffer(steps * gates);
    recurred_ = net.buffer(steps * gates);
    outputs_ = net.buffer(steps * wide);
    cell_ = net.buffer(wide);
    newest_ = net.buffer(layers_[0].gates());
    streams_.resize(std::clamp<std::size_t>(kMostFloats / each, 1, kMostStreams));
    for (Stream& stream : streams_) {
      stream.vectors = net.buffer(2 * steps * inputs_);
      for (const LstmLayer& layer : layers_) {
        stream.layers.push_back(
            {net.buffer(rows_ * layer.wide), net.buffer(rows_ * layer.wide), net.buffer(layer.gates())});
      }
    }
  }

  void run() noexcept override {
    settle();
    ++runs_;
    Stream* stream = gone_on();
    if (stream == nullptr) {
      afresh();
      begin(stream_to_give_up());
      return;
    }
    if (stream->open == rows_) {
      finish(*stream);
    } else {
      afresh();
    }
    append(*stream);
    pending_ = stream;
  }

  void settle() noexcept override {
    if (pending_ != nullptr) advance(*std::exchange(pending_, nullptr));
  }

 private:
  /// The stream whose newest window is this one but for a vector.
  Stream* gone_on() noexcept {
    const std::size_t shared = rows_ * inputs_ * sizeof(float);
    for (Stream& stream : streams_) {
      if (stream.used != 0 && std::memcmp(stream.vectors + (stream.first + 1) * inputs_, x_, shared) == 0) {
        return &stream;
      }
    }
    return nullptr;
  }

  Stream& stream_to_give_up() noexcept {
    return *std::min_element(streams_.begin(), streams_.end(), [](const Stream& a, const Stream& b) {
      return a.used + (a.moved ? kWorthOfStream : 0) < b.used + (b.moved ? kWorthOfStream : 0);
    });
  }

  void begin(Stream& stream) noexcept {
    std::memcpy(stream.vectors, x_, steps_ * inputs_ * sizeof(float));
    stream.first = stream.open = stream.oldest = 0;
    stream.moved = false;
    stream.used = runs_;
  }

  void append(Stream& stream) noexcept {
    ++stream.first;
    if (stream.first > steps_) {
      std::memmove(stream.vectors, stream.vectors + stream.first * inputs_, rows_ * inputs_ * sizeof(float));
      stream.first = 0;
    }
    std::memcpy(stream.vectors + (stream.first + rows_) * inputs_, x_ + rows_ * inputs_,
                inputs_ * sizeof(float));
    stream.moved = true;
    stream.used = runs_;
  }

  /// The whole window, layer by layer.
  void afresh() noexcept {
    const float* x = x_;
    std::size_t x_row = inputs_;
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      const LstmLayer& layer = layers_[l];
      layer.project(x, x_row, steps_, projected_);
      if (l == 0) std::memcpy(newest_, projected_ + rows_ * layer.gates(), layer.gates() * sizeof(float));
      // Each step's state is made in its own row, of the one before it.
      layer.begin(outputs_, cell_);
      for (std::size_t step = 0; step < steps_; ++step) {
        float* state = outputs_ + step * layer.wide;
        layer.recur(step == 0 ? state : state - layer.wide, 1, recurred_);
        layer.step(projected_ + step * layer.gates(), 0, recurred_, cell_, state, 1);
      }
      x = outputs_;
      x_row = layer.wide;
    }
    std::memcpy(last_, outputs_ + rows_ * layers_.back().wide, layers_.back().hidden * sizeof(float));
  }

  /// The last step of a stream's oldest window.
  void finish(Stream& stream) noexcept {
    const float* x = x_ + rows_ * inputs_;
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      const LstmLayer& layer = layers_[l];
      float* projected = l == 0 ? newest_ : projected_;
      layer.project(x, 0, 1, projected);
      float* state = stream.layers[l].hidden + stream.oldest * layer.wide;
      layer.step(projected, 0, stream.layers[l].recurred, stream.layers[l].cells + stream.oldest * layer.wide,
                 state, 1);
      x = state;
    }
    std::memcpy(last_, x, layers_.back().hidden * sizeof(float));
  }

  /// Begins a window with the newest vector, in the place of the one that is full, and moves all on by it.
  void advance(Stream& stream) noexcept {
    const bool all = stream.open == rows_;
    const std::size_t fresh = all ? stream.oldest : stream.open++;
    if (all) stream.oldest = (stream.oldest + 1) % rows_;
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      const LstmLayer& layer = layers_[l];
      const Stream::States& states = stream.layers[l];
      layer.begin(states.hidden + fresh * layer.wide, states.cells + fresh * layer.wide);
      layer.recur(states.hidden, stream.open, recurred_);
      if (l > 0) layer.project(stream.layers[l - 1].hidden, layers_[l - 1].wide, stream.open, projected_);
      layer.step(l == 0 ? newest_ : projected_, l == 0 ? 0 : layer.gates(), recurred_, states.cells,
                 states.hidden, stream.open);
      if (stream.open == rows_) {
        layer.recur(states.hidden + stream.oldest * layer.wide, 1, states.recurred);
      }
    }
    if (stream.open == rows_) fetch();
  }

  /// Brings what finish() reads near: the products above went over more than the second cache holds.
  void fetch() const noexcept {
    constexpr std::size_t kLine = kValueAlignment / sizeof(float);
    for (const LstmLayer& layer : layers_) {
      const Linear& weights = layer.projection;
      for (std::size_t at = 0; at < weights.inputs * weights.outputs; at += kLine) {
        __builtin_prefetch(weights.weights + at, 0, 2);
      }
    }
  }

  std::vector<LstmLayer> layers_;
  std::vector<Stream> streams_;
  const float* x_;
  float* last_;
  std::size_t steps_;
  std::size_t rows_;  ///< windows of a stream that are under way
  std::size_t inputs_;
  float* projected_ = nullptr;
  float* recurred_ = nullptr;
  float* outputs_ = nullptr;
  float* cell_ = nullptr;
  float* newest_ = nullptr;  ///< projection of the newest vector by the lowest layer
  Stream* pending_ = nullptr;
  std::uint64_t runs_ = 0;
};

}  // namespace

void add_lstm_streams(NetBuilder& net, std::vector<LstmLayer> layers, const float* x, std::size_t steps,
                      float* last) {
  net.add_op(std::make_unique<LstmStreams>(net, std::move(layers), x, steps, last));
}

}  // namespace ringcraft
