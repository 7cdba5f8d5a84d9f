#pragma once
// Limits without statistics: they trip on the event and hold from the next decision.

#include <bit>
#include <cstdint>
#include <optional>
#include <vector>

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

/// One model's hard limits on its challenger.
class HardLimits {
 public:
  /// Starts afresh for a rollout; one that was taken off stays off.
  void begin(std::uint32_t rollout_id, double earned_bps) noexcept {
    challenger_.clear();
    bad_in_a_row_ = 0;
    earned_bps_ = earned_bps;
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
  [[nodiscard]] std::optional<Trip> earned(double pnl_bps, double loss_budget_bps) noexcept {
    earned_bps_ += pnl_bps;
    if (earned_bps_ < -loss_budget_bps) {
      return Trip{TripKind::kLossBudget, earned_bps_, -loss_budget_bps};
    }
    return std::nullopt;
  }

  [[nodiscard]] std::uint32_t rollout_id() const noexcept { return rollout_id_; }

 private:
  AnswerWindow champion_;
  AnswerWindow challenger_;
  std::uint32_t bad_in_a_row_ = 0;
  std::uint32_t rollout_id_ = 0;
  double earned_bps_ = 0;
};

/// The challenger's live trades that still wait for their mark-outs.
class LiveTrades {
 public:
  struct Trade {
    std::uint64_t decision_id = 0;
    std::uint32_t rollout_id = 0;
    std::int8_t action = 0;
  };

  /// @param capacity a power of two; a trade overtaken by so many decisions is forgotten.
  explicit LiveTrades(std::size_t capacity) : trades_(capacity), mask_(capacity - 1) {}

  void add(const Trade& trade) noexcept { trades_[trade.decision_id & mask_] = trade; }

  [[nodiscard]] const Trade* find(std::uint64_t decision_id) const noexcept {
    const Trade& trade = trades_[decision_id & mask_];
    return trade.decision_id == decision_id ? &trade : nullptr;
  }

 private:
  std::vector<Trade> trades_;
  std::size_t mask_;
};

}  // namespace ringcraft
