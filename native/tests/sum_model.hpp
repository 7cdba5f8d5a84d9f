#pragma once
// A model that one can reckon by hand.

#include <memory>

#include "serving/holdings.hpp"

namespace ringcraft {

/// Of four features; answers P(up) - P(down) = the sum of its vectors.
class SumModel : public Model {
 public:
  static constexpr std::size_t kWidth = 4;

  explicit SumModel(std::size_t window = 1) : Model({window, kWidth, 3, window > 1}, "sum") {}

  bool predict(const float* in, float* out) noexcept override {
    float sum = 0;
    for (std::size_t i = 0; i < inputs(); ++i) sum += in[i];
    out[0] = 0;
    out[1] = 0;
    out[2] = sum;
    return true;
  }
};

/// The same, run together and counted.
class TogetherModel final : public SumModel {
 public:
  [[nodiscard]] bool batches() const noexcept override { return true; }
  [[nodiscard]] bool predict(const float* in, float* out) noexcept override {
    ++alone;
    return SumModel::predict(in, out);
  }
  [[nodiscard]] bool predict_rows(const float* in, std::size_t rows, float* out) noexcept override {
    if (fails) return false;
    ++runs;
    for (std::size_t row = 0; row < rows; ++row) {
      static_cast<void>(SumModel::predict(in + row * inputs(), out + row * outputs()));
    }
    return true;
  }

  int runs = 0;
  int alone = 0;
  bool fails = false;
};

inline std::unique_ptr<const LoadedSlot> sums(std::uint32_t version, std::size_t window = 1) {
  LoadedSlot slot;
  slot.version = version;
  slot.threshold = 0.5;
  slot.latency_budget_ns = 1'000'000'000;
  slot.live = std::make_shared<SumModel>(window);
  slot.shadow = std::make_shared<SumModel>(window);
  return std::make_unique<const LoadedSlot>(std::move(slot));
}

}  // namespace ringcraft
