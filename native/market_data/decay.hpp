#pragma once
// Arithmetic that feature sets share.

#include <cmath>
#include <cstdint>
#include <numbers>

namespace ringcraft {

/// What is left after `gap_s` of a value that halves every `half_life_s`.
[[nodiscard]] inline double decay_of(double gap_s, double half_life_s) noexcept {
  return std::exp(-gap_s / half_life_s * std::numbers::ln2);
}

/// The rate of events whose decayed number this is.
[[nodiscard]] inline double events_per_second(double decayed_events, double half_life_s) noexcept {
  return decayed_events * std::numbers::ln2 / half_life_s;
}

/// Seconds from `from` to `to`; 0 where time runs backwards. Unsigned, so that no pair of clocks overflows.
[[nodiscard]] inline double seconds_between(std::int64_t from, std::int64_t to) noexcept {
  if (to <= from) return 0;
  return static_cast<double>(static_cast<std::uint64_t>(to) - static_cast<std::uint64_t>(from)) * 1e-9;
}

[[nodiscard]] inline double ratio_or(double numerator, double denominator, double otherwise) noexcept {
  return denominator > 0 ? numerator / denominator : otherwise;
}

/// Cont, Kukanov & Stoikov (2014): what one side's change adds to buying pressure. Asks come negated.
[[nodiscard]] inline double side_flow(double price, double lots, double price_before,
                                      double lots_before) noexcept {
  double flow = 0;
  if (price >= price_before) flow += lots;
  if (price <= price_before) flow -= lots_before;
  return flow;
}

}  // namespace ringcraft
