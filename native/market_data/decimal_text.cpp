#include "market_data/decimal_text.hpp"

#include <limits>

namespace ringcraft {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// Appends a decimal digit; false where the number would not fit.
bool append(std::int64_t& value, int digit) noexcept {
  if (value > (kMost - digit) / 10) return false;
  value = value * 10 + digit;
  return true;
}

bool well_formed(std::string_view text, std::size_t point) noexcept {
  if (text.empty() || text.size() > 64 || point == 0 || point + 1 == text.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i != point && !is_digit(text[i])) return false;
  }
  return true;
}

}  // namespace

Units parse_units(std::string_view text, Grid grid, std::int64_t most) noexcept {
  const std::size_t found = text.find('.');
  const std::size_t point = found == std::string_view::npos ? text.size() : found;
  if (!well_formed(text, point)) return {0, TextFault::kNotDecimal, 0};
  std::size_t end = text.size();
  while (end > point + 1 && text[end - 1] == '0') --end;  // zeros at the end say nothing
  const std::size_t decimals = end > point ? end - point - 1 : 0;
  if (decimals > grid.decimals) return {0, TextFault::kOffGrid, static_cast<std::uint32_t>(decimals)};
  std::int64_t value = 0;
  for (std::size_t i = 0; i < end; ++i) {
    if (i != point && !append(value, text[i] - '0')) return {0, TextFault::kTooBig, 0};
  }
  for (std::size_t i = decimals; i < grid.decimals; ++i) {
    if (!append(value, 0)) return {0, TextFault::kTooBig, 0};
  }
  if (value % grid.step != 0) return {0, TextFault::kOffGrid, static_cast<std::uint32_t>(decimals)};
  value /= grid.step;
  if (value > most) return {0, TextFault::kTooBig, 0};
  return {value, TextFault::kNone, 0};
}

}  // namespace ringcraft
