// Bytes as a model file: refused in words, or kernels that answer; never more than that.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "models/kernel_model.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringcraft;
  try {
    const auto model = build_kernel({reinterpret_cast<const char*>(data), size}, best_kernels());
    const std::vector<float> row(model->inputs(), 0.5F);
    std::array<float, kMaxOutputs> out{};
    if (!model->predict(row.data(), out.data()) || !model->predict(row.data(), out.data())) {
      __builtin_trap();
    }
  } catch (const OnnxError&) {
    // A reason for a person is all that such a file gets.
  }
  return 0;
}
