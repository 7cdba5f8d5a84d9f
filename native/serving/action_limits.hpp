#pragma once
// Limits on acting: whoever would go beyond one abstains, champion and challenger alike, live and in shadow.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "contracts/journal_record.hpp"
#include "serving/answer.hpp"

namespace ringcraft {

/// One model's actions at one instrument whose horizon has not passed, one lot each.
struct OpenLots {
  std::int64_t bought = 0;
  std::int64_t sold = 0;
  double value = 0;  ///< of both, at mid, as counted in its currency's sum

  /// @param action +1 buy, 0 flat, -1 sell.
  /// @param lots 1: it is taken; -1: its horizon has passed.
  void take(std::int8_t action, std::int64_t lots) noexcept {
    bought += action > 0 ? lots : 0;
    sold += action < 0 ? lots : 0;
  }

  [[nodiscard]] double value_at(double lot_value) const noexcept {
    return static_cast<double>(bought + sold) * lot_value;
  }
};

/// Why each action may not be taken; kNone where it may.
struct Room {
  AbstainReason buy = AbstainReason::kNone;
  AbstainReason sell = AbstainReason::kNone;
};

/// What an answer at a decision must keep to, whoever gives it.
struct Terms {
  AbstainReason unfit = AbstainReason::kNone;  ///< why nobody is asked; kNone where the versions are
  Room room;
  std::int64_t trained_since_ns = 0;  ///< a version whose training data ends before abstains
};

/// A lot's worth at the event's mid, in the instrument's currency.
[[nodiscard]] inline double lot_value_at(double lot_tick_value, const MarketEvent& event) noexcept {
  return 0.5 * (static_cast<double>(event.bid_ticks) + static_cast<double>(event.ask_ticks)) * lot_tick_value;
}

/// What one more lot either way would come to. Each side keeps to the position limit by itself: what was
/// bought and what was sold are closed at their own times, so that only then the net never goes beyond it.
///
/// @param lot_value a lot's worth at mid, in the instrument's currency.
/// @param others_value open value of the model's other instruments in that currency.
[[nodiscard]] inline Room room_of(const OpenLots& open, double lot_value, double others_value,
                                  const ModelPlan& plan) noexcept {
  const double value = others_value + open.value_at(lot_value) + lot_value;
  // Asked as "met", so that NaN fails.
  const bool affordable = plan.notional_max == kNoLimit || value <= plan.notional_max;
  const auto reason = [&](std::int64_t side) {
    if (side >= plan.position_lots_max) return AbstainReason::kPositionLimit;
    return affordable ? AbstainReason::kNone : AbstainReason::kNotionalLimit;
  };
  return {reason(open.bought), reason(open.sold)};
}

/// Whether a version may be asked at all.
[[nodiscard]] inline bool fresh(const LoadedSlot& slot, const Terms& terms) noexcept {
  return slot.trained_until_ns >= terms.trained_since_ns;
}

/// The answer, made an abstention where there is no room for its action; the output stays for the journal.
[[nodiscard]] inline Answer within(const Room& room, Answer answer) noexcept {
  const AbstainReason reason = answer.action > 0   ? room.buy
                               : answer.action < 0 ? room.sell
                                                   : AbstainReason::kNone;
  if (reason != AbstainReason::kNone) {
    answer.action = 0;
    answer.abstain = reason;
  }
  return answer;
}

/// Event time before which a version's training data may not end; the smallest int64 where any may.
[[nodiscard]] inline std::int64_t trained_since_ns(const ModelPlan& plan, std::int64_t event_ns) noexcept {
  constexpr std::int64_t kAny = std::numeric_limits<std::int64_t>::min();
  return plan.model_age_max_ns == kNoAgeLimit ? kAny : event_ns - plan.model_age_max_ns;
}

/// So many decisions a second of event time, a second's worth at once at most.
class TokenBucket {
 public:
  /// @param event_ns a time before the newest brings nothing.
  [[nodiscard]] bool take(std::int64_t event_ns, double per_second) noexcept {
    if (std::isinf(per_second)) {
      full_ = false;  // so that a limit set later starts with a full bucket
      return true;
    }
    const double most = std::max(1.0, per_second);
    const auto passed_ns = static_cast<double>(std::max<std::int64_t>(event_ns - newest_ns_, 0));
    tokens_ = full_ ? std::min(most, tokens_ + passed_ns * 1e-9 * per_second) : most;
    newest_ns_ = full_ ? std::max(newest_ns_, event_ns) : event_ns;
    full_ = true;
    if (tokens_ < 1.0) return false;
    tokens_ -= 1.0;
    return true;
  }

 private:
  bool full_ = false;  ///< was filled once
  double tokens_ = 0;
  std::int64_t newest_ns_ = 0;
};

}  // namespace ringcraft
