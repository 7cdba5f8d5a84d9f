#pragma once
// Limits without statistics: they trip on the event and hold from the next decision.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <optional>

#include "contracts/journal_record.hpp"

namespace ringcraft {

/// So many bad outputs of a challenger in a row take it off.
inline constexpr std::uint32_t kBadOutputsInARow = 3;

/// The last 64 answers of one arm: which were late or failed.
class AnswerWindow {
 public:
  void add(bool late_or_failed) noexcept { bits_ = (bits_ << 1U) | (late_or_failed ? 1U : 0U); }
  void clear() noexcept { bits_ = 0; }
  [[nodiscard]] std::uint32_t count() const noexcept {
    return static_cast<std::uint32_t>(std::popcount(bits_));
  }

 private:
  std::uint64_t bits_ = 0;
};

struct Trip {
  TripKind kind;
  double value;
  double limit;
};

/// What a challenger's own live trades came to, in bps.
struct Earned {
  double sum = 0;
  double best = 0;  ///< the highest that the sum ever was, 0 at least

  void add(double pnl_bps) noexcept {
    sum += pnl_bps;
    best = std::max(best, sum);
  }
};

/// One model's hard limits on its challenger.
class HardLimits {
 public:
  /// Starts afresh for a rollout; one that was taken off stays off.
  void begin(std::uint32_t rollout_id, const Earned& earned) noexcept {
    challenger_.clear();
    bad_in_a_row_ = 0;
    earned_ = earned;
    rollout_id_ = rollout_id;
  }

  /// An answer that was acted on.
  [[nodiscard]] std::optional<Trip> answered(Arm arm, AbstainReason abstain, bool late,
                                             std::uint32_t late_or_failed_of_64) noexcept {
    const bool bad = abstain == AbstainReason::kBadOutput;
    const bool failed = bad || abstain == AbstainReason::kModelFailed;
    if (arm != Arm::kChallenger) {
      champion_.add(late || failed);
      return std::nullopt;
    }
    challenger_.add(late || failed);
    bad_in_a_row_ = bad ? bad_in_a_row_ + 1 : 0;
    if (bad_in_a_row_ >= kBadOutputsInARow) {
      return Trip{TripKind::kBadOutput, static_cast<double>(bad_in_a_row_), kBadOutputsInARow};
    }
    // A machine that stalls makes both late; then it is not the challenger's fault.
    const bool champion_healthy = champion_.count() * 2 <= late_or_failed_of_64;
    if (challenger_.count() >= late_or_failed_of_64 && champion_healthy) {
      return Trip{TripKind::kLateOrFailed, static_cast<double>(challenger_.count()),
                  static_cast<double>(late_or_failed_of_64)};
    }
    return std::nullopt;
  }

  /// A mark-out of one of the challenger's own live decisions.
  ///
  /// @param loss_budget_bps the sum may fall so far below nothing.
  /// @param drawdown_budget_bps the sum may fall so far below its best.
  [[nodiscard]] std::optional<Trip> earned(double pnl_bps, double loss_budget_bps,
                                           double drawdown_budget_bps) noexcept {
    earned_.add(pnl_bps);
    // Asked as "met", so that NaN fails.
    const bool solvent = earned_.sum >= -loss_budget_bps;
    if (!solvent) {
      return Trip{TripKind::kLossBudget, earned_.sum, -loss_budget_bps};
    }
    const double drawdown_bps = earned_.best - earned_.sum;
    const bool steady = drawdown_bps <= drawdown_budget_bps;
    if (!steady) {
      return Trip{TripKind::kDrawdown, drawdown_bps, drawdown_budget_bps};
    }
    return std::nullopt;
  }

  [[nodiscard]] std::uint32_t rollout_id() const noexcept { return rollout_id_; }

 private:
  AnswerWindow champion_;
  AnswerWindow challenger_;
  std::uint32_t bad_in_a_row_ = 0;
  std::uint32_t rollout_id_ = 0;
  Earned earned_;
};

}  // namespace ringcraft
