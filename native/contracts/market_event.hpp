#pragma once
// The one normalised market event: what a feed turns into, what features, mark-outs and the
// worker read, and what travels on the wire. Mirrored by data_contracts.market_event.

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace ringcraft {

/// Lots of a feed that gives no sizes.
inline constexpr std::int64_t kNoLots = -1;

/// States of the touch that forbid acting on it; bits of MarketEvent::flags.
enum EventFlag : std::uint16_t {
  kOneSided = 1U << 0U,  ///< no bid or no ask; the missing side's ticks are 0
  kCrossed = 1U << 1U,   ///< bid above ask
  kLocked = 1U << 2U,    ///< bid equals ask
  kHalted = 1U << 3U,    ///< trading halted
  kGap = 1U << 4U,       ///< messages were missed before this event
  kAuction = 1U << 5U,   ///< call auction, no continuous trading
  kResync = 1U << 6U,    ///< the book is being built again from a snapshot
  kStale = 1U << 7U,     ///< not heard of for longer than the instrument allows
};

/// Flags on which the platform abstains.
inline constexpr std::uint16_t kUnusable =
    0U | kOneSided | kCrossed | kHalted | kGap | kAuction | kResync | kStale;

/// The touch of one instrument right after an event, and what traded in it. 80 bytes, little-endian.
struct MarketEvent {
  std::int64_t event_ns;    ///< exchange clock, UTC
  std::int64_t receive_ns;  ///< recorder's clock, UTC; may precede event_ns
  std::uint64_t sequence;   ///< the venue's, or the row number where there is none
  std::int64_t bid_ticks;
  std::int64_t bid_lots;  ///< kNoLots where the feed gives none
  std::int64_t ask_ticks;
  std::int64_t ask_lots;
  std::int64_t trade_ticks;  ///< price of the last trade in this event; 0: none
  std::int64_t trade_lots;   ///< signed by aggressor, buy positive; 0: none
  std::uint32_t instrument;  ///< dense id
  std::uint16_t flags;       ///< EventFlag bits
  std::uint16_t reserved;
};

/// Levels of a side that a recording keeps, where it keeps any.
inline constexpr std::size_t kDepthLevels = 10;

/// The best levels of a book right after an event, best first; a level that is not there has 0 in both.
struct BookDepth {
  using Levels = std::array<std::int64_t, kDepthLevels>;
  Levels bid_ticks;
  Levels bid_lots;
  Levels ask_ticks;
  Levels ask_lots;

  bool operator==(const BookDepth&) const = default;
};

/// An event and the levels right after it, as feeds and buses carry them where they carry levels.
struct DeepEvent {
  MarketEvent event;
  BookDepth levels;
};

static_assert(sizeof(BookDepth) == 4 * kDepthLevels * sizeof(std::int64_t));
static_assert(sizeof(MarketEvent) == 80);
static_assert(sizeof(DeepEvent) == sizeof(MarketEvent) + sizeof(BookDepth));
static_assert(std::is_trivially_copyable_v<MarketEvent>);

}  // namespace ringcraft
