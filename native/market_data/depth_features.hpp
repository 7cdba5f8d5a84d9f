#pragma once
// depth_v1: order flow at several levels, the book's shape, trades, activity, and the clock.

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

#include "market_data/features.hpp"

namespace ringcraft {

class DepthFeatures final : public FeatureEngine {
 public:
  /// @param microprice_ticks kMicropriceSpreads x kMicropriceBins.
  DepthFeatures(const FeatureSetSpec& spec, std::span<const double> microprice_ticks,
                ZoneClock clock) noexcept
      : FeatureEngine(spec), clock_(std::move(clock)) {
    std::copy(microprice_ticks.begin(), microprice_ticks.end(), microprice_.begin());
  }

 private:
  static constexpr std::size_t kFlowLevels = 5;
  static constexpr std::size_t kDecays = 4;
  using Decayed = std::array<double, kDecays>;

  /// Everything that a new session forgets.
  struct State {
    double mid = 0;
    BookDepth depth{};
    Decayed weight{};                           ///< decayed number of events
    Decayed mean_mid{};                         ///< time-weighted mean of the mid, in ticks
    Decayed square{};                           ///< decayed sum of squared mid moves
    std::array<double, kFlowLevels> flow_5s{};  ///< of each level
    Decayed flow{};                             ///< mean of the levels
    Decayed level_lots{};                       ///< mean lots of a level
    Decayed signed_lots{};
    Decayed traded_lots{};
    Decayed buys{};
    Decayed sells{};
    double since_trade_s = 0;
    double session_s = 0;
  };

  void start(const Touch& touch) noexcept override;
  void take(const MarketEvent& event, const BookDepth* depth, const Touch& touch) noexcept override;
  void follow_flow(const BookDepth& depth, const Decayed& decay) noexcept;
  void follow_trades(const MarketEvent& event, const Decayed& decay) noexcept;
  void write_shape(const BookDepth& depth, const Touch& touch) noexcept;
  void write_flow() noexcept;
  void write_activity(const Touch& touch, std::int64_t event_ns) noexcept;
  [[nodiscard]] double microprice_offset(const Touch& touch) const noexcept;

  ZoneClock clock_;
  std::array<double, kMicropriceSpreads * kMicropriceBins> microprice_{};
  State state_;
};

}  // namespace ringcraft
