#pragma once
// The breakers of all held versions: the decision thread's, and what others may see of them.

#include <array>
#include <atomic>
#include <cstdint>

#include "serving/breaker.hpp"
#include "serving/holdings.hpp"

namespace ringcraft {

class BreakerBoard {
 public:
  /// What other threads see.
  struct Standing {
    std::uint32_t version = kNoVersion;  ///< kNoVersion: nothing in this slot was asked yet
    BreakerState state = BreakerState::kClosed;
    BreakerCause cause = BreakerCause::kNone;  ///< why it last opened
  };

  /// Whether that version may not be asked. The decision thread's, as all but standing().
  [[nodiscard]] bool open(std::size_t model, std::size_t slot, std::uint32_t version) const noexcept {
    return slot < kMaxSlots && places_[model][slot].version == version && places_[model][slot].breaker.open();
  }

  /// Lets time pass for a slot.
  void turn(const BreakerLimits& limits, std::size_t model, std::size_t slot, std::int64_t now_ns) noexcept {
    if (slot >= kMaxSlots || !places_[model][slot].breaker.open()) return;
    places_[model][slot].breaker.turn(limits, now_ns);
    show(places_[model][slot]);
  }

  /// Learns from an answer of the version in a slot; another version there starts afresh.
  /// @return whether its breaker opened.
  bool answered(const BreakerLimits& limits, std::size_t model, std::size_t slot, std::uint32_t version,
                const BreakerSample& sample, std::int64_t now_ns) noexcept {
    if (slot >= kMaxSlots) return false;
    Place& place = places_[model][slot];
    const bool other = place.version != version;
    if (other) {
      place.version = version;
      place.breaker = Breaker();
    }
    const BreakerState before = place.breaker.state();
    const bool opened = place.breaker.answered(limits, sample, now_ns);
    if (other || place.breaker.state() != before) show(place);
    return opened;
  }

  /// Any thread's.
  [[nodiscard]] Standing standing(std::size_t model, std::size_t slot) const noexcept {
    const std::uint64_t shown = places_[model][slot].shown.load(std::memory_order_relaxed);
    return {static_cast<std::uint32_t>(shown >> 16U), static_cast<BreakerState>((shown >> 8U) & 0xFFU),
            static_cast<BreakerCause>(shown & 0xFFU)};
  }

 private:
  struct Place {
    std::uint32_t version = kNoVersion;
    Breaker breaker;
    std::atomic<std::uint64_t> shown{0};  ///< version, state, cause: one word, so that they go together
  };

  static void show(Place& place) noexcept {
    place.shown.store(static_cast<std::uint64_t>(place.version) << 16U |
                          static_cast<std::uint64_t>(place.breaker.state()) << 8U |
                          static_cast<std::uint64_t>(place.breaker.cause()),
                      std::memory_order_relaxed);
  }

  std::array<std::array<Place, kMaxSlots>, kMaxModels> places_{};
};

}  // namespace ringcraft
