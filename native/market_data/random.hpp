#pragma once
// Random numbers spelt out, since the standard's distributions differ between libraries.

#include <cmath>
#include <cstdint>
#include <numbers>
#include <random>

namespace ringcraft {

class Random {
 public:
  explicit Random(std::uint64_t seed) : bits_(seed) {}
  /// In (0, 1].
  double uniform() { return (static_cast<double>(bits_() >> 11U) + 1.0) * 0x1.0p-53; }
  double exponential(double rate) { return -std::log(uniform()) / rate; }
  double normal() {
    const double radius = std::sqrt(-2.0 * std::log(uniform()));
    return radius * std::cos(2.0 * std::numbers::pi * uniform());
  }
  std::int64_t lots() { return 1 + static_cast<std::int64_t>(exponential(1.0)); }
  std::size_t below(std::size_t count) { return static_cast<std::size_t>(bits_() % count); }

 private:
  std::mt19937_64 bits_;
};

}  // namespace ringcraft
