// Bytes as a model file: refused in words, or kernels that answer; never more than that.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "models/kernel_model.hpp"
#include "models/stream_model.hpp"

namespace {

template <class Build>
void answer_or_refuse(const Build& build) {
  using namespace ringcraft;
  try {
    const auto model = build();
    const std::vector<float> row(model->inputs(), 0.5F);
    std::array<float, kMaxOutputs> out{};
    if (!model->predict(row.data(), out.data()) || !model->predict(row.data(), out.data())) {
      __builtin_trap();
    }
  } catch (const OnnxError&) {
    // A reason for a person is all that such a file gets.
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  answer_or_refuse([&] { return ringcraft::build_kernel(bytes, ringcraft::best_kernels()); });
  answer_or_refuse([&] { return ringcraft::build_stream(bytes, 2, ringcraft::best_kernels()); });
  return 0;
}
