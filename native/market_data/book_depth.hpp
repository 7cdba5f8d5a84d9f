#pragma once
// A book's best levels as a recording keeps them.

#include <cstdint>

#include "contracts/market_event.hpp"
#include "market_data/books.hpp"

namespace ringcraft {

template <bool kQueues>
void copy_levels(const Books<kQueues>& books, std::uint32_t instrument, Side side, BookDepth::Levels& ticks,
                 BookDepth::Levels& lots) noexcept {
  const std::uint32_t count = books.level_count(instrument, side);
  for (std::uint32_t rank = 0; rank < count && rank < kDepthLevels; ++rank) {
    const BookLevel found = books.level(instrument, side, rank);
    ticks[rank] = found.ticks;
    lots[rank] = found.lots;
  }
}

/// The best levels of both sides of an instrument's book.
template <bool kQueues>
[[nodiscard]] BookDepth depth_of(const Books<kQueues>& books, std::uint32_t instrument) noexcept {
  BookDepth found{};
  copy_levels(books, instrument, Side::kBuy, found.bid_ticks, found.bid_lots);
  copy_levels(books, instrument, Side::kSell, found.ask_ticks, found.ask_lots);
  return found;
}

}  // namespace ringcraft
