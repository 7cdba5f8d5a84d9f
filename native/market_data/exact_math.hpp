#pragma once
// Exponential, logarithm and cosine in plain IEEE arithmetic: the same bits from every compiler and C
// library.
//
// What libm answers differs in the last place from one version to the next, and a simulated tape must not.
// Only
// +, -, *, / and moves of bits are used, which IEEE 754 fixes, and the build forbids fused multiply-add.
// Errors stay within 2 units in the last place, held against libm by the tests.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <numbers>

namespace ringcraft {

/// 2^exponent, for -1022 <= exponent <= 1023.
[[nodiscard]] constexpr double exact_power_of_two(std::int64_t exponent) noexcept {
  return std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52U);
}

/// Natural logarithm of a normal, positive, finite number.
[[nodiscard]] constexpr double exact_log(double x) noexcept {
  // x = 2^e m with m in [sqrt(1/2), sqrt(2)); log m = 2 atanh((m - 1) / (m + 1)), as a series.
  const auto bits = std::bit_cast<std::uint64_t>(x);
  auto exponent = static_cast<std::int64_t>(bits >> 52U) - 1023;
  double m = std::bit_cast<double>((bits & 0x000F'FFFF'FFFF'FFFFU) | 0x3FF0'0000'0000'0000U);
  if (m > std::numbers::sqrt2) m *= 0.5, ++exponent;
  const double s = (m - 1.0) / (m + 1.0);
  const double z = s * s;
  double series = 0.0;
  for (int k = 23; k >= 3; k -= 2) series = (series + 1.0 / k) * z;
  constexpr double kLn2High = 0x1.62e42fefap-1;  // few bits, so that its product with the exponent is exact
  constexpr double kLn2Low = 0x1.cf79abc9e3b3ap-40;
  const auto e = static_cast<double>(exponent);
  return e * kLn2High + (2.0 * s + (2.0 * s * series + e * kLn2Low));
}

inline constexpr std::array<double, 14> kInverseFactorials = [] {
  std::array<double, 14> table{};
  double factorial = 1.0;  // exact, up to 13!
  for (std::size_t n = 0; n < table.size(); ++n) {
    if (n > 1) factorial *= static_cast<double>(n);
    table[n] = 1.0 / factorial;
  }
  return table;
}();

/// e^x; 0 below -700, and x is taken as 700 above that.
[[nodiscard]] constexpr double exact_exp(double x) noexcept {
  if (!(x > -700.0)) return 0.0;
  if (x > 700.0) x = 700.0;
  constexpr double kLn2High = 0x1.62e42fefap-1;
  constexpr double kLn2Low = 0x1.cf79abc9e3b3ap-40;
  const auto k = static_cast<std::int64_t>(x * std::numbers::log2e + (x < 0 ? -0.5 : 0.5));
  const auto turns = static_cast<double>(k);
  const double r = (x - turns * kLn2High) - turns * kLn2Low;  // |r| <= ln(2) / 2
  double series = 0.0;
  for (std::size_t n = kInverseFactorials.size(); n-- > 0;) series = series * r + kInverseFactorials[n];
  return series * exact_power_of_two(k);
}

/// cos(2 pi u) for 0 <= u <= 1.
[[nodiscard]] constexpr double exact_cos_of_turns(double u) noexcept {
  // Folded into a quarter turn, then into an eighth, where the series of cosine or sine is short.
  if (u > 0.5) u = 1.0 - u;
  const bool negative = u > 0.25;
  if (negative) u = 0.5 - u;
  const bool by_sine = u > 0.125;
  const double angle = 2.0 * std::numbers::pi * (by_sine ? 0.25 - u : u);
  const double z = angle * angle;
  double series = 1.0;
  for (int n = 20; n >= 2; n -= 2) {
    series = 1.0 - series * z / (by_sine ? n * (n + 1) : n * (n - 1));
  }
  const double value = by_sine ? angle * series : series;
  return negative ? -value : value;
}

}  // namespace ringcraft
