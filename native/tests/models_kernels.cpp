#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "models/aligned.hpp"
#include "models/kernel_model.hpp"
#include "models/net_builder.hpp"
#include "models/onnx_file.hpp"
#include "tests/onnx_writer.hpp"
#include "tests/serving_allocations.hpp"

namespace ringcraft {
namespace {

std::vector<const Kernels*> all_kernels() {
  std::vector<const Kernels*> found;
  for (const char* name : {"portable", "avx2", "avx512", "avx512vnni"}) {
    if (const Kernels* kernels = kernels_named(name); kernels != nullptr) found.push_back(kernels);
  }
  return found;
}

std::string refusal(const std::string& bytes) {
  try {
    const auto model = build_kernel(bytes, best_kernels());
  } catch (const OnnxError& error) {
    return error.what();
  }
  return "";
}

/// Numbers that repeat themselves in no hurry.
std::vector<float> numbers(std::size_t count, std::uint32_t seed) {
  std::vector<float> values;
  std::uint32_t state = seed * 2654435761U + 1;
  for (std::size_t i = 0; i < count; ++i) {
    state = state * 1664525U + 1013904223U;
    values.push_back(static_cast<float>(state >> 8U) / 8388608.0F - 1.0F);
  }
  return values;
}

/// output = relu(features * w0 + b0) * w1, inputs -> hidden -> outputs.
std::string dense_bytes(std::int64_t inputs, std::int64_t hidden, std::int64_t outputs) {
  OnnxWriter writer({-1, inputs}, {-1, outputs});
  writer.constant("w0", {inputs, hidden}, numbers(static_cast<std::size_t>(inputs * hidden), 1));
  writer.constant("b0", {hidden}, numbers(static_cast<std::size_t>(hidden), 2));
  writer.constant("w1", {hidden, outputs}, numbers(static_cast<std::size_t>(hidden * outputs), 3));
  writer.node("Gemm", {"features", "w0", "b0"}, {"s"});
  writer.node("Relu", {"s"}, {"h"});
  writer.node("MatMul", {"h", "w1"}, {"output"});
  return writer.bytes();
}

}  // namespace

TEST_CASE("a dense net answers as a plain loop does, for every width and instruction set") {
  for (const Kernels* kernels : all_kernels()) {
    for (const std::size_t hidden : {1U, 3U, 8U, 9U, 16U, 17U, 33U, 64U}) {
      const std::size_t inputs = hidden * 2 + 1;
      const std::size_t outputs = 5;
      const auto model = build_kernel(
          dense_bytes(static_cast<std::int64_t>(inputs), static_cast<std::int64_t>(hidden), 5), *kernels);
      REQUIRE(model->inputs() == inputs);
      const auto w0 = numbers(inputs * hidden, 1);
      const auto b0 = numbers(hidden, 2);
      const auto w1 = numbers(hidden * outputs, 3);
      const auto x = numbers(inputs, 4);
      std::array<float, kMaxOutputs> said{};
      REQUIRE(model->predict(x.data(), said.data()));
      for (std::size_t o = 0; o < outputs; ++o) {
        double expected = 0;
        for (std::size_t h = 0; h < hidden; ++h) {
          double sum = static_cast<double>(b0[h]);
          for (std::size_t i = 0; i < inputs; ++i)
            sum += static_cast<double>(x[i]) * static_cast<double>(w0[i * hidden + h]);
          expected += std::max(sum, 0.0) * static_cast<double>(w1[h * outputs + o]);
        }
        CHECK(static_cast<double>(said[o]) == doctest::Approx(expected).epsilon(1e-4));
      }
    }
  }
}

#if defined(__x86_64__)
TEST_CASE("a set is there just where the processor has its instructions, and the best of them is chosen") {
  // The system's word for it, not the compiler's, which the choice goes by.
  std::ifstream file("/proc/cpuinfo");
  std::set<std::string> flags;
  for (std::string line; std::getline(file, line) && flags.empty();) {
    if (!line.starts_with("flags")) continue;
    std::istringstream words(line);
    flags.insert(std::istream_iterator<std::string>(words), {});
  }
  REQUIRE_FALSE(flags.empty());
  std::string best = "portable";
  const auto check = [&](const char* name, std::initializer_list<const char*> needed) {
    const bool has =
        std::all_of(needed.begin(), needed.end(), [&](const char* flag) { return flags.contains(flag); });
    CHECK((kernels_named(name) != nullptr) == has);
    if (has) best = name;
  };
  check("avx2", {"avx2", "fma"});
  check("avx512", {"avx512f", "avx512vl", "avx512bw", "avx512dq"});
  check("avx512vnni", {"avx512f", "avx512vl", "avx512bw", "avx512dq", "avx512_vnni"});
  CHECK(best_kernels().name == best);
}
#endif

TEST_CASE("a kernel allocates nothing when it answers") {
  const auto model = build_kernel(dense_bytes(64, 64, 3), best_kernels());
  const auto x = numbers(64, 5);
  std::array<float, 3> said{};
  const std::uint64_t before = allocations_of_this_thread();
  for (int i = 0; i < 100; ++i) {
    CHECK(model->predict(x.data(), said.data()));
  }
  CHECK(allocations_of_this_thread() == before);
}

TEST_CASE("functions of vectors stay near the real ones, and NaN stays NaN") {
  for (const Kernels* kernels : all_kernels()) {
    Aligned<float> x(kSlack * 2);
    Aligned<float> y(kSlack * 2);
    for (float value = -30.0F; value < 30.0F; value += 0.37F) {
      x[0] = value;
      const auto of = [&](Unary kind) {
        kernels->unary(kind, x.data(), y.data(), 1, 0.1F, 0.5F);
        return static_cast<double>(y[0]);
      };
      const double v = static_cast<double>(value);
      CHECK(of(Unary::kExp) == doctest::Approx(std::exp(v)).epsilon(1e-6));
      CHECK(std::abs(of(Unary::kSigmoid) - 1 / (1 + std::exp(-v))) < 2e-7);
      CHECK(std::abs(of(Unary::kTanh) - std::tanh(v)) < 4e-7);
      CHECK(std::abs(of(Unary::kErf) - std::erf(v)) < 5e-7);
      CHECK(std::abs(of(Unary::kGelu) - v * (1 + std::erf(v / std::sqrt(2.0))) / 2) <
            2e-6 * (1 + std::abs(v)));
    }
    x[0] = std::numeric_limits<float>::quiet_NaN();
    for (const Unary kind :
         {Unary::kRelu, Unary::kSigmoid, Unary::kTanh, Unary::kClip, Unary::kExp, Unary::kGelu}) {
      kernels->unary(kind, x.data(), y.data(), 1, -1.0F, 1.0F);
      CHECK(std::isnan(y[0]));
    }
  }
}

TEST_CASE("what is no ONNX file, or is cut short, is refused in words") {
  const std::string whole = dense_bytes(6, 4, 2);
  CHECK(refusal(whole).empty());
  CHECK(refusal("").find("no graph") != std::string::npos);
  CHECK_FALSE(refusal("not a graph").empty());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(refusal(whole.substr(0, size)).empty());
  }
}

TEST_CASE("every byte of a file may change without harm") {
  const std::string whole = dense_bytes(3, 2, 2);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const int change : {1, 0x80, 0xFF}) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ change);
      refusal(changed);  // an answer or a reason; the sanitizers watch
    }
  }
}

TEST_CASE("sizes that do not go together are refused, not read beyond") {
  OnnxWriter narrow({-1, 6}, {-1, 2});
  narrow.constant("w", {5, 2}, numbers(10, 1));
  narrow.node("MatMul", {"features", "w"}, {"output"});
  CHECK(refusal(narrow.bytes()).find("do not go together") != std::string::npos);

  OnnxWriter nowhere({-1, 6}, {-1, 6});
  nowhere.node("Add", {"features", "missing"}, {"output"});
  CHECK(refusal(nowhere.bytes()).find("comes from nowhere") != std::string::npos);

  OnnxWriter odd({-1, 6}, {-1, 6});
  odd.node("Sin", {"features"}, {"output"});
  CHECK(refusal(odd.bytes()).find("node Sin") != std::string::npos);
}

}  // namespace ringcraft
