#pragma once
// Decimal text into whole ticks and lots, exactly: no floating point on the way.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ringcraft {

enum class TextFault : std::uint8_t {
  kNone,
  kNotDecimal,  ///< not digits with at most one point between them; signs and exponents are none
  kOffGrid,     ///< no whole number of units
  kTooBig,      ///< more units than may be kept
  kNotLevels,   ///< not an array of arrays of strings
  kNoPrice,     ///< a price of nothing
};

/// A unit of step / 10^decimals: 0.25 is {2, 25}.
struct Grid {
  std::uint32_t decimals = 0;
  std::int64_t step = 1;
};

struct Units {
  std::int64_t units = 0;
  TextFault fault = TextFault::kNone;
  std::uint32_t decimals = 0;  ///< significant decimals of the text, where it is off the grid
};

/// Reads digits with at most one point between them, as whole units of the grid.
///
/// @param most kTooBig above it.
[[nodiscard]] Units parse_units(std::string_view text, Grid grid, std::int64_t most) noexcept;

}  // namespace ringcraft
