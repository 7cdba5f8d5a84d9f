#pragma once
// The feature sets that there are. Names, half-lives and meaning are market_data/feature_sets.py's; a test
// holds both against each other.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ringcraft {

/// What a set takes besides the touch's prices.
struct FeatureNeeds {
  bool sizes = false;   ///< lots at the touch
  bool depth = false;   ///< levels beside each event, and a fitted microprice
  bool leader = false;  ///< another instrument's events
};

/// What every definition of a name has in common.
struct FeatureSetSpec {
  std::string_view name;
  std::span<const std::string_view> features;
  std::span<const double> half_lives_s;
  FeatureNeeds needs;
  double session_gap_s;          ///< a longer silence starts afresh
  std::uint64_t warm_up_events;  ///< usable events since the last start before a vector may be acted on
};

/// Of a fitted microprice: rows are spreads of 1, 2, .. ticks (the last also of wider ones), columns bins of
/// the queue's imbalance.
inline constexpr std::size_t kMicropriceSpreads = 5;
inline constexpr std::size_t kMicropriceBins = 10;

/// A set as a model reads it: its name, and what was fitted or chosen for it.
struct FeatureDefinition {
  std::string name;
  std::vector<double> microprice_ticks;  ///< kMicropriceSpreads x kMicropriceBins, row by row; else empty
  std::string leader;                    ///< VENUE:SYMBOL, else empty

  bool operator==(const FeatureDefinition&) const = default;
};

/// All sets, in the order of their definition.
[[nodiscard]] std::span<const FeatureSetSpec> feature_set_specs() noexcept;

/// @return null where no set has that name.
[[nodiscard]] const FeatureSetSpec* find_feature_set(std::string_view name) noexcept;

}  // namespace ringcraft
