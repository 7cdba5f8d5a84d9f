#pragma once
// What a version's features must lie in: the limits that its training data kept to.

#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

namespace ringcraft {

/// One low and one high a feature, both allowed; of no features it asks nothing.
///
/// Limits are float64, features float32. A limit is rounded inwards to the nearest float32 that it allows,
/// which asks the same of every float32 as a comparison in float64 would.
class FeatureLimits {
 public:
  FeatureLimits() = default;

  /// @param low as many as `high`.
  FeatureLimits(std::span<const double> low, std::span<const double> high) {
    for (const double limit : low) low_.push_back(at_least(limit));
    for (const double limit : high) high_.push_back(at_most(limit));
  }

  /// Whether every value lies within its feature's limits; a NaN does not.
  /// @param count of whole vectors, one after another.
  [[nodiscard]] bool met(const float* values, std::size_t count) const noexcept {
    const std::size_t width = low_.size();
    if (width == 0) return true;
    const float* low = low_.data();
    const float* high = high_.data();
    unsigned outside = 0;
    for (const float* vector = values; vector < values + count; vector += width) {
      for (std::size_t i = 0; i < width; ++i) {
        // Asked as "met", so that NaN fails; without a branch, so that it goes several at a time.
        outside |=
            static_cast<unsigned>(!(vector[i] >= low[i])) | static_cast<unsigned>(!(vector[i] <= high[i]));
      }
    }
    return outside == 0;
  }

 private:
  static_assert(std::numeric_limits<float>::is_iec559);

  [[nodiscard]] static float at_least(double limit) noexcept {
    const auto rounded = static_cast<float>(limit);
    return static_cast<double>(rounded) < limit
               ? std::nextafter(rounded, std::numeric_limits<float>::infinity())
               : rounded;
  }

  [[nodiscard]] static float at_most(double limit) noexcept {
    const auto rounded = static_cast<float>(limit);
    return static_cast<double>(rounded) > limit
               ? std::nextafter(rounded, -std::numeric_limits<float>::infinity())
               : rounded;
  }

  std::vector<float> low_;
  std::vector<float> high_;
};

}  // namespace ringcraft
