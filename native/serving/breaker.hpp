#pragma once
// When a version that fails is no longer asked, and how it comes back: a state machine without a clock.

#include <array>
#include <bit>
#include <cstdint>

namespace ringcraft {

/// What opens a breaker. 0 of any of the first three: not looked at.
struct BreakerLimits {
  std::uint32_t failed_of_64 = 16;        ///< answers that failed or were no number
  std::uint32_t late_of_64 = 0;           ///< answers over the latency budget
  std::uint64_t same_in_a_row = 100'000;  ///< bitwise equal outputs while the inputs differ
  std::uint32_t probes = 8;               ///< good answers that close a half-open one
  std::int64_t open_ns = 1'000'000'000;   ///< from opening to the first probe
  bool stand_in = true;  ///< where the champion's is open, the last champion answers if it is still held
};

enum class BreakerState : std::uint8_t { kClosed = 0, kHalfOpen = 1, kOpen = 2 };
enum class BreakerCause : std::uint8_t { kNone = 0, kFailed = 1, kLate = 2, kConstant = 3 };

/// What came of asking a version once.
struct BreakerSample {
  bool failed = false;  ///< it ran into an error, or its output was no number
  bool late = false;
  std::array<float, 4> output{};
  std::uint64_t input_hash = 0;
};

/// One version's breaker. Decisions come one after the other, so a half-open breaker lets each through: it is
/// a probe, and the first bad one opens it again.
class Breaker {
 public:
  /// Becomes half-open once it has been open for long enough.
  void turn(const BreakerLimits& limits, std::int64_t now_ns) noexcept {
    if (state_ == BreakerState::kOpen && now_ns - opened_ns_ >= limits.open_ns) {
      state_ = BreakerState::kHalfOpen;
      good_probes_ = 0;
    }
  }

  /// Learns from an answer.
  /// @return whether it opened.
  bool answered(const BreakerLimits& limits, const BreakerSample& sample, std::int64_t now_ns) noexcept {
    const bool other_input = !seen_ || sample.input_hash != input_hash_;
    const bool same_output = seen_ && !sample.failed && as_bits(sample.output) == output_;
    if (!sample.failed) {
      // A repeated input says nothing: the same answer to it is what a model should give.
      same_ = same_output ? same_ + (other_input ? 1U : 0U) : 0U;
      output_ = as_bits(sample.output);
      input_hash_ = sample.input_hash;
      seen_ = true;
    }
    return state_ == BreakerState::kHalfOpen ? probed(limits, sample, same_output, other_input, now_ns)
                                             : watched(limits, sample, now_ns);
  }

  [[nodiscard]] BreakerState state() const noexcept { return state_; }
  [[nodiscard]] bool open() const noexcept { return state_ == BreakerState::kOpen; }
  /// Why it last opened.
  [[nodiscard]] BreakerCause cause() const noexcept { return cause_; }
  [[nodiscard]] std::uint32_t times_opened() const noexcept { return times_opened_; }

 private:
  using Bits = std::array<std::uint32_t, 4>;

  [[nodiscard]] static Bits as_bits(const std::array<float, 4>& output) noexcept {
    return std::bit_cast<Bits>(output);
  }

  bool probed(const BreakerLimits& limits, const BreakerSample& sample, bool same_output, bool other_input,
              std::int64_t now_ns) noexcept {
    // What it opened for must be over; a failure opens it whatever it opened for.
    const bool stuck = cause_ == BreakerCause::kConstant && same_output;
    if (sample.failed) return open(BreakerCause::kFailed, now_ns);
    if (cause_ == BreakerCause::kLate && sample.late) return open(BreakerCause::kLate, now_ns);
    if (stuck && other_input) return open(BreakerCause::kConstant, now_ns);
    if (!stuck && ++good_probes_ >= limits.probes) close();
    return false;
  }

  bool watched(const BreakerLimits& limits, const BreakerSample& sample, std::int64_t now_ns) noexcept {
    failed_ = (failed_ << 1U) | (sample.failed ? 1U : 0U);
    late_ = (late_ << 1U) | (sample.late ? 1U : 0U);
    const auto reached = [](std::uint64_t seen, std::uint64_t limit) { return limit > 0 && seen >= limit; };
    if (reached(count(failed_), limits.failed_of_64)) return open(BreakerCause::kFailed, now_ns);
    if (reached(count(late_), limits.late_of_64)) return open(BreakerCause::kLate, now_ns);
    if (reached(same_, limits.same_in_a_row)) return open(BreakerCause::kConstant, now_ns);
    return false;
  }

  [[nodiscard]] static std::uint64_t count(std::uint64_t bits) noexcept {
    return static_cast<std::uint64_t>(std::popcount(bits));
  }

  bool open(BreakerCause cause, std::int64_t now_ns) noexcept {
    state_ = BreakerState::kOpen;
    cause_ = cause;
    opened_ns_ = now_ns;
    ++times_opened_;
    failed_ = late_ = 0;
    return true;
  }

  void close() noexcept {
    state_ = BreakerState::kClosed;
    failed_ = late_ = same_ = 0;
  }

  std::uint64_t failed_ = 0;  ///< the newest 64 answers, a bit each
  std::uint64_t late_ = 0;
  std::uint64_t same_ = 0;
  std::uint64_t input_hash_ = 0;
  std::int64_t opened_ns_ = 0;
  Bits output_{};
  std::uint32_t good_probes_ = 0;
  std::uint32_t times_opened_ = 0;
  BreakerState state_ = BreakerState::kClosed;
  BreakerCause cause_ = BreakerCause::kNone;
  bool seen_ = false;
};

}  // namespace ringcraft
