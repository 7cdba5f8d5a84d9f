#pragma once
// From a feature vector to an action, the same for whoever acts and whoever only watches.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>

#include "contracts/journal_record.hpp"
#include "contracts/market_event.hpp"
#include "serving/holdings.hpp"

namespace ringcraft {

struct Answer {
  std::array<float, 4> output;  ///< first values; NaN where there are fewer
  std::int8_t action;
  AbstainReason abstain;
};

inline constexpr float kNoOutput = std::numeric_limits<float>::quiet_NaN();

[[nodiscard]] inline Answer abstention(AbstainReason reason) noexcept {
  return {{kNoOutput, kNoOutput, kNoOutput, kNoOutput}, 0, reason};
}

/// Buy where score > threshold, sell where score < -threshold, else flat.
[[nodiscard]] inline std::int8_t action_of(RuleKind rule, double threshold, const float* output) noexcept {
  const double score = rule == RuleKind::kUpMinusDown
                           ? static_cast<double>(output[2]) - static_cast<double>(output[0])
                           : static_cast<double>(output[0]);
  return static_cast<std::int8_t>(static_cast<int>(score > threshold) - static_cast<int>(score < -threshold));
}

/// Asks a model, unless a feature lies outside the version's limits; outputs that are NaN, infinite or beyond
/// the limit give kBadOutput.
/// @param known what the model answered already, with other rows; null: it is asked now.
[[nodiscard]] inline Answer ask(Model& model, const LoadedSlot& slot, const float* features,
                                double output_abs_max, const float* known = nullptr) noexcept {
  if (!slot.limits.met(features, model.inputs())) {
    return abstention(AbstainReason::kFeatureLimit);
  }
  std::array<float, kMaxOutputs> output{};
  if (known != nullptr) {
    std::copy_n(known, model.outputs(), output.begin());
  } else if (!model.predict(features, output.data())) {
    return abstention(AbstainReason::kModelFailed);
  }
  Answer answer = abstention(AbstainReason::kNone);
  bool met = true;
  for (std::size_t i = 0; i < model.outputs(); ++i) {
    // Asked as "met", so that NaN fails.
    met = met && std::abs(static_cast<double>(output[i])) <= output_abs_max;
    if (i < answer.output.size()) {
      answer.output[i] = output[i];
    }
  }
  if (!met) {
    answer.abstain = AbstainReason::kBadOutput;
    return answer;
  }
  answer.action = action_of(slot.rule, slot.threshold, output.data());
  return answer;
}

/// Why an event's touch may not be acted on; kNone where it may.
[[nodiscard]] inline AbstainReason unusable_touch(std::uint16_t flags) noexcept {
  if ((flags & kHalted) != 0) return AbstainReason::kHalted;
  if ((flags & kAuction) != 0) return AbstainReason::kAuction;
  // Before the gap that made it necessary, and before what a half-built book looks like.
  if ((flags & kResync) != 0) return AbstainReason::kResync;
  if ((flags & kGap) != 0) return AbstainReason::kGap;
  if ((flags & kStale) != 0) return AbstainReason::kStale;
  if ((flags & kOneSided) != 0) return AbstainReason::kOneSided;
  if ((flags & kCrossed) != 0) return AbstainReason::kCrossed;
  return AbstainReason::kNone;
}

}  // namespace ringcraft
