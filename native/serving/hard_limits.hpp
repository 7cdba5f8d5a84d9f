#pragma once
// Limits without statistics: they trip on the event and hold from the next decision.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <optional>

#include "contracts/journal_record.hpp"

namespace ringcraft {

/// So many bad outputs in a row take the version on trial off.
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

/// What the own live trades of the version on trial came to, in bps.
struct Earned {
  double sum = 0;
  double best = 0;  ///< the highest that the sum ever was, 0 at least

  void add(double pnl_bps) noexcept {
    sum += pnl_bps;
    best = std::max(best, sum);
  }
};

/// One model's hard limits on the version on trial: a challenger, or during a bake the new champion.
class HardLimits {
 public:
  /// Starts afresh for a rollout; one that was taken off stays off.
  void begin(std::uint32_t rollout_id, const Earned& earned) noexcept {
    judged_.clear();
    control_.clear();
    bad_in_a_row_ = 0;
    trial_ = Arm::kChallenger;
    earned_ = earned;
    rollout_id_ = rollout_id;
  }

  /// Learns from a phase who is on trial; a paused challenger's rollout keeps whom it had.
  void adopt(Phase phase) noexcept {
    if (phase == Phase::kBake || phase == Phase::kBakePaused) {
      trial_ = Arm::kChampion;
    } else if (phase != Phase::kPaused) {
      trial_ = Arm::kChallenger;
    }
  }

  /// The arm on trial.
  [[nodiscard]] Arm trial() const noexcept { return trial_; }

  /// An answer that was acted on.
  ///
  /// @param late_or_failed_of_64 the limit.
  /// @param control_in_shadow late or failed of the control's last 64 scores, which does not act itself
  /// during a bake.
  [[nodiscard]] std::optional<Trip> answered(Arm arm, AbstainReason abstain, bool late,
                                             std::uint32_t late_or_failed_of_64,
                                             std::uint32_t control_in_shadow) noexcept {
    const bool bad = abstain == AbstainReason::kBadOutput;
    const bool failed = bad || abstain == AbstainReason::kModelFailed;
    if (arm != trial_) {
      control_.add(late || failed);
      return std::nullopt;
    }
    judged_.add(late || failed);
    bad_in_a_row_ = bad ? bad_in_a_row_ + 1 : 0;
    if (bad_in_a_row_ >= kBadOutputsInARow) {
      return Trip{TripKind::kBadOutput, static_cast<double>(bad_in_a_row_), kBadOutputsInARow};
    }
    const std::uint32_t control_late_or_failed =
        trial_ == Arm::kChampion ? control_in_shadow : control_.count();
    // A machine that stalls makes both late; then it is not the version's fault.
    const bool control_healthy = control_late_or_failed * 2 <= late_or_failed_of_64;
    if (judged_.count() >= late_or_failed_of_64 && control_healthy) {
      return Trip{TripKind::kLateOrFailed, static_cast<double>(judged_.count()),
                  static_cast<double>(late_or_failed_of_64)};
    }
    return std::nullopt;
  }

  /// A mark-out of a live decision of the version on trial.
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
  AnswerWindow control_;
  AnswerWindow judged_;
  Arm trial_ = Arm::kChallenger;
  std::uint32_t bad_in_a_row_ = 0;
  std::uint32_t rollout_id_ = 0;
  Earned earned_;
};

}  // namespace ringcraft
