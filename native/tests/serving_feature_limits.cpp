#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "serving/answer.hpp"
#include "serving/feature_limits.hpp"

namespace ringcraft {
namespace {

class Fixed final : public Model {
 public:
  Fixed() : Model({2, 2, 1, true}, "fixed") {}
  bool predict(const float*, float* out) noexcept override {
    ++asked;
    out[0] = 1;
    return true;
  }
  int asked = 0;
};

}  // namespace

TEST_CASE("limits ask of every float32 what a comparison in float64 asks") {
  std::mt19937_64 random(4);
  std::uniform_real_distribution<double> exponent(-45, 45);
  constexpr float kUp = std::numeric_limits<float>::infinity();
  for (int round = 0; round < 20'000; ++round) {
    const double sign = (random() & 1U) != 0 ? 1.0 : -1.0;
    const double low = sign * std::pow(10.0, exponent(random));  // beyond float32 at both ends
    const double high = low + std::abs(low) * (random() % 3 == 0 ? 0.0 : 1e-7);
    const FeatureLimits limits(std::span(&low, 1), std::span(&high, 1));
    const auto near = static_cast<float>(low);
    for (const float value :
         {near, std::nextafter(near, kUp), std::nextafter(near, -kUp), static_cast<float>(high),
          std::nextafter(static_cast<float>(high), kUp), 0.0F, -0.0F}) {
      const auto exact = static_cast<double>(value);
      REQUIRE(limits.met(&value, 1) == (exact >= low && exact <= high));
    }
  }
}

TEST_CASE("a value that is no number is outside, and without limits nothing is") {
  const std::array<double, 2> low{-1, -1};
  const std::array<double, 2> high{1, 1};
  std::array<float, 4> rows{0, 0, 0, std::nanf("")};
  CHECK_FALSE(FeatureLimits(low, high).met(rows.data(), 4));
  CHECK(FeatureLimits(low, high).met(rows.data(), 2));
  CHECK(FeatureLimits().met(rows.data(), 4));
}

TEST_CASE("a window with one vector outside is not asked about") {
  Fixed model;
  LoadedSlot slot;
  slot.rule = RuleKind::kExpectedBps;
  const std::array<double, 2> low{0, -5};
  const std::array<double, 2> high{1, 5};
  slot.limits = FeatureLimits(low, high);
  std::array<float, 4> rows{0, 5, 1, -5};
  CHECK(ask(model, slot, rows.data(), 10).action == 1);
  for (const std::size_t place : {0U, 2U}) {
    rows[place] = 2;
    CHECK(ask(model, slot, rows.data(), 10).abstain == AbstainReason::kFeatureLimit);
    rows[place] = 1;
  }
  CHECK(model.asked == 1);
}

}  // namespace ringcraft
