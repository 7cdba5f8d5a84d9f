#pragma once
// Random numbers spelt out, since the standard's distributions differ between libraries, and libm's last bits
// too.

#include <cmath>
#include <cstdint>
#include <random>

#include "market_data/exact_math.hpp"

namespace ringcraft {

class Random {
 public:
  explicit Random(std::uint64_t seed) : bits_(seed) {}
  /// In (0, 1].
  double uniform() { return (static_cast<double>(bits_() >> 11U) + 1.0) * 0x1.0p-53; }
  double exponential(double rate) { return -exact_log(uniform()) / rate; }
  double normal() {
    const double radius = std::sqrt(-2.0 * exact_log(uniform()));  // IEEE fixes the square root's bits
    return radius * exact_cos_of_turns(uniform());
  }
  std::int64_t lots() { return 1 + static_cast<std::int64_t>(exponential(1.0)); }
  std::size_t below(std::size_t count) { return static_cast<std::size_t>(bits_() % count); }

 private:
  std::mt19937_64 bits_;
};

}  // namespace ringcraft
