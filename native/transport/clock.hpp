#pragma once
// Our clock: monotonic, told as wall time.

#include <cstdint>
#include <ctime>

namespace ringcraft {

[[nodiscard]] inline std::int64_t read_clock_ns(clockid_t clock) noexcept {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

/// Nanoseconds since boot; the same for every process of the machine.
[[nodiscard]] inline std::int64_t monotonic_ns() noexcept { return read_clock_ns(CLOCK_MONOTONIC); }

/// Seconds as nanoseconds to wait: nothing where they are below 0 or no number, at most a hundred years.
[[nodiscard]] inline std::int64_t wait_ns(double seconds) noexcept {
  constexpr double kMost = 3.2e9;
  if (!(seconds > 0)) return 0;
  return static_cast<std::int64_t>((seconds < kMost ? seconds : kMost) * 1e9);
}

/// Turns monotonic readings into UTC that never steps: a wall clock set back must not make a latency
/// negative.
class WallClock {
 public:
  WallClock() noexcept : offset_ns_(read_clock_ns(CLOCK_REALTIME) - monotonic_ns()) {}

  [[nodiscard]] std::int64_t wall_ns(std::int64_t monotonic) const noexcept { return monotonic + offset_ns_; }

 private:
  std::int64_t offset_ns_;
};

}  // namespace ringcraft
