#include "models/model.hpp"

#include <array>
#include <chrono>

namespace ringcraft {

bool Model::predict_rows(const float* in, std::size_t rows, float* out) noexcept {
  for (std::size_t row = 0; row < rows; ++row) {
    if (!predict(in + row * inputs(), out + row * outputs())) return false;
  }
  return true;
}

std::vector<std::int64_t> Model::latencies_ns(const float* in, std::size_t rows, std::size_t repeats,
                                              bool settling) {
  std::vector<std::int64_t> spent;
  spent.reserve(rows * repeats);
  std::array<float, kMaxOutputs> out{};
  for (std::size_t repeat = 0; repeat < repeats; ++repeat) {
    for (std::size_t row = 0; row < rows; ++row) {
      const auto start = std::chrono::steady_clock::now();
      if (!predict(in + row * inputs(), out.data())) {
        throw OnnxError("row " + std::to_string(row) + ": " + tier() + " gave no answer");
      }
      if (settling) settle();
      const auto stop = std::chrono::steady_clock::now();
      spent.push_back(std::chrono::duration_cast<std::chrono::nanoseconds>(stop - start).count());
      settle();
    }
  }
  return spent;
}

}  // namespace ringcraft
