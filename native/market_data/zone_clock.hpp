#pragma once
// The time of day where an instrument trades.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace ringcraft {

/// From when on, UTC, local time is ahead of UTC by so much.
struct OffsetChange {
  std::int64_t from_ns;
  std::int32_t offset_s;
};

class ZoneClock {
 public:
  /// @param changes oldest first; before the first its offset holds as well. Empty: UTC.
  explicit ZoneClock(std::vector<OffsetChange> changes = {}) : changes_(std::move(changes)) {}

  /// Part of the local day that has passed, 0 to 1; one comparison where no change lies between two calls.
  [[nodiscard]] double day_fraction(std::int64_t utc_ns) noexcept {
    constexpr std::int64_t kDayNs = 86'400'000'000'000;
    if (utc_ns < from_ns_ || utc_ns >= until_ns_) find(utc_ns);
    // Whole days go first, so that no clock overflows.
    std::int64_t of_day = (utc_ns % kDayNs + offset_ns_) % kDayNs;
    if (of_day < 0) of_day += kDayNs;
    return static_cast<double>(of_day) / static_cast<double>(kDayNs);
  }

 private:
  void find(std::int64_t utc_ns) noexcept {
    constexpr auto kNever = std::numeric_limits<std::int64_t>::max();
    const auto next = std::upper_bound(changes_.begin(), changes_.end(), utc_ns,
                                       [](std::int64_t at, const OffsetChange& c) { return at < c.from_ns; });
    from_ns_ = next == changes_.begin() ? std::numeric_limits<std::int64_t>::min() : (next - 1)->from_ns;
    until_ns_ = next == changes_.end() ? kNever : next->from_ns;
    const auto holds = next == changes_.begin() ? next : next - 1;
    offset_ns_ = changes_.empty() ? 0 : holds->offset_s * std::int64_t{1'000'000'000};
  }

  std::vector<OffsetChange> changes_;
  std::int64_t from_ns_ = 0;
  std::int64_t until_ns_ = 0;  ///< empty: nothing was looked up yet
  std::int64_t offset_ns_ = 0;
};

}  // namespace ringcraft
