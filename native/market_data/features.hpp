#pragma once
// Features of one instrument's event stream: the one implementation that training and the worker share.
// Names, half-lives and meaning are market_data/feature_sets.py's; the plain reference is
// market_data/reference/features.py.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "contracts/market_event.hpp"

namespace ringcraft {

/// What defines a feature set; held against the Python definition by a test.
struct FeatureSetSpec {
  std::string_view name;
  std::span<const std::string_view> features;
  std::span<const double> half_lives_s;
  bool needs_sizes;
  double session_gap_s;          ///< a longer silence starts afresh
  std::uint64_t warm_up_events;  ///< usable events since the last start before a vector may be acted on
};

/// All sets, in the order of their definition.
[[nodiscard]] std::span<const FeatureSetSpec> feature_set_specs() noexcept;

/// Streaming features, O(1) an event, decayed in event time; float64 inside, float32 out.
///
/// @note One thread. Same events, same bits: batch and live call this one function.
class FeatureEngine {
 public:
  static constexpr std::size_t kMaxWidth = 16;

  /// @return null where no set has that name.
  [[nodiscard]] static std::unique_ptr<FeatureEngine> make(std::string_view set_name);

  [[nodiscard]] std::size_t width() const noexcept { return spec_->features.size(); }

  /// Takes one event and writes width() floats.
  ///
  /// An event with an unusable touch (kUnusable, or no sizes where the set needs them) changes nothing: the
  /// last vector is written again, zeros before the first. Time that runs backwards counts as no time.
  ///
  /// @return whether enough usable events were seen since the session began.
  bool update(const MarketEvent& event, float* out) noexcept;

  /// Forgets everything, as if new.
  void reset() noexcept;

 private:
  static constexpr std::size_t kMaxDecays = 4;
  using Decayed = std::array<double, kMaxDecays>;

  struct Touch {
    double bid;
    double ask;
    double bid_lots;
    double ask_lots;
    double mid;
  };

  /// Everything that a new session forgets.
  struct State {
    std::uint64_t seen = 0;
    std::int64_t last_ns = 0;
    Touch touch{};
    double gap_s = 0;    ///< since the event before
    Decayed decay{};     ///< factor of each half-life over that gap
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

  explicit FeatureEngine(const FeatureSetSpec& spec) noexcept : spec_(&spec) {}

  [[nodiscard]] bool usable(const MarketEvent& event) const noexcept;
  void start_or_advance(const MarketEvent& event, const Touch& touch) noexcept;
  void write_touch(const MarketEvent& event, const Touch& touch, const Touch& before) noexcept;
  void write_quotes(const Touch& touch, const Touch& before) noexcept;

  const FeatureSetSpec* spec_;
  State state_;
  std::array<float, kMaxWidth> last_{};
};

}  // namespace ringcraft
