#pragma once
// Waiting for what no one announces: look again at once for a while, then nap between looks.

#include <cstdint>
#include <ctime>

#include "transport/clock.hpp"

namespace ringcraft {

/// One wait; made anew after each success.
class Backoff {
 public:
  /// @param timeout_ns how long in all.
  /// @param spin_ns how long without naps; as much as timeout_ns: never a nap, and a core of its own is wise.
  Backoff(std::int64_t timeout_ns, std::int64_t spin_ns) noexcept
      : start_ns_(monotonic_ns()), timeout_ns_(timeout_ns), spin_ns_(spin_ns) {}

  /// @return false once the time is up.
  [[nodiscard]] bool wait() noexcept {
    const std::int64_t waited_ns = monotonic_ns() - start_ns_;
    if (waited_ns >= timeout_ns_) return false;
    if (waited_ns < spin_ns_) {
      __builtin_ia32_pause();
    } else {
      constexpr timespec kNap{0, 50'000};
      ::nanosleep(&kNap, nullptr);
    }
    return true;
  }

 private:
  std::int64_t start_ns_;
  std::int64_t timeout_ns_;
  std::int64_t spin_ns_;
};

}  // namespace ringcraft
