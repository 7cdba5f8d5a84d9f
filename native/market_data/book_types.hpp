#pragma once
// What a book is asked and what it answers, in integer ticks and lots.

#include <array>
#include <cstdint>

#include "contracts/market_event.hpp"

namespace ringcraft {

enum class Side : std::uint8_t { kBuy, kSell };

/// Best prices and what rests there; a side without orders has 0 in both.
struct BookTouch {
  std::int64_t bid_ticks = 0;
  std::int64_t bid_lots = 0;
  std::int64_t ask_ticks = 0;
  std::int64_t ask_lots = 0;

  bool operator==(const BookTouch&) const = default;
};

struct BookLevel {
  std::int64_t ticks;
  std::int64_t lots;
  std::uint32_t orders;
};

/// Where an order stands in its level's queue.
struct QueuePlace {
  std::uint32_t instrument;
  Side side;
  std::int64_t ticks;
  std::uint32_t lots;
  std::uint32_t position;   ///< orders before it; 0: next to trade
  std::int64_t ahead_lots;  ///< lots before it
};

/// What an order lost; lots of 0: there is no such order.
struct Taken {
  Side side = Side::kBuy;
  std::int32_t ticks = 0;
  std::uint32_t lots = 0;
  std::uint32_t left = 0;
};

enum class AddStatus : std::uint8_t { kAdded, kDuplicate, kEmpty };

/// States that the touch itself decides; the others are set from outside.
inline constexpr std::uint16_t kTouchStates = 0U | kOneSided | kCrossed | kLocked;

/// The bits with those of `mask` set or unset.
[[nodiscard]] constexpr std::uint16_t with_bits(std::uint16_t bits, std::uint16_t mask, bool on) noexcept {
  const std::uint32_t all = bits;
  return static_cast<std::uint16_t>(on ? all | mask : all & ~std::uint32_t{mask});
}

/// How often books went into and came out of each state; index i is the flag 1 << i.
struct StateCounts {
  std::array<std::uint64_t, 16> entered{};
  std::array<std::uint64_t, 16> left{};
};

}  // namespace ringcraft
