#pragma once
// touch_v1 and quotes_v1: the touch, and what traded there.

#include <array>
#include <cstddef>

#include "market_data/features.hpp"

namespace ringcraft {

class TouchFeatures final : public FeatureEngine {
 public:
  explicit TouchFeatures(const FeatureSetSpec& spec) noexcept : FeatureEngine(spec) {}

 private:
  static constexpr std::size_t kMaxDecays = 4;
  using Decayed = std::array<double, kMaxDecays>;

  /// Everything that a new session forgets.
  struct State {
    Touch touch{};
    Decayed decay{};     ///< factor of each half-life over the gap since the event before
    Decayed weight{};    ///< decayed number of events
    Decayed mean_mid{};  ///< time-weighted mean of the mid, in ticks
    Decayed square{};    ///< decayed sum of squared mid moves
    Decayed order_flow{};
    Decayed depth{};
    Decayed signed_lots{};
    Decayed traded_lots{};
    double last_trade = 0;  ///< ticks; 0: none yet
    Decayed spread{};
    double products = 0;            ///< decayed sum of products of successive mid moves
    std::array<double, 3> moves{};  ///< last mid moves, newest first
  };

  void start(const Touch& touch) noexcept override;
  void take(const MarketEvent& event, const BookDepth* depth, const Touch& touch) noexcept override;
  void write_touch(const MarketEvent& event, const Touch& touch, const Touch& before) noexcept;
  void write_quotes(const Touch& touch, const Touch& before) noexcept;

  State state_;
};

}  // namespace ringcraft
